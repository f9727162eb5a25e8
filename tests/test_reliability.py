"""Nothing lost, nothing silently wrong: signals, spoiled weights, precision, several processes."""

import csv
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import xarray as xr
from pytorch_lightning.callbacks import Callback
from test_performance_training import also  # noqa: F401
from test_train_cli import ROOT, data_root, fails, run, scores, weights, words  # noqa: F401

import openstl_svq
from openstl_svq import cli
from openstl_svq.files import replacing
from openstl_svq.training import checkpoint, run_folder


def started(*command, **options):
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, **options
    )


SLEEPER = """
import os, time
from openstl_svq import cli
def command():
    if os.fork() == 0:  # as a loader's worker
        print("begun", flush=True)
    time.sleep(60)
cli.main(command)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_signal_ends_a_command_with_a_line_and_its_status(name):
    number = getattr(signal, name)
    process = started("-c", SLEEPER, start_new_session=True)
    assert process.stdout.readline() == "begun\n"
    os.killpg(process.pid, number)
    assert process.communicate(timeout=60)[0] == f"ended by {name}\n"
    assert process.returncode == 128 + number


def test_a_workers_message_stands_alone(capsys):
    def command():
        raise ValueError(
            "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
            '  File "x.py", line 1, in f\n    g()\nValueError: the image a.png cannot be read\n'
        )

    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == "error: the image a.png cannot be read"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of a small model, as a function of changes in it."""
    from openstl_svq import config
    from openstl_svq.methods import get_method

    given = "-d custom -m simvp_svq --cfg_options in_shape=[2,1,8,8] hid_S=4 hid_T=8 N_S=2 N_T=2 "
    args = vars(config.resolve([*given.split(), "quantizer_kwargs.codebook_size=8"]))
    statistics = {"test_mean": torch.zeros(1), "test_std": torch.ones(1)}
    method = get_method("simvp_svq").cls(steps_per_epoch=1, save_dir="", **statistics, **args)

    def save(change):
        path = tmp_path_factory.mktemp("run") / "a.ckpt"
        state = {key: change(value.clone()) for key, value in method.state_dict().items()}
        checkpoint.save({"state_dict": state, "hyper_parameters": dict(method.hparams)}, path)
        return path

    return save


def test_weights_that_are_not_finite_forecast_nothing(trained):
    path = trained(lambda value: value.index_fill_(0, torch.tensor(0), float("nan")) if value.ndim > 3 else value)
    with pytest.raises(ValueError, match="a.ckpt holds weights that are NaN or infinite, in model.enc"):
        openstl_svq.load(path)


def test_a_forecast_that_is_not_finite_is_refused(trained):
    model = openstl_svq.load(trained(lambda value: value * 1e30 if value.is_floating_point() else value))
    with pytest.raises(ValueError, match="the forecast has values that are NaN or infinite"):
        model.predict(np.ones((2, 1, 8, 8)) * 0.5, check_range=False)


def test_weights_of_double_precision_stay_so(trained):
    def precise(value):
        return value.double() * (1 + 1e-12) if value.is_floating_point() else value

    path = trained(precise)
    model = openstl_svq.load(path)
    for key, value in torch.load(path, weights_only=True)["state_dict"].items():
        assert torch.equal(model.state_dict()[key], value), key
    frames = np.random.default_rng(0).random((2, 1, 8, 8))
    whole = model(torch.from_numpy(frames)[None])[0].detach().numpy()
    assert np.array_equal(model.predict(frames), whole) and whole.dtype == np.float64


def val_losses(folder):
    rows = csv.DictReader((folder / "csv" / "version_0" / "metrics.csv").open())
    return [float(row["val_loss"]) for row in rows if row["val_loss"]]


# What the lines of a run begin with.
LINES = (
    "host:",
    "data:",
    "protocol:",
    "method:",
    "epoch ",
    "forecast",
    "model",
    "persistence",
    "climatology",
    "skill",
    "run folder:",
)


