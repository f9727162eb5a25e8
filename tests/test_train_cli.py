"""Runs through the real command lines, on a small series of weather-like fields."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from running import run_tool

import openstl_svq
from openstl_svq.config_file import load_config
from openstl_svq.host import SimVP
from openstl_svq.methods import ForecastMethod
from openstl_svq.training import run_folder

ROOT = Path(__file__).parents[1]
TIMES = ("train_time=['2010','2010']", "val_time=['2011','2011']", "test_time=['2012','2012']")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """Waves that travel east: 40 hours a year, so 17 windows of 12 -> 12."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "weather" / "2m_temperature"
    folder.mkdir(parents=True)
    lat, lon = np.linspace(-87.1875, 87.1875, 32), np.arange(64) * 5.625
    for year in (2010, 2011, 2012):
        time = np.datetime64(f"{year}-01-01") + np.arange(40) * np.timedelta64(1, "h")
        phase = np.deg2rad(lon)[None, None, :] - np.arange(40)[:, None, None] / 7 + year
        values = 280 + 10 * np.cos(np.deg2rad(lat))[None, :, None] * np.sin(2 * phase)
        xr.Dataset(
            {"t2m": (("time", "lat", "lon"), values.astype("float32"))}, {"time": time, "lat": lat, "lon": lon}
        ).to_netcdf(folder / f"2m_temperature_{year}_5.625deg.nc")
    return root


