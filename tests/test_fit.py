"""openstl_svq.fit: training from Python on data in memory, and what the model can do then."""

import gc
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close
from pytorch_lightning.callbacks import Callback
from test_own_data import LAND, field, hourly, mid_months

import openstl_svq
from openstl_svq.training.experiment import test_run as score_run

TINY = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2, "accelerator": "cpu", "no_display_method_info": True}
TINY |= {"quantizer_kwargs": {"codebook_size": 8}, "steps_in": 3, "steps_out": 2, "epochs": 1}


@pytest.fixture(scope="module")
def ocean():
    """Monthly frames with land, in a calendar that xarray has datetime64 for, and a model of them."""
    data = field(mid_months(60), land=LAND)
    return data, openstl_svq.fit(data, mask="land", **TINY)


def test_a_forecast_keeps_times_coordinates_units_and_land(ocean):
    data, model = ocean
    forecast = model.predict(data[:-2])
    assert forecast["time"].values.tolist() == data["time"].values[-2:].tolist()
    assert forecast["lead_time"].values.tolist() == [1, 2]
    assert (forecast.name, forecast.dims, forecast.attrs) == ("sst", data.dims, {"units": "degC"})
    xr.testing.assert_identical(forecast["lat"].reset_coords(drop=True), data["lat"])
    np.testing.assert_array_equal(np.isnan(forecast.values[0]), LAND)


def test_defaults_suit_small_data(ocean):
    _, model = ocean
    hparams = model.hparams
    windows = 60 - 3 * 4
    parts = np.rint(np.array(hparams.split) * 60) - 4
    assert parts.tolist() == [windows - round(0.1 * windows) - round(0.2 * windows), 5, 10]
    assert (hparams.num_workers, hparams.batch_size, hparams.data_name) == (0, 4, "sst")
    assert (hparams.quantizer_lr, hparams.quantizer_kwargs) == ("width", {"residual": True, "codebook_size": 8})
    assert not model.training and model.device.type == "cpu"


def test_scores_are_those_of_the_test_command_on_the_same_frames(ocean, tmp_path, capsys):
    data, model = ocean
    frames = np.rint(np.cumsum(model.hparams.split) * 60).astype(int)
    scores = model.score(data[frames[1] :], climatology=data[: frames[0]])
    recorded = model.score()
    assert {"mse", "mae", "wrmse", "acc", "mse_by_lead"} <= scores["model"].keys() == recorded["model"].keys()
    data.to_netcdf(tmp_path / "sst.nc")
    model.save(tmp_path / "run")
    tested = score_run(tmp_path / "run", ["--data_root", str(tmp_path / "sst.nc"), "--no_display_method_info"])
    again = openstl_svq.load(tested.save_dir.parent).score()
    for name in ("model", "persistence", "climatology"):
        assert_close(scores[name]["mse"], tested.method.test_results[name]["mse"], rtol=1e-6)
        for score, value in scores[name].items():
            assert_close(value, recorded[name][score], rtol=1e-5)
            assert_close(value, again[name][score], rtol=1e-5)
    assert "degC^2" in repr(scores) and "persistence" in repr(scores)
    without = model.score(data[frames[1] :])
    assert without.keys() == {"model", "persistence"} and "acc" not in without["model"]


def test_a_saved_model_is_a_run_folder_that_loads(ocean, tmp_path):
    data, model = ocean
    model.save(tmp_path / "run")
    assert {"config.py", "metrics.json", "csv", "checkpoints"} <= {path.name for path in (tmp_path / "run").iterdir()}
    loaded = openstl_svq.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict(data).values, model.predict(data).values)
    with pytest.raises(ValueError, match="run is there already, and nothing is written over"):
        model.save(tmp_path / "run")
    assert not list(tmp_path.glob(".run*"))
    with pytest.raises(ValueError, match="give data, as in plot.sst."):
        loaded.plot()
    with pytest.raises(ValueError, match="lies in the run's own folder"):
        loaded.save(tmp_path / "run" / "copy")


