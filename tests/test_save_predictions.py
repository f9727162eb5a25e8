"""--save_predictions: every input, prediction and truth of a test as files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from comparison import assert_close
from running import run_tool
from test_own_data import LAND, field, hourly, mid_months, train

from openstl_svq.predict import write_predictions
from openstl_svq.training.predictions import RowFile

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on monthly anomalies of a field with land, whose latitudes fall: the data, the experiment, its scores."""
    folder = tmp_path_factory.mktemp("run")
    data = field(mid_months(72), land=LAND).isel(lat=slice(None, None, -1))
    data.to_netcdf(folder / "sst.nc")
    experiment, scores, _ = train(
        folder / "sst.nc", folder, mask="land", anomaly="monthly", save_predictions=True, split=[0.6, 0.2, 0.2]
    )
    write_predictions(experiment)
    return data, experiment, scores


def load(experiment, folder="saved"):
    return [np.load(experiment.save_dir / folder / f"{name}.npy") for name in ("inputs", "preds", "trues")]


def test_arrays_are_in_the_unit_of_the_data_in_the_order_of_the_test(run):
    data, experiment, scores = run
    inputs, preds, trues = load(experiment)
    windows = np.lib.stride_tricks.sliding_window_view(data.values[58:], 6, axis=0).transpose(0, 3, 1, 2)[:, :, None]
    windows = windows[-len(inputs) :]
    assert len(inputs) == len(experiment.data.test_loader.dataset) and preds.dtype == np.float32
    assert_close(np.nan_to_num(inputs), np.nan_to_num(windows[:, :4]), rtol=1e-5)
    assert_close(np.nan_to_num(trues), np.nan_to_num(windows[:, 4:]), rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(preds), np.broadcast_to(LAND[::-1], preds.shape))
    assert_close(np.nanmean((preds - trues).astype("f8") ** 2), scores["model"]["mse"], rtol=1e-4)
    assert {path.name for path in (experiment.save_dir / "saved").iterdir()} == {
        "inputs.npy", "preds.npy", "trues.npy", "predictions.nc"
    }  # fmt: skip


def test_netcdf_has_the_data_s_grid_and_valid_times(run):
    data, experiment, _ = run
    _, preds, trues = load(experiment)
    saved = xr.open_dataset(experiment.save_dir / "saved" / "predictions.nc")
    assert saved["sst"].dims == ("init_time", "lead_time", "lat", "lon") and saved["sst"].attrs["units"] == "degC"
    np.testing.assert_array_equal(saved["lat"], data["lat"])
    np.testing.assert_array_equal(saved["sst"], preds[:, :, 0])
    first = saved["sst_truth"][0]
    assert_close(np.nan_to_num(first), np.nan_to_num(data.sel(time=first["valid_time"].values).values), rtol=1e-5)
    assert saved["lead_time"].values.tolist() == [1, 2] and saved["lead_time"].attrs["units"] == "months"


def test_the_test_command_saves_what_the_run_did(run, monkeypatch, capsys):
    data, experiment, _ = run
    monkeypatch.setattr("openstl_svq.figures.draw_run", lambda run: None)
    run_tool("test", experiment.save_dir, "--save_predictions", "--no_display_method_info")
    assert "test/saved/{inputs.npy,preds.npy,trues.npy,predictions.nc}" in capsys.readouterr().out
    for again, before in zip(load(experiment, "test/saved"), load(experiment)):
        assert_close(np.nan_to_num(again), np.nan_to_num(before), rtol=1e-6)


def test_images_and_dropped_batches(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (60, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "film.npy", frames)
    experiment, _, _ = train(
        tmp_path / "film.npy", tmp_path, 3, size=(16, 16), save_predictions=True, drop_last=True, val_batch_size=4
    )
    write_predictions(experiment)
    inputs, _, trues = load(experiment)
    windows = len(experiment.data.test_loader.dataset)
    assert windows == 10 and len(inputs) == len(trues) == 8  # two batches of 4
    assert_close(inputs[0], frames[45:49].transpose(0, 3, 1, 2) / np.float32(255))
    assert not (experiment.save_dir / "saved" / "predictions.nc").exists()


def test_nothing_is_saved_unless_asked_for(tmp_path):
    field(hourly(40)).to_netcdf(tmp_path / "sst.nc")
    experiment, _, _ = train(tmp_path / "sst.nc", tmp_path)
    write_predictions(experiment)
    assert not (experiment.save_dir / "saved").exists()


def test_two_processes_score_as_one_and_write_the_same_files(tmp_path):
    field(hourly(44)).to_netcdf(tmp_path / "sst.nc")
    alone, scores, _ = train(tmp_path / "sst.nc", tmp_path, save_predictions=True)
    words = [str(alone.save_dir), "--save_predictions", "--gpus", "0", "1", "--val_batch_size", "2"]
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "test.py", *words, "--batch_size", "4"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    together = json.loads((alone.save_dir / "test" / "metrics.json").read_text())["scores"]["model"]
    assert {name: together[name] for name in ("mse", "mae", "rmse")} == pytest.approx(
        {name: scores["model"][name] for name in ("mse", "mae", "rmse")}, rel=1e-6
    )
    files = load(alone), load(alone, "test/saved")
    assert len(files[0][0]) % 4, "the shares of the processes are to end with batches of unequal size"
    for one, other in zip(*files):
        assert_close(one, other, rtol=1e-6)
    assert (alone.save_dir / "test" / "saved" / "predictions.nc").is_file()


def test_rows_are_kept_in_any_order(tmp_path):
    RowFile(tmp_path / "rows.npy", (5, 2, 3), create=True)
    values = np.arange(30, dtype=np.float32).reshape(5, 2, 3)
    for places in ([1, 4], [0, 2]):
        RowFile(tmp_path / "rows.npy", (5, 2, 3), create=False).write(places, values[places])
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy")[[0, 1, 2, 4]], values[[0, 1, 2, 4]])
    RowFile(tmp_path / "rows.npy", (5, 2, 3), create=False).keep(np.array([0, 2, 4]))
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), values[[0, 2, 4]])