@pytest.fixture
def words(data_root, tmp_path):
    """A command line of a small model; extra words follow."""

    def build(*extra, method="simvp_svq", name="run", epochs=2):
        return [
            "-d",
            "weather_t2m_5_625",
            "-m",
            method,
            "--data_root",
            str(data_root),
            "--res_dir",
            str(tmp_path / "runs"),
            "--ex_name",
            name,
            "--epoch",
            str(epochs),
            "--batch_size",
            "4",
            "--val_batch_size",
            "5",
            "--num_workers",
            "0",
            "--accelerator",
            "cpu",
            "--lr",
            "1e-3",
            "--sched",
            "cosine",
            "--drop_path",
            "0.2",
            "--cfg_options",
            "hid_S=4",
            "hid_T=8",
            "N_S=2",
            "N_T=2",
            "quantizer_kwargs.codebook_size=20",
            *TIMES,
            *extra,
        ]

    return build


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a tool in this process as the command line does; returns the folder of the runs.

    Without pictures where they are not asked for: drawing them takes longer than these runs.
    """

    def call(tool, words, pictures=False):
        with monkeypatch.context() as patch:
            if not pictures:
                patch.setattr("openstl_svq.figures.draw_run", lambda run: None)
            run_tool(tool, *words)
        return tmp_path / "runs"

    return call


def fails(run, words, tool="train"):
    """The message with which the tool ends."""
    with pytest.raises(SystemExit) as ended:
        run(tool, words)
    assert ended.value.code not in (0, None)
    return str(ended.value.code)


def scores(folder):
    return json.loads((folder / "metrics.json").read_text())


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_run_from_the_shell_leaves_everything_that_it_promises(words, tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "train.py"), *words()]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "OPENSTL_SVQ_HOST": "builtin", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "run"
    for expected in (
        "persistence",
        "climatology",
        f"run folder: {folder}",
        "epoch 2/2",
        "protocol: strict",
        "host: builtin",
    ):
        assert expected in done.stdout + done.stderr
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {
        "config.py",
        "metrics.json",
        "metrics.csv",
        "forecast.png",
        "training.png",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "csv/version_0/metrics.csv",
    } <= names
    assert any(n.startswith("tensorboard/events") for n in names)
    assert load_config(folder / "config.py")["quantizer_kwargs"] == {"codebook_size": 20}
    logged = list(csv.DictReader((folder / "csv/version_0/metrics.csv").open()))
    assert {"train_loss_epoch", "val_loss", "aux_loss"} <= set(logged[0])
    assert "model.quantizer.codebook" in weights(folder / "checkpoints" / "best.ckpt")


def test_test_repeats_the_scores_of_the_best_weights(words, run):
    runs = run("train", words())
    run("test", [str(runs / "run")])
    assert scores(runs / "run" / "test")["scores"] == scores(runs / "run")["scores"]
    run("test", [str(runs / "run" / "checkpoints" / "last.ckpt"), "--val_batch_size", "3"])
    assert (runs / "run" / "test-2" / "metrics.json").is_file()


@pytest.mark.parametrize(
    "extra",
    [(), ("--noise_ratio=0.3", "--sched=onecycle"), ("--num_workers=2", "--use_augment")],
    ids=["plain", "noise", "augmenting workers"],
)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(words, run, monkeypatch, extra):
    runs = run("train", words(name="whole", epochs=4) + list(extra))

    def interrupt(self, batch, batch_idx, original=ForecastMethod.training_step):
        if self.current_epoch == 2 and batch_idx == 1:
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ForecastMethod, "training_step", interrupt)
        fails(run, words(name="cut", epochs=4) + list(extra))
    assert not (runs / "cut" / "metrics.json").exists()
    run("train", ["--resume", str(runs / "cut"), "--data_root", words()[5]])
    for name in ("best", "last"):
        whole, cut = (weights(runs / folder / "checkpoints" / f"{name}.ckpt") for folder in ("whole", "cut"))
        for key in whole:
            assert torch.equal(whole[key], cut[key]), key
    assert scores(runs / "whole")["scores"] == scores(runs / "cut")["scores"]


def test_early_stopping_and_none_position(words, run, capsys):
    runs = run("train", words("lr=0.5", "patience=1", "quant_position='none'", epochs=8))
    rows = csv.DictReader((runs / "run" / "csv" / "version_0" / "metrics.csv").open())
    losses = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    assert 2 <= len(losses) < 8
    assert losses[-1] >= losses[-2] == min(losses)
    state = torch.load(runs / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert state["epoch"] == len(losses) - 2
    assert not any("quantizer" in key for key in state["state_dict"])

    last = (runs / "run" / "checkpoints" / "last.ckpt").read_bytes()  # a run that has stopped stays as it is
    capsys.readouterr()
    run("train", ["--resume", str(runs / "run"), "--data_root", words()[5]])
    assert "stopped early: val_loss has not improved for 1 epochs" in capsys.readouterr().out
    assert (runs / "run" / "checkpoints" / "last.ckpt").read_bytes() == last
    run("train", ["--resume", str(runs / "run"), "--data_root", words()[5], "--patience", "3"])  # waits longer now
    assert (runs / "run" / "checkpoints" / "last.ckpt").read_bytes() != last


def test_a_one_cycle_run_is_not_made_longer(words, run):
    runs = run("train", [*words(epochs=1), "--sched=onecycle"])
    before = (runs / "run" / "config.py").read_bytes()
    message = fails(run, ["--resume", str(runs / "run"), "--data_root", words()[5], "--epoch", "2"])
    assert "cannot be trained for 2 epochs: its one-cycle schedule ends after 1" in message
    assert (runs / "run" / "config.py").read_bytes() == before


def test_a_quantizer_defined_in_the_configuration_file_without_usage(words, run, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("""
from openstl_svq.quantizers import Quantizer, QuantizerOutput, register_quantizer

@register_quantizer("halve_of_a_file", "divides by two")
class HalveOfAFile(Quantizer):
    def quantize(self, z, *, return_codes, return_usage):
        return QuantizerOutput(z / 2, z.new_zeros(()))

