"""What a run takes for people who try it: loggers, short runs, and what a log file shows."""

import json
from pathlib import Path

import pytest
import torch
from test_train_cli import data_root, fails, run, words  # noqa: F401  (fixtures)

from openstl_svq.training import loggers

ROOT = Path(__file__).parents[1]


def test_one_batch_of_everything_leaves_a_whole_run(words, run):  # noqa: F811
    folder = run("train", words("--fast_dev_run", "--logger", "csv", epochs=7), pictures=True) / "run"
    assert json.loads((folder / "metrics.json").read_text())["scores"]["model"]["mse"] > 0
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 1 and state["hyper_parameters"]["epoch"] == 1
    assert (folder / "checkpoints" / "best.ckpt").is_file() and (folder / "forecast.png").is_file()
    assert not (folder / "tensorboard").exists()


def test_an_epoch_of_so_many_batches(words, run):  # noqa: F811
    folder = run("train", words("--limit_train_batches", "2", epochs=3)) / "run"
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 6 and state["hyper_parameters"]["steps_per_epoch"] == 2


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_logger_writes_into_the_run_folder(name, words, run, monkeypatch):  # noqa: F811
    pytest.importorskip(name, reason=f"{name} is not installed")
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    folder = run("train", words("--fast_dev_run", "--logger", name)) / "run"
    assert any(path.is_file() for path in (folder / name).rglob("*"))
    assert list(folder.glob("csv/*/metrics.csv"))


def test_a_logger_that_is_not_there_is_said_before_the_run(words, run, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'openstl_svq[wandb]'" in fails(run, words("--logger", "wandb"))
    assert "Did you mean 'mlflow'" in fails(run, words("--logger", "mlflw"))
    assert not (tmp_path / "runs").exists()


def test_a_log_file_has_a_line_for_each_epoch_and_no_bar(words, run, capfd):  # noqa: F811
    pytest.importorskip("ipykernel.kernelapp")  # imported, it is no notebook
    run("train", words("--limit_train_batches", "3", epochs=2))
    done = capfd.readouterr()
    lines = (done.out + done.err).splitlines()
    assert [line[:9] for line in lines if line.startswith("epoch ")] == ["epoch 1/2", "epoch 2/2"]
    assert not [line for line in lines if "\r" in line or "it/s" in line]
    assert len(lines) < 20, lines