def test_two_processes_validate_as_one(words, run, tmp_path):  # noqa: F811
    """IncepU has no batch norm, and the rate is 0 to all intents: the weights stay the same."""
    settings = words("model_type='IncepU'", "hid_T=16", "lr=1e-20", "drop_path=0.0", epochs=1)
    one = val_losses(run("train", settings) / "run")
    process = started("tools/train.py", *settings, "--strategy", "ddp", "--gpus", "0", "1", "--ex_name", "two")
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 0, text
    strange = [line for line in text.splitlines() if line and not line.startswith(LINES)]
    assert not strange  # of Lightning, torch or a second process
    assert val_losses(tmp_path / "runs" / "two") == pytest.approx(one, rel=1e-6)


def test_runs_that_start_together_have_a_folder_each(tmp_path):
    (tmp_path / "run").mkdir()  # an empty one is free
    claim = (
        "import pathlib, sys; from openstl_svq.training.run_folder import claim_folder; "
        f"print(claim_folder(pathlib.Path({str(tmp_path)!r}), 'run'), flush=True); sys.stdin.read()"
    )
    processes = [started("-c", claim, stdin=subprocess.PIPE) for _ in range(3)]
    names = [next(line.strip() for line in process.stdout if line.startswith("run")) for process in processes]
    assert sorted(names) == ["run", "run-2", "run-3"]
    for process in processes:
        process.communicate()


@pytest.fixture
def one_epoch(words, run):  # noqa: F811
    """A finished run of one epoch."""
    return run("train", words(epochs=1)) / "run"


def test_what_a_resumed_run_would_not_do_is_refused(one_epoch, run, words):  # noqa: F811
    resume = ["--resume", str(one_epoch), "--data_root", words()[5]]
    for extra, message in (
        (["--lr", "0.01"], "with lr 0.001, not 0.01"),
        (["--weight_decay", "0.1"], "with weight_decay 0.0, not 0.1"),
        (["--opt_betas", "0.8", "0.9"], "with opt_betas None, not [0.8, 0.9]"),
        (["--epoch", "3"], "its cosine schedule ends after 1"),
    ):
        assert message in fails(run, [*resume, *extra])
    other = [*words(name="other", epochs=1), "--ckpt_path", str(one_epoch / "checkpoints" / "best.ckpt")]
    assert "--ckpt_path is the checkpoint that --test scores" in fails(run, other)
    assert not (one_epoch.parent / "other").exists()


def test_a_run_is_continued_by_one_process(one_epoch, run, words, monkeypatch):  # noqa: F811
    run_folder.release_folder(one_epoch)
    monkeypatch.setattr(run_folder, "_PATIENCE_SECONDS", 1)
    hold = f"import sys; from openstl_svq.training.run_folder import _lock, Path; print(_lock(Path({str(one_epoch)!r})), flush=True); sys.stdin.read()"
    with started("-c", hold, stdin=subprocess.PIPE) as other:
        assert other.stdout.readline() == "True\n"
        message = fails(run, ["--resume", str(one_epoch), "--data_root", words()[5]])
        other.stdin.close()
    assert f"{one_epoch} is in use: another process goes on with that run" in message


def test_a_run_that_could_not_begin_leaves_its_name_free(run, words, tmp_path):  # noqa: F811
    fails(run, [*words(), "--data_root", "/nowhere"])
    assert not (tmp_path / "runs" / "run").exists()


def test_other_data_are_normalised_as_in_the_training(one_epoch, run, words, data_root, tmp_path, capsys):  # noqa: F811
    """With another training year, of which only the statistics would matter to a test."""
    other = tmp_path / "other"
    shutil.copytree(data_root, other)
    (path,) = other.rglob("*_2010_*.nc")
    with xr.open_dataset(path) as data:
        changed = (data * 1.5).load()
    changed.to_netcdf(path)
    capsys.readouterr()
    run("test", [str(one_epoch), "--data_root", str(other)])
    assert "normalised with the statistics of the training, mean 280" in capsys.readouterr().out
    there, here = (scores(folder)["scores"]["model"] for folder in (one_epoch, one_epoch / "test"))
    assert here["mse"] == there["mse"]