quantizer = "halve_of_a_file"
""")
    extra = [word for word in words(epochs=1) if "codebook_size" not in word]
    runs = run("train", [*extra, "-c", str(file)])
    run("train", [*extra, "-c", str(file)])  # the file is read twice in one process
    assert scores(runs / "run-2")["scores"]["model"]["mse"] > 0


def test_usage_is_logged_at_its_own_interval(words, run):
    runs = run("train", words("usage_interval=3", epochs=2))
    rows = list(csv.DictReader((runs / "run" / "csv" / "version_0" / "metrics.csv").open()))
    used = [row for row in rows if row["quantizer/perplexity"]]
    assert [(int(row["step"]), int(row["epoch"])) for row in used] == [(0, 0), (3, 0), (6, 1)]
    assert len({row["quantizer/perplexity"] for row in used}) == 3


@pytest.mark.parametrize("precision", ["64", "bf16-true"])
def test_pictures_in_any_precision(words, run, precision):
    runs = run("train", words(f"precision='{precision}'", epochs=1), pictures=True)
    assert (runs / "run" / "forecast.png").is_file() and (runs / "run" / "training.png").is_file()


def test_a_picture_that_cannot_be_drawn_costs_nothing_else(words, run, monkeypatch, capsys):
    def broken(*args, **kwargs):
        raise RuntimeError("no ink")

    monkeypatch.setattr("openstl_svq.figures.forecast.plot_forecast", broken)
    with pytest.warns(UserWarning, match="forecast.png could not be drawn .RuntimeError: no ink"):
        runs = run("train", words(epochs=1), pictures=True)
    assert (runs / "run" / "training.png").is_file() and "run folder" in capsys.readouterr().out


def test_scores_say_which_weights_they_are_of(words, run, capsys):
    runs = run("train", words())
    provenance = scores(runs / "run")["provenance"]
    assert provenance["checkpoint"].endswith("best.ckpt") and provenance["epochs"] in (1, 2)
    assert provenance["train_seconds"] > 0 and provenance["parameters"] > 0 and provenance["flops"] > 0
    capsys.readouterr()
    run("test", [str(runs / "run" / "checkpoints" / "last.ckpt")])
    provenance = scores(runs / "run" / "test")["provenance"]
    assert provenance["checkpoint"].endswith("last.ckpt") and provenance["epochs"] == 2
    assert provenance["openstl_svq"] == openstl_svq.__version__
    assert load_config(runs / "run" / "test" / "config.py")["hid_S"] == 4
    assert "protocol: strict" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["plain", "group/run", "a[1]"])
def test_a_folder_with_results_is_taken(name, tmp_path, monkeypatch):
    for variable in ("LOCAL_RANK", "OPENSTL_SVQ_EX_NAME"):
        monkeypatch.delenv(variable, raising=False)
    for expected in (name, f"{name}-2", f"{name}-3"):
        assert run_folder.claim_folder(tmp_path, name) == expected
        (tmp_path / expected / "config.py").touch()
    monkeypatch.setenv("LOCAL_RANK", "1")  # a process that Lightning has started
    assert run_folder.claim_folder(tmp_path, name) == f"{name}-3"


def test_processes_of_a_launcher_agree_on_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENSTL_SVQ_EX_NAME", raising=False)
    for variable, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "RANK": "1"}.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.py").touch()
    assert run_folder.claim_folder(tmp_path, "run") == "run"  # whatever the first process has written by now
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ValueError, match="holds an earlier run. Give this one another --ex_name"):
        run_folder.claim_folder(tmp_path, "run")
    assert run_folder.claim_folder(tmp_path, "fresh") == "fresh"


def test_nothing_is_overwritten_by_a_second_run(words, run):
    runs = run("train", words(epochs=1))
    before = (runs / "run" / "metrics.json").read_bytes()
    run("train", words(epochs=1, method="simvp"))
    assert (runs / "run" / "metrics.json").read_bytes() == before
    assert load_config(runs / "run-2" / "config.py")["method"] == "simvp"


@pytest.mark.parametrize(
    "extra",
    [
        ("aft_seq_length=15",),
        ("aft_seq_length=5",),
        ("protocol='openstl'",),
        ("quant_position='after'", "loss='huber'"),
        ("opt='adamw'", "clip_grad=0.1"),
        ("precision='bf16-mixed'",),
    ],
    ids=lambda e: e[0],
)
def test_other_settings_run(words, run, extra):
    assert "model" in scores(run("train", words(*extra, epochs=1)) / "run")["scores"]


@pytest.mark.parametrize("method", ["simvp", "tau", "tau_svq"])
def test_other_methods_run(words, run, method):
    found = scores(run("train", words(method=method, epochs=1)) / "run")["scores"]
    assert found["model"]["mse"] > 0 and found["persistence"]["mse"] > 0


def test_a_loss_that_the_method_does_not_use_is_refused(words, run, monkeypatch):
    """As OpenSTL's recurrent methods, whose models compute their loss."""

    def step(self, batch, batch_idx):
        return (self(*batch) - batch[1]).pow(2).mean()

    monkeypatch.setattr(SimVP, "training_step", step)
    assert scores(run("train", words(method="simvp", epochs=1)) / "run")["scores"]["model"]["mse"] > 0
    message = fails(run, words("loss='mae'", method="simvp", epochs=1))
    assert "simvp computes its training loss itself" in message and "--loss mae has no effect" in message


