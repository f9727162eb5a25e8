"""Sharing: the folder that goes to the Hub, its card, what comes back from it, and the packaged model."""

import json
import re
import shlex
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close
from running import run_tool
from test_export import make

import openstl_svq
from openstl_svq import config
from openstl_svq.predict import hub
from openstl_svq.training import checkpoint

SCORES = {"model": {"mse": 1.5, "mse_by_lead": [1.0, 2.0]}, "persistence": {"mse": 3.0}}


@pytest.fixture
def model(tmp_path):
    """Loaded from a run folder with scores."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    made = make("gsta", tmp_path)
    hparams = dict(made.hparams) | {"data_root": "/home/somebody/data"}
    checkpoint.save({"state_dict": made.state_dict(), "hyper_parameters": hparams}, run / "checkpoints" / "best.ckpt")
    provenance = {"seed": 3, "checkpoint": "/home/somebody/best.ckpt"}
    (run / "metrics.json").write_text(json.dumps({"scores": SCORES, "provenance": provenance}))
    return openstl_svq.load(run)


def frames():
    return (
        torch.randn(4, 2, 16, 16, generator=torch.Generator().manual_seed(1)) * 5
        + torch.tensor([280.0, 50.0])[:, None, None]
    )


@pytest.mark.parametrize("keep", [False, True])
def test_a_folder_is_loaded_again_and_carries_its_card(model, tmp_path, keep):
    folder = tmp_path / "shared"
    model.save_pretrained(folder, keep_codebook=keep, model_card_kwargs={"licence": "cc-by-4.0"})
    again = openstl_svq.load(folder)
    assert_close(again.predict(frames()), model.predict(frames()), rtol=1e-5, atol=1e-4)
    assert any("codebook" in name for name in again.state_dict()) is keep
    card = (folder / "README.md").read_text()
    assert "license: cc-by-4.0" in card.split("---")[1] and "| model | 1.5 |" in card and "## Intended use" in card
    assert "unit: K" in card and "time step: 6 h" in card and "seed 3" in card
    assert not [p.name for p in folder.iterdir() if "somebody" in p.read_bytes().decode("latin-1")]
    shutil.rmtree(tmp_path / "run")  # a model that is shared again keeps its scores
    again.save_pretrained(tmp_path / "second")
    assert "| persistence | 3 |" in (tmp_path / "second" / "README.md").read_text()


def test_to_the_hub_and_back(model, tmp_path, monkeypatch):
    """The Hub is a folder here: what is uploaded is what is downloaded."""
    place = tmp_path / "hub"

    def create(self, repo_id, **_):
        return type("Url", (), {"repo_id": repo_id})()

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create)

    def upload(self, *, repo_id, folder_path, **_):
        return shutil.copytree(folder_path, place / repo_id)

    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    monkeypatch.setattr(hub, "snapshot_download", lambda repo, revision, **_: place / repo)
    model.push_to_hub("user/name", keep_codebook=True)
    assert 'openstl_svq.load("hf://user/name")' in (place / "user" / "name" / "README.md").read_text()
    for again in (openstl_svq.load("hf://user/name"), type(model).from_pretrained(place / "user" / "name")):
        assert_close(again.predict(frames()), model.predict(frames()), rtol=1e-5, atol=1e-4)
        assert any("codebook" in name for name in again.state_dict())
    (place / "user" / "name" / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match="no model that push_to_hub of this package wrote"):
        openstl_svq.load("hf://user/name")


def test_no_network_and_no_such_name_are_one_message(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    download = hub.snapshot_download

    def here(repo, **more):
        return download(repo, endpoint="http://127.0.0.1:9", cache_dir=tmp_path, **more)

    monkeypatch.setattr(hub, "snapshot_download", here)
    with pytest.raises(ConnectionError, match="hf://user/name: the Hub cannot be reached.*Give a local folder"):
        openstl_svq.load("hf://user/name")
    with pytest.raises(ValueError, match="hf://a/b/c: the name of a model on the Hub is hf://USER/NAME"):
        openstl_svq.load("hf://a/b/c")

    def nobody(repo, **_):
        response = type("Response", (), {"headers": {}, "status_code": 404, "request": None})()
        raise huggingface_hub.errors.RepositoryNotFoundError("404 Client Error", response=response)

    monkeypatch.setattr(hub, "snapshot_download", nobody)
    with pytest.raises(FileNotFoundError, match="the Hub has no such model, or it is private"):
        openstl_svq.load("hf://user/nam")


def test_the_packaged_model_forecasts_better_than_persistence():
    from openstl_svq.data import load_data

    (name,) = hub.list_packaged()
    assert sum(p.stat().st_size for p in (hub.PACKAGED / name).iterdir()) < 1e6
    model = openstl_svq.load(name)
    test = load_data(name, 1, 1, 0, ".")[2].dataset
    x, y = (np.stack(part) * test.std[0] + test.mean[0] for part in zip(*(test[i] for i in range(0, len(test), 25))))
    error, persistence = (((f - y) ** 2).mean((0, 2, 3, 4)) for f in (model.predict(x), x[:, -1:]))
    assert error.mean() < 0.5 * persistence.mean()
    # One window of 25, all through the test year: what the card says of all of them, at every lead time.
    recorded = model.score()
    for found, forecast in ((error, "model"), (persistence, "persistence")):
        np.testing.assert_allclose(found.mean(), recorded[forecast]["mse"], rtol=0.05)
        np.testing.assert_allclose(found, recorded[forecast]["mse_by_lead"], rtol=0.1)


def test_the_packaged_model_says_how_it_was_made(tmp_path):
    """Its card is the one that the commands in it would write, and the first of them trains what it holds."""
    (name,) = hub.list_packaged()
    text = (hub.PACKAGED / name / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (python tools/.*)$", text, flags=re.MULTILINE)
    model = openstl_svq.load(name)
    assert text == f"{model.generate_model_card(name=name, made_with=chr(10).join(commands))}\n"
    train, export = (shlex.split(command)[1:] for command in commands)
    args = vars(config.resolve(train[1:]))
    changed = {key for key in args.keys() & model.hparams.keys() if args[key] != model.hparams[key]}
    assert changed <= {"config_file", "ex_name", "num_workers", "save_dir", "plugins"}, changed
    assert export[0] == "tools/export.py" and Path(export[-1]).name == name


def test_the_packaged_model_forecasts_from_the_command_line(tmp_path):
    folder = Path(openstl_svq.__file__).parent / "data" / "weather_sample" / "weather" / "2m_temperature"
    out = tmp_path / "forecast.nc"
    run_tool("predict", "weather_sample", folder, "-o", out)
    with xr.open_dataset(out) as forecast:
        assert forecast.attrs["checkpoint"] == "weather_sample" and forecast["t2m"].notnull().all()