def test_a_model_without_a_run_is_saved_too(ocean, tmp_path):
    data, model = ocean
    model.save_pretrained(tmp_path / "shared")
    shared = openstl_svq.load(tmp_path / "shared")
    assert shared.folded
    shared.save(tmp_path / "run")
    again = openstl_svq.load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict(data).values, shared.predict(data).values)
    assert again.score() == shared.score() == model.score()
    again.save_pretrained(tmp_path / "shared_again")
    np.testing.assert_array_equal(
        openstl_svq.load(tmp_path / "shared_again").predict(data).values, shared.predict(data).values
    )


def test_a_picture_of_the_test_part_or_of_data(ocean):
    data, model = ocean
    for figure in (model.plot(), model.plot(data[:20])):
        texts = [text.get_text() for axis in figure.axes for text in (axis.title, axis.yaxis.label)]
        assert any("truth" in text for text in texts) and any("RMS" in text for text in texts)


@pytest.mark.parametrize("ask", [lambda m, d: m.score(d), lambda m, d: m.predict(d), lambda m, d: m.plot(d)])
def test_data_unlike_those_trained_on_are_refused(ocean, ask):
    data, model = ocean
    with pytest.raises(ValueError, match="the data is in K, and the model was trained on degC"):
        ask(model, (data + 273.15).assign_attrs(units="K"))
    with pytest.raises(ValueError, match="values of channel 0 go from .* Give them in the same unit"):
        ask(model, (data + 273.15).assign_attrs({}))
    with pytest.raises(ValueError, match="lon goes from 1 to 331, and the model was trained on 0 to 330"):
        ask(model, data.assign_coords(lon=data["lon"] + 1))
    with pytest.raises(ValueError, match="another time step than the model was trained with"):
        ask(model, data[::3])
    with pytest.raises(ValueError, match="too few frames"):
        ask(model, data[:2])


