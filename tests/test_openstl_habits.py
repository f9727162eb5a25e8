"""What somebody who comes from OpenSTL types: its flags, its first command, its Moving MNIST, its tutorial's loaders."""

import json

import numpy as np
import pytest
import torch

from openstl_svq import config, host
from openstl_svq.commands import make_sample_data
from openstl_svq.data import load_data
from openstl_svq.data.datasets import moving_mnist
from openstl_svq.training.experiment import Experiment

FIRST_COMMAND = ["-d", "mmnist", "--lr", "1e-3", "-c", "configs/mmnist/simvp/SimVP_gSTA.py", "-ex", "mmnist_simvp_gsta"]


@pytest.mark.parametrize(
    "flag, answer",
    [
        (["--auto_resume"], "give --resume"),
        (["--resume_from", "latest.pth"], "give --resume CHECKPOINT"),
        (["--torchscript"], "tools/export.py"),
        (["--use_prefetcher"], "--num_workers"),
        (["--find_unused_parameters"], "--strategy ddp_find_unused_parameters_true"),
    ],
)
def test_a_flag_of_openstl_is_answered_with_the_one_that_does_it(flag, answer, capsys):
    with pytest.raises(SystemExit):
        config.resolve(flag)
    assert answer in capsys.readouterr().err
    assert not set(config.defaults()) & {name.lstrip("-") for name in config._WITHOUT_EFFECT}


@pytest.mark.parametrize("words, has", [(["-m", "MMVP"], "the method MMVP"), (["-d", "bair"], "the dataset bair")])
@pytest.mark.skipif(host.describe().name != "builtin", reason="the real OpenSTL has them")
def test_what_the_other_host_has_names_it(words, has):
    with pytest.raises(ValueError, match=f"The real OpenSTL has {has}: install it .pip install .git"):
        config.resolve(words)


def test_the_first_command_of_its_documentation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = config.resolve(FIRST_COMMAND)
    assert (args.method, args.dataname, args.hid_S, args.hid_T, args.N_T, args.lr) == (
        "simvp",
        "mmnist",
        64,
        512,
        8,
        1e-3,
    )
    with pytest.raises(FileNotFoundError, match=r"mmnist: no file data/moving_mnist.*make_sample_data.py -d mmnist"):
        load_data(**vars(args))
    with pytest.raises(FileNotFoundError, match="none of the packaged ones.*OpenSTL's own lie in its checkout"):
        config.resolve(["-c", "configs/mmnist/simvp/SimVP_gSTB.py"])


@pytest.mark.parametrize("name", ["mmnist", "mfmnist", "noisymmnist"])
@pytest.mark.parametrize("protocol", ["strict", "openstl"])
@pytest.mark.filterwarnings("ignore:.* of the full dataset")
def test_moving_mnist_loads_from_openstls_files(name, protocol, tmp_path):
    make_sample_data.main(["-d", name, "--out", str(tmp_path)])
    train, validation, test = (loader.dataset for loader in load_data(name, 4, 4, 0, tmp_path, protocol=protocol))
    assert (len(train), len(test)) == (10_000, 20)
    x, y = train[3]
    assert x.shape == y.shape == (10, 1, 64, 64) and 0.5 < x.max() <= 1 and x.min() == 0
    torch.manual_seed(0)
    first, again = train[3], train[3]
    torch.manual_seed(0)
    assert torch.equal(train[3][0], first[0]) and not torch.equal(first[0], again[0])  # drawn anew, from torch's seed
    file = np.load(next(tmp_path.rglob("*_seq.npy")))
    x, y = test[7]
    assert np.array_equal((255 * torch.cat([x, y])).round().numpy()[:, 0], file[:, 7])
    assert torch.equal(validation[5][0], validation[5][0])
    assert len(validation) == (20 if protocol == "openstl" else 1000)


def test_digits_go_straight_and_turn_back_at_the_borders():
    digits = np.full((1, 28, 28), 255, dtype=np.uint8)
    frames = moving_mnist.MovingDigits(digits, (30, 10), 64, 1, seed=0)
    path = frames._path(np.random.default_rng(1), 40, 30)
    steps = np.diff(path, axis=0)
    inside = ((path > 0) & (path < 36)).all(1)
    assert path.min() == 0 and path.max() == 36
    assert np.abs(steps).max() <= 4  # a tenth of the 36 pixels that there are, rounded
    straight = inside[:-1] & inside[1:]
    sizes = np.abs(steps[straight])
    assert (np.ptp(sizes, axis=0) <= 1).all()  # the same speed in both directions, but for rounding


@pytest.mark.parametrize("noise, share", [("missing", 0.2), ("perceptual", 0.0)])
def test_noise_disturbs_the_input_alone(noise, share):
    digits = np.full((1, 28, 28), 255, dtype=np.uint8)
    clean, noisy = (moving_mnist.MovingDigits(digits, (10, 10), 64, 50, seed=0, noise=n) for n in (None, noise))
    a, b = (frames.read(np.arange(1000)).reshape(50, 20, 64, 64) for frames in (clean, noisy))
    assert np.array_equal(a[:, 10:], b[:, 10:]) and not np.array_equal(a[:, :10], b[:, :10])
    black = (b[:, :10].max((-2, -1)) == 0).mean()
    assert abs(black - share) < 0.06


def test_digits_over_photographs(tmp_path, monkeypatch):
    moving_mnist._synthetic(tmp_path, "mnist")
    np.save(tmp_path / "moving_mnist" / "mnist_cifar_test_seq.npy", np.zeros((20, 3, 64, 64, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match="mmnist_cifar: .* does not hold CIFAR-10"):
        load_data("mmnist_cifar", 4, 4, 0, tmp_path)
    photographs = np.full((5, 32, 32, 3), [10, 20, 30], dtype=np.uint8)
    monkeypatch.setattr(moving_mnist, "_cifar", lambda folder: photographs)
    train, _, test = (loader.dataset for loader in load_data("mmnist_cifar", 4, 4, 0, tmp_path))
    x, _ = train[0]
    assert x.shape == (10, 3, 64, 64) and len(test) == 3
    assert torch.allclose(x.amin((0, 2, 3)) * 255, torch.tensor([10.0, 20.0, 30.0])) and x.max() == 1


class Tutorial(torch.utils.data.Dataset):
    """As in OpenSTL's tutorial: no statistics."""

    def __init__(self, count):
        self.values = torch.rand(count, 4, 1, 16, 16, generator=torch.Generator().manual_seed(count))
        self.mean = self.std = None
        self.data_name = "custom"

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index, :2], self.values[index, 2:]


def test_loaders_without_statistics_train_and_test(tmp_path):
    words = [
        "-d",
        "custom",
        "-m",
        "simvp",
        "--epoch",
        "1",
        "--accelerator",
        "cpu",
        "--res_dir",
        str(tmp_path),
        "-ex",
        "run",
    ]
    words += [
        "--fps",
        "--cfg_options",
        "in_shape=[2,1,16,16]",
        "aft_seq_length=2",
        "hid_S=4",
        "hid_T=8",
        "N_S=2",
        "N_T=2",
    ]
    loaders = [torch.utils.data.DataLoader(Tutorial(n), batch_size=4, shuffle=n == 8) for n in (8, 5, 6)]
    run = Experiment(config.resolve(words), dataloaders=loaders)
    run.train()
    assert run.test()["model"]["mse"] > 0
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["provenance"]["frames_per_second"] > 0


def test_custom_names_the_flag_that_was_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no --data_root .*sst.nc"):
        load_data("custom", 4, 4, 0, tmp_path / "sst.nc")