def test_what_killed_writers_left_is_removed(tmp_path):
    process = started("-c", "pass")
    process.wait()
    with replacing(tmp_path / "a.json") as partial:
        partial.write_text("1")
        mine = partial.name
    dead, alive = mine.replace(str(os.getpid()), str(process.pid)), mine.replace(str(os.getpid()), "1")
    for name in (dead, alive):
        (tmp_path / name).touch()
    with replacing(tmp_path / "a.json") as partial:
        partial.write_text("2")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive, "a.json"])


def test_the_torture_finds_nothing_in_damaged_files(tmp_path):
    process = started("tools/torture.py", "--flips", "30", "--truncations", "15", "--folder", str(tmp_path / "torture"))
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 0, text
    rows = {cells[0]: cells[1:] for line in text.splitlines() if (cells := line.strip("| ").split(" | "))}
    assert rows["flips"][0] == "30" and rows["truncations"][0] == "15" and int(rows["flips"][2]) > 5


@pytest.mark.parametrize(
    "given, message",
    [
        (["--gpus", "0", "1", "2", "3"], "4 processes for 2 validation samples: use 2 devices or fewer"),
        (
            ["--gpus", "0", "1", "--batch_size", "9"],
            "2 processes has 8 of the 17 training samples, which make no batch",
        ),
        (
            ["--gpus", "0", "1", "--drop_last"],
            "2 processes has 1 of the 2 validation samples, which make no batch of 2",
        ),
    ],
)
def test_more_than_the_data_can_be_shared_by_is_refused_before_the_training(given, message, words, run, tmp_path):  # noqa: F811
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).random((31, 8, 8), np.float32))
    shared = words("in_shape=[2,1,8,8]", "split=[0.65,0.16,0.19]", name="shared")
    first = shared.index("--cfg_options")
    own = ["-d", "custom", "--data_root", str(path), "--pre_seq_length", "2", "--aft_seq_length", "2"]
    for option in (s for s in list(shared[first:]) if s.split("_time=")[0] in ("train", "val", "test")):
        shared.remove(option)
    assert message in fails(run, [*shared[:first], *own, "--val_batch_size", "2", *given, *shared[first:]])


class RaisesAt(Callback):
    """Raises an error at a batch of an epoch."""

    def __init__(self, epoch, error):
        self.epoch, self.error = epoch, error

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            raise self.error


@pytest.mark.parametrize("epoch, advice", [(0, "It has no last.ckpt yet"), (1, "continue with --resume")])
def test_a_full_disk_is_told_with_the_folder_and_what_is_left(epoch, advice, words, run, also, capsys):  # noqa: F811
    """By a logger, whose error names no file; and on a line of its own, not behind the progress bar."""
    also(RaisesAt(epoch, OSError(errno.ENOSPC, "No space left on device")))
    message = fails(run, words())
    assert re.search(
        rf"^error: the run folder .*run could not be written: No space left on device. .*{advice}", message
    )
    shown = capsys.readouterr()
    assert all(not text or text.endswith("\n") for text in (shown.out, shown.err))


def test_a_full_disk_names_the_file(tmp_path):
    with (
        pytest.raises(OSError, match=r"a.json could not be written: No space left") as raised,
        replacing(tmp_path / "a.json") as partial,
    ):
        partial.touch()
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())


@pytest.mark.parametrize("epoch, said", [(0, False), (1, True)])
def test_earlier_checkpoints_are_spoken_of_where_there_are_some(epoch, said, words, run, also):  # noqa: F811
    class Spoil(Callback):
        def on_validation_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == epoch:
                pl_module._validated += torch.nan

    also(Spoil())
    message = fails(run, words())
    assert f"the validation loss is nan in epoch {epoch}" in message
    assert ("Checkpoints of earlier epochs are intact" in message) == said


def test_batch_norms_are_each_processs_own_where_asked_for(words, run, tmp_path):  # noqa: F811
    """gSTA's; one step and no stochastic depth, so that nothing else differs."""
    settings = [*words("drop_path=0.0", epochs=1), "--total_batch_size", "16", "--batch_size", "16"]
    one = weights(run("train", settings) / "run" / "checkpoints" / "best.ckpt")
    process = started("tools/train.py", *settings, "--gpus", "0", "1", "--no-sync_batchnorm", "--ex_name", "two")
    assert process.wait(timeout=300) == 0, process.stdout.read()
    two = weights(tmp_path / "runs" / "two" / "checkpoints" / "best.ckpt")
    assert max((one[key] - two[key]).abs().max().item() for key in one if "running_var" in key) > 1e-5