def test_missing_values_beside_the_land_are_refused_in_scores(ocean):
    data, model = ocean
    data = data.copy()
    data[7, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite in the window that begins at 2000-04-15"):
        model.score(data)


def test_arrays_train_forecast_and_score():
    data = field(hourly(40))
    model = openstl_svq.fit(data.values, **TINY)
    folder = Path(model.hparams.save_dir)
    assert folder.is_dir() and model.hparams.dataname == "custom"
    forecast = model.predict(data.values)
    assert forecast.shape == (2, 8, 12) and forecast.dtype == np.float32
    np.testing.assert_array_equal(forecast, model.predict(data.values[-3:, None])[:, 0])
    np.testing.assert_array_equal(forecast, model.predict(torch.from_numpy(data.values[None, -5:, None]))[0, :, 0])
    assert model.score(data.values)["model"]["mse"] > 0
    other = openstl_svq.fit(data.values[:, None], **{**TINY, "seed": 1})
    assert folder.is_dir() and Path(other.hparams.save_dir) != folder
    assert not np.allclose(other.predict(data.values), forecast)
    del model
    gc.collect()
    assert not folder.parent.exists()


def test_variables_of_a_dataset_become_channels(tmp_path):
    pair = xr.Dataset({"sst": field(hourly(40)), "ssh": field(hourly(40), "ssh", "m") / 10})
    pair["ssh"].attrs["units"] = "m"
    pair["time_bnds"] = (("time", "side"), np.zeros((40, 2)))
    model = openstl_svq.fit(
        pair, method="simvp", save_dir=tmp_path / "pair", **{k: TINY[k] for k in TINY if "q" not in k}
    )
    assert model.hparams.data_name == ["sst", "ssh"] and model.hparams.save_dir == str(tmp_path / "pair")
    forecast = model.predict(pair)
    assert {name: forecast[name].attrs["units"] for name in forecast} == {"sst": "degC", "ssh": "m"}
    assert {"mse_sst", "mse_ssh", "mse_normalised"} <= model.score(pair)["model"].keys()
    assert "mse_sst" in model.score()["model"]


class Note(Callback):
    """Counts epochs, and interrupts the training as Ctrl-C does."""

    def __init__(self, interrupt_at: int | None = None):
        self.epochs, self.interrupt_at = 0, interrupt_at

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs += 1

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_fit_goes_on_where_it_was(tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell turns off for what runs in the background
    data, note = field(hourly(40)), Note()
    whole = openstl_svq.fit(data, callbacks=[note], **{**TINY, "epochs": 2})
    assert note.epochs == 2
    with pytest.raises(KeyboardInterrupt):
        openstl_svq.fit(data, save_dir=tmp_path / "run", callbacks=[Note(7)], **{**TINY, "epochs": 2})
    resumed = openstl_svq.fit(data, resume=str(tmp_path / "run"))
    np.testing.assert_array_equal(resumed.predict(data).values, whole.predict(data).values)


def test_a_configuration_file_stands_below_the_keywords(tmp_path):
    (tmp_path / "mine.py").write_text(
        "method = 'simvp'\npre_seq_length = 4\naft_seq_length = 2\nhid_S = 4\nhid_T = 8\nN_S = 2\nN_T = 2\nepoch = 3\n"
        "region = {'lat': [-40, 0]}\nmodel_type = 'incepu'\n"
    )
    settings = {"accelerator": "cpu", "no_display_method_info": True}
    model = openstl_svq.fit(field(hourly(40)), epochs=1, config_file=str(tmp_path / "mine.py"), **settings)
    hparams = model.hparams
    assert (hparams.method, hparams.in_shape, hparams.epoch) == ("simvp", [4, 1, 4, 12], 1)
    assert (hparams.model_type, hparams.num_workers, hparams.pad) == ("incepu", 0, 2)


def without_time(data):
    return data.rename(time="step").drop_vars("step")


@pytest.mark.parametrize(
    "change, settings, message",
    [
        (without_time, {}, "the data: sst has the dimensions step, lat, lon, and none of time.*rename"),
        (lambda data: data[0], {}, "the data: no field .time, y, x. .*, but sst .lat, lon."),
        (lambda data: data[np.cumsum(np.arange(9))], {"steps_in": 1, "steps_out": 1}, "times are irregular"),
        (lambda data: data * np.nan, {"mask": "land"}, "all values of channel 0 are missing"),
        (lambda data: data * np.nan, {}, 'frame 0 .* has NaN.*mask="land"'),
        (lambda data: data[:14], {}, "have 14 frames, too few: .* window of 5 each .* 15 frames together"),
        (lambda data: data, {"mehtod": "tau"}, "unknown configuration key 'mehtod'. Did you mean 'method'"),
        (lambda data: data, {"steps_in": 0}, "steps_in must be a number above 0, got 0"),
        (lambda data: data, {"gpus": [0, 1]}, "several devices train in processes .* give save_dir"),
        (lambda data: data, {"epoch": 3}, "epochs and epoch say the same thing"),
        (lambda data: data, {"data_root": "."}, "fit takes no data_root: the data are what fit is given"),
        (lambda data: data, {"method": "simvpp"}, "unknown method 'simvpp'. Did you mean 'simvp'"),
        (lambda data: data, {"torchscript": True}, "--torchscript does nothing"),
        (lambda data: data, {"protocol": "openstl"}, "data in memory know one protocol, strict"),
        (lambda data: data, {"callbacks": [print]}, "callbacks must be objects of pytorch_lightning.Callback"),
        (lambda data: data, {"crop": [4]}, "crop must be a list of 2 entries"),
        (lambda data: data.assign_coords(time=data["time"].values[::-1]), {}, "times must increase"),
        (lambda data: np.zeros((40, 8)), {}, "the data holds float64 of shape .40, 8."),
    ],
)
def test_bad_input_is_one_message(change, settings, message, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    settings = {**TINY, **settings}
    with pytest.raises(ValueError, match=message):
        openstl_svq.fit(change(field(hourly(40))), **settings)
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_the_bar_the_table_and_the_picture():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        "import numpy as np, openstl_svq\n"
        "data = np.random.default_rng(0).normal(15, 1, (40, 8, 12))\n"
        f"model = openstl_svq.fit(data, **{TINY})",
        "model.score(data)",
        "model.plot()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=300, startup_timeout=300, kernel_name="python3").execute()
    trained, scored, drawn = (cell["outputs"] for cell in notebook["cells"])
    assert any("epoch 1/1: 100%" in output.get("text", "") for output in trained)
    assert scored[0]["data"]["text/plain"].startswith("forecast ")
    assert "image/png" in drawn[0]["data"]