def test_two_processes_train_with_a_moving_codebook(words, tmp_path):
    extra = [*words("quantizer='vq'", epochs=1), "--strategy", "ddp", "--gpus", "0", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "train.py"), *extra],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    state = weights(tmp_path / "runs" / "run" / "checkpoints" / "best.ckpt")
    moved = state["model.quantizer.library._codebook.cluster_size"]
    # From 20 codes, counted once each, its two steps add the tokens of both processes: 2 x 4 inputs of 12 frames of
    # 16 x 32 positions.
    assert moved.sum() == pytest.approx(20 * 0.8**2 + (1 - 0.8**2) * 2 * 4 * 12 * 512, rel=1e-4)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoints(words, run, monkeypatch):
    def explode(self, batch, batch_idx, original=ForecastMethod.training_step):
        if self.current_epoch == 1:
            with torch.no_grad():
                self.model.dec.readout.bias.fill_(float("nan"))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ForecastMethod, "training_step", explode)
    message = fails(run, words(epochs=3))
    assert "training loss is nan in epoch 1" in message and "--clip_grad" in message
    kept = torch.load(Path(words()[7]) / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 0 and all(torch.isfinite(v).all() for v in kept["state_dict"].values())


@pytest.mark.parametrize(
    "extra, message",
    [
        (("--data_root", "/nowhere"), "/nowhere"),
        (("-c", "configs/gone.py"), "configs/gone.py does not exist"),
        (("--quantizer", "svk"), "Did you mean 'svq'"),
        (("--resume",), "nothing to resume"),
        (("--cfg_options", "test_time=['1990','1991']"), "1990"),
        (("--cfg_options", "N_S=12"), "divi"),
        (("--accelerator", "mps" if not torch.backends.mps.is_available() else "gpu"), "--accelerator"),
    ],
)
def test_bad_input_ends_with_one_message(words, run, extra, message):
    assert message in fails(run, words() + list(extra))


def test_a_checkpoint_of_another_architecture(words, run):
    runs = run("train", words(epochs=1))
    assert "another architecture" in fails(run, [str(runs / "run"), "--cfg_options", "hid_T=16"], tool="test")


def test_load_gives_the_trained_method(words, run):
    import openstl_svq

    runs = run("train", words(epochs=1))
    method = openstl_svq.load(runs / "run")
    prediction = method(torch.zeros(1, 12, 1, 32, 64))
    assert prediction.shape == (1, 12, 1, 32, 64) and not method.training
    assert method.hparams.test_mean.shape == (1, 1, 1, 1)


def test_starting_a_run_imports_no_more_than_it_needs():
    """Beside what Lightning imports (which takes matplotlib in through torchmetrics)."""
    heavy = {"pandas", "numba", "skimage", "tensorboard", "lpips", "xarray", "netCDF4", "imageio", "fvcore"}
    code = (
        "import sys, pytorch_lightning; before = set(sys.modules); import openstl_svq.training.experiment, "
        "openstl_svq.config, openstl_svq.figures; print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OPENSTL_SVQ_HOST": "builtin", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert not {*heavy, "matplotlib"} & set(done.stdout.split())