def children(process: int) -> list[int]:
    """Those with a rank of their own: what a launcher has started, and no workers."""
    found = [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [p for p in found if b"LOCAL_RANK=" in environment(p)]


def environment(process: int) -> bytes:
    """That of ``process``; empty where it has ended meanwhile."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("launcher, killed", [([], 1), (["-m", "torch.distributed.run", "--nproc-per-node=2"], 0)])
def test_a_killed_process_ends_the_others_with_a_message(launcher, killed, words, run, tmp_path):  # noqa: F811
    settings = words("--gpus", "0", "1", "--total_batch_size", "4", epochs=8)
    process = started(*launcher, "tools/train.py", *settings)
    folder = tmp_path / "runs" / "run"
    while not (folder / "checkpoints" / "last.ckpt").is_file() and process.poll() is None:
        time.sleep(0.05)
    victim = children(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    text = process.communicate(timeout=120)[0]  # ends when all that write to it have ended
    assert time.monotonic() - killed_at < 60 and process.returncode
    (message,) = re.findall("^error: .*", text, flags=re.MULTILINE)
    name = "process 0 of 2" if killed == 0 else rf"process 1 of 2 \(pid {victim} on .*\)"
    assert re.match(rf"error: {name} has died, and so the others end. .* --resume {folder}, on any number", message)
    if launcher:
        return
    run("train", ["--resume", str(folder), "--gpus", "0", "--batch_size", "4"])  # on another number of processes
    assert scores(folder)["provenance"]["epochs"] >= 1
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 7


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_before_they_are_connected(killed, words):  # noqa: F811
    process = started("tools/train.py", *words("--gpus", "0", "1"))
    while not (others := children(process.pid)):  # which has not imported anything by then
        time.sleep(0.05)
    os.kill(others[0] if killed else process.pid, signal.SIGKILL)
    text = process.communicate(timeout=120)[0]
    (message,) = re.findall("^error: .*", text, flags=re.MULTILINE)
    name = (
        rf"process 1 of 2 \(pid {others[0]}\)" if killed else f"the process {process.pid} that has started the others"
    )
    assert re.match(rf"error: {name} has died.* It has no last.ckpt yet: start it again", message)


def of_an_image(tmp_path) -> list[str]:
    folder = tmp_path / "images"
    folder.mkdir()
    for k, image in enumerate(np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)):
        iio.imwrite(folder / f"f{k:02d}.png", image)
    content = (folder / "f07.png").read_bytes()
    (folder / "f07.png").write_bytes(content[:-30] + bytes(30))
    return ["-d", "custom", "--data_root", str(folder), "--num_workers", "2", "--cfg_options", "in_shape=[12,1,8,8]"]


def of_a_text(tmp_path) -> list[str]:
    (tmp_path / "notes.txt").write_text("epoch: 3\n")
    return ["--resume", str(tmp_path / "notes.txt")]


@pytest.mark.parametrize(
    "given, message",
    [
        (of_an_image, "error: the image .*f07.png cannot be read"),
        (of_a_text, "error: .*notes.txt is no checkpoint"),
        (["--cfg_options", "metrics=['mes']"], "error: unknown metrics.* 'mes'. Did you mean 'mse'"),
        (["--metric_for_bestckpt", "val_mse"], "error: unknown metric_for_bestckpt 'val_mse'"),
        (["--sched", "step", "--decay_epoch", "0"], "error: decay_epoch must be a number above 0"),
        (["--resume", "/nowhere/run"], "error: nothing to resume: /nowhere/run does not exist"),
    ],
)
def test_one_message_before_anything_is_trained(given, message, words, run, tmp_path):  # noqa: F811
    found = fails(run, [*words(), *(given(tmp_path) if callable(given) else given)])
    assert re.match(message, found) and "\n" not in found
    assert not list(tmp_path.glob("runs/**/*.ckpt"))
