"""PredNet and DMVFN through the command lines: they train, resume, are scored, forecast and sweep as every method."""

import numpy as np
import pytest
import torch
from comparison import assert_close
from test_train_cli import fails, run, scores, weights  # noqa: F401  (run is a fixture)

import openstl_svq
from openstl_svq import config
from openstl_svq.methods import ForecastMethod

SMALL = {"prednet": ("stack_sizes=[1,4,6]",), "dmvfn": ("num_features=[8,8]", "scale=[2,1]", "perceptual_weight=0")}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A bright square that moves to the right over grey, 16 x 16, in [0, 1]."""
    path = tmp_path_factory.mktemp("video") / "video.npy"
    frames = np.full((60, 16, 16), 0.2, dtype=np.float32)
    for k, frame in enumerate(frames):
        frame[4:8, np.arange(k, k + 4) % 16] = 0.9
    np.save(path, frames)
    return path


@pytest.fixture
def words(video, tmp_path):
    def build(method, *extra, name="run", epochs=2, data=video, normalise="none"):
        return [
            *("-d", "custom", "-m", method, "--data_root", str(data), "--res_dir", str(tmp_path / "runs")),
            *("--ex_name", name, "--epoch", str(epochs), "--batch_size", "4", "--val_batch_size", "3"),
            *("--num_workers", "0", "--accelerator", "cpu", "--sched", "cosine", "--lr", "1e-3"),
            *("--pre_seq_length", "3", "--aft_seq_length", "2", "--cfg_options", "in_shape=[3,1,16,16]"),
            *(f"normalise={normalise}", *SMALL[method], *extra),
        ]

    return build


@pytest.mark.parametrize("method", SMALL)
def test_an_interrupted_run_ends_like_an_uninterrupted_one_and_forecasts(words, run, monkeypatch, method, video):  # noqa: F811
    runs = run("train", words(method, name="whole"))

    def interrupt(self, batch, batch_idx, original=ForecastMethod.training_step):
        if self.current_epoch == 1 and batch_idx == 1:
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ForecastMethod, "training_step", interrupt)
        fails(run, words(method, name="cut"))
    run("train", ["--resume", str(runs / "cut"), "--data_root", str(video)])
    whole, cut = (weights(runs / folder / "checkpoints" / "last.ckpt") for folder in ("whole", "cut"))
    for key in whole:
        assert torch.equal(whole[key], cut[key]), key
    assert scores(runs / "whole")["scores"] == scores(runs / "cut")["scores"]
    assert np.isfinite(scores(runs / "whole")["scores"]["model"]["mse"])

    trained, frames = openstl_svq.load(runs / "whole"), np.load(video)[:3, None]
    forecast = trained.predict(frames, steps=5)
    assert forecast.shape == (5, 1, 16, 16) and forecast.min() >= 0 and forecast.max() <= 1
    assert_close(trained.predict(frames, steps=2), forecast[:2])
    out = runs / "forecast.npz"
    run("predict", [str(runs / "whole"), str(video), "--out", str(out), "--device", "cpu"])
    assert np.isfinite(np.load(out)["frames"]).all()


@pytest.mark.parametrize("method", SMALL)
def test_loss_falls(words, run, method):  # noqa: F811
    from openstl_svq.config_file import load_config

    folder = run("train", words(method, "lr=5e-3", epochs=6)) / "run"
    lines = (folder / "csv" / "version_0" / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("train_loss_epoch")
    losses = [float(v) for line in lines[1:] if (v := line.split(",")[column])]
    assert losses[-1] < 0.8 * losses[0]
    assert load_config(folder / "config.py")["method"] == method


def test_a_sweep_compares_them(words, run, capsys):  # noqa: F811
    line = words("prednet", epochs=1)
    line = [*line[: line.index("--ex_name")], *line[line.index("--ex_name") + 2 :]]
    run("sweep", [*line, "--grid", "weight_mode=L_0,L_all", "-ex", "modes", "--baseline", "weight_mode=L_0"])
    assert "L_all" in capsys.readouterr().out


@pytest.mark.parametrize("method", SMALL)
def test_values_that_it_could_never_forecast_are_refused_before_training(words, run, method):  # noqa: F811
    message = fails(run, words(method, normalise="standard"))
    assert "forecasts values in [0, pixel_max=1]" in message and "pixel_max=None" in message
    run("train", words(method, "pixel_max=None", normalise="standard", epochs=1))


def test_the_missing_file_of_the_perceptual_loss_is_named_before_training(words, run, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    message = fails(run, words("dmvfn", "perceptual_weight=0.5"))
    assert f"vgg19-dcbb9e9d.pth at {tmp_path}" in message and "perceptual_weight=0" in message


@pytest.mark.parametrize(
    "method, options, message",
    [
        ("dmvfn", ["pre_seq_length=1", "in_shape=[1,1,16,16]"], "in_shape has 1: set pre_seq_length to 2 or more"),
        ("dmvfn", ["in_shape=[3,1,20,16]", "scale=[4,1]"], "frames of 16 x 16"),
        ("dmvfn", ["perceptual_weight=-1"], "perceptual_weight must be a number 0 or more, got -1"),
        ("dmvfn", ["gamma=2"], "gamma must be a number above 0 to 1, got 2"),
        ("dmvfn", ["num_feature=[8]"], "unknown configuration key 'num_feature'.*'num_features'"),
        ("prednet", ["in_shape=[3,1,18,16]"], "18 x 16 cannot be divided by 4.*frames of 16 x 16"),
        ("prednet", ["weight_mode=L_1"], "unknown weight_mode 'L_1'.*Available: L_0, L_all"),
    ],
)
def test_what_cannot_be_is_said_before_data_are_loaded(words, method, options, message):
    with pytest.raises(ValueError, match=message):
        config.resolve([*words(method), *options])
