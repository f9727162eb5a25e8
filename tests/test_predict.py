"""Forecasts from files, through the real command lines, against the method's own on the same frames."""

import json
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close
from PIL import Image
from running import message_of, run_tool

import openstl_svq
from openstl_svq.data import load_data
from openstl_svq.data.formats.images import resize
from openstl_svq.figures.forecast import plot_forecast
from openstl_svq.methods import get_method
from openstl_svq.training import checkpoint

ROOT = Path(__file__).parents[1]
LAT, LON = np.linspace(-87.1875, 87.1875, 32), np.arange(64) * 5.625
SPLITS = {"train_time": ["2010", "2010"], "val_time": ["2011", "2011"], "test_time": ["2012", "2012"]}
NAME = "weather_t2m_5_625"

pytestmark = pytest.mark.filterwarnings("ignore:the checkpoint does not say on what grid")


def waves(start, count, step=1, lat=LAT, offset=280.0):
    """Waves that travel east: ``count`` frames, ``step`` hours apart, of a variable t2m in K."""
    time = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(step, "h")
    hour = (time - np.datetime64("2010-01-01")) / np.timedelta64(1, "h")
    phase = np.deg2rad(LON)[None, None, :] - hour[:, None, None] / 7
    values = (offset + 10 * np.cos(np.deg2rad(lat))[None, :, None] * np.sin(2 * phase)).astype("float32")
    return xr.Dataset(
        {"t2m": (("time", "lat", "lon"), values, {"units": "K", "long_name": "temperature"})},
        {"time": time, "lat": ("lat", lat, {"units": "degrees_north"}), "lon": LON},
    )


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    folder = root / "weather" / "2m_temperature"
    folder.mkdir(parents=True)
    for year in (2010, 2011, 2012):
        waves(f"{year}-01-01", 40).to_netcdf(folder / f"2m_temperature_{year}_5.625deg.nc")
    return root


@pytest.fixture(scope="module")
def run(data_root, tmp_path_factory):
    """The folder of a run of a small model."""
    res_dir = tmp_path_factory.mktemp("runs")
    run_tool(
        "train",
        "-d",
        NAME,
        "-m",
        "simvp_svq",
        "--data_root",
        data_root,
        "--res_dir",
        res_dir,
        "--ex_name",
        "run",
        "--epoch",
        1,
        "--batch_size",
        4,
        "--num_workers",
        0,
        "--accelerator",
        "cpu",
        "--lr",
        "1e-3",
        "--cfg_options",
        "hid_S=4",
        "hid_T=8",
        "N_S=2",
        "N_T=2",
        "quantizer_kwargs.codebook_size=20",
        *(f"{k}={v}".replace(" ", "") for k, v in SPLITS.items()),
    )
    return res_dir / "run"


@pytest.fixture(scope="module")
def model(run):
    return openstl_svq.load(run)


@pytest.fixture
def source(tmp_path):
    """A file of 20 hours, later than all that was trained on."""
    waves("2013-05-01T03:00", 20).to_netcdf(tmp_path / "t2m.nc")
    return tmp_path / "t2m.nc"


def untrained(path, dataname, in_shape, aft_seq_length=4, mean=0.0, std=1.0, **more):
    """A checkpoint of a model for other data, with the weights that it began with."""
    torch.manual_seed(0)
    config = {
        "method": "simvp_svq",
        "dataname": dataname,
        "in_shape": in_shape,
        "pre_seq_length": in_shape[0],
        "aft_seq_length": aft_seq_length,
        "hid_S": 4,
        "hid_T": 8,
        "N_S": 2,
        "N_T": 2,
        "loss": "mae",
        "quantizer": "svq",
        "quantizer_kwargs": {"codebook_size": 8},
        "protocol": "strict",
        "test_mean": mean,
        "test_std": std,
        **more,
    }
    method = get_method("simvp_svq").cls(**config)
    checkpoint.save({"state_dict": method.state_dict(), "hyper_parameters": config}, path)
    return openstl_svq.load(path)


def with_trained_on(run, path, **changes):
    """The run's checkpoint, saying on what grid, time step and unit it was trained."""
    state = checkpoint.load(run / "checkpoints" / "best.ckpt")
    state["hyper_parameters"]["trained_on"] = {
        "interval_minutes": 60,
        "lat": LAT.tolist(),
        "lon": LON.tolist(),
        "units": "K",
        **changes,
    }
    checkpoint.save(state, path)
    return path


# ---- from Python ----


def test_predict_is_the_method_between_normalisation_and_its_inverse(model, data_root):
    _, _, test = load_data(NAME, 4, 4, 0, data_root, **SPLITS)
    x = torch.stack([test.dataset[i][0] for i in (0, 5, 16)])
    mean, std = (torch.as_tensor(v) for v in (test.dataset.mean, test.dataset.std))
    with torch.no_grad():
        expected = model(x) * std + mean
    values = waves("2012-01-01", 40)["t2m"].values[:, None]  # (T, C, H, W)
    frames = np.stack([values[i : i + 12] for i in (0, 5, 16)])
    forecast = model.predict(frames)
    assert isinstance(forecast, np.ndarray) and forecast.dtype == np.float32
    assert_close(forecast, expected, rtol=1e-5)
    assert_close(model.predict(frames[1]), expected[1], rtol=1e-5)
    given = torch.from_numpy(frames).double()
    assert model.predict(given).dtype == torch.float64
    assert_close(model.predict(given), expected.double(), rtol=1e-5)
    assert not model.training


def test_predict_of_more_steps_feeds_the_method_its_own_output(model):
    frames = waves("2013-01-01", 12)["t2m"].values[:, None]
    one = model.predict(frames)
    two = model.predict(one)
    assert_close(model.predict(frames, 30)[:24], np.concatenate([one, two]), rtol=1e-5)
    assert model.predict(frames, 30).shape == (30, 1, 32, 64)
    assert_close(model.predict(frames, 5), one[:5], rtol=1e-6)


def test_a_forecast_shorter_than_the_input_is_rolled_out_over_the_last_frames(tmp_path):
    model = untrained(tmp_path / "m.ckpt", "kth", [4, 1, 16, 16], aft_seq_length=2)
    frames = np.random.default_rng(0).random((4, 1, 16, 16), dtype=np.float32)
    one = model.predict(frames)
    assert one.shape[0] == 2
    again = model.predict(np.concatenate([frames, one])[-4:], check_range=False)  # untrained, it leaves [0, 1] by far
    assert_close(model.predict(frames, 4)[2:], again, rtol=1e-5)
    with pytest.raises(ValueError, match=r"the values go from -1 to .*those trained on lie in \[0, 1\]"):
        model.predict(2 * np.round(frames) - 1)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: f[:11], "frames of shape (11, 1, 32, 64); this model takes"),
        (lambda f: f[:11, 0], "frames of shape (11, 1, 32, 64)"),
        (lambda f: f[0, 0], "frames of shape (32, 64)"),
        (lambda f: f.transpose(0, 2, 3, 1), "The channels stand last"),
        (lambda f: f[None][:0], "an empty batch"),
        (lambda f: np.where(f == f.max(), np.nan, f), "values are NaN or infinite, the first at"),
        (lambda f: f - 273.15, "Give them in the same unit"),
        (lambda f: f * 1j, "frames must be numbers"),
        (lambda f: f.astype(str), "frames must be numbers"),
    ],
    ids=["few", "few of one channel", "one frame", "channels last", "empty", "nan", "celsius", "complex", "text"],
)
def test_predict_refuses_frames_that_it_cannot_use(model, change, message):
    frames = waves("2013-01-01", 12)["t2m"].values[:, None]
    with pytest.raises(ValueError) as error:
        model.predict(change(frames))
    assert message in str(error.value)


def test_the_last_frames_of_an_array_are_the_input(model):
    frames = waves("2013-01-01", 15)["t2m"].values[:, None]
    wanted = model.predict(frames[-12:])
    np.testing.assert_array_equal(model.predict(frames), wanted)
    np.testing.assert_array_equal(model.predict(frames[None])[0], wanted)
    np.testing.assert_array_equal(model.predict(frames[:, 0]), wanted[:, 0])


def test_the_range_check_can_be_turned_off(model):
    frames = waves("2013-01-01", 12)["t2m"].values[:, None] - 273.15
    assert np.isfinite(model.predict(frames, check_range=False)).all()


@pytest.mark.parametrize("steps", [0, -1, 2.5, True])
def test_predict_refuses_steps_that_are_no_number_of_frames(model, steps):
    with pytest.raises(ValueError, match="steps must be a whole number above 0"):
        model.predict(np.zeros((12, 1, 32, 64)), steps)


# ---- weather ----


def test_the_last_frames_of_a_file(run, model, source, tmp_path):
    run_tool("predict", run, source, "-o", tmp_path / "out.nc")
    with xr.open_dataset(source) as given, xr.open_dataset(tmp_path / "out.nc") as out:
        assert_close(out["t2m"].values[:, None], model.predict(given["t2m"].values[-12:, None]), rtol=1e-5)
        expected = given["time"].values[-1] + np.arange(1, 13) * np.timedelta64(1, "h")
        np.testing.assert_array_equal(out["time"].values, expected)
        assert out["init_time"].values == given["time"].values[-1]
        assert out["t2m"].dims == ("time", "lat", "lon")
        assert out["t2m"].attrs == given["t2m"].attrs and out["lat"].attrs == given["lat"].attrs
        for name in ("lat", "lon"):
            np.testing.assert_array_equal(out[name], given[name])
        assert out.attrs["checkpoint"] == str(run / "checkpoints" / "best.ckpt") and out.attrs["input"] == str(source)
        assert "simvp_svq trained on weather_t2m_5_625" in out.attrs["source"]
        assert "tools/predict.py" in out.attrs["history"]


def test_the_output_is_named_after_the_input(run, source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_tool("predict", run / "checkpoints" / "last.ckpt", "t2m.nc")
    assert capsys.readouterr().out == "t2m_forecast.nc: 12 frames, from 2013-05-01T23:00 to 2013-05-02T10:00\n"
    assert (tmp_path / "t2m_forecast.nc").is_file()


def test_start_and_steps(run, model, source, tmp_path):
    run_tool("predict", run, source, "-o", tmp_path / "out.nc", "--start", "2013-05-01T05:00", "--steps", "15")
    with xr.open_dataset(source) as given, xr.open_dataset(tmp_path / "out.nc") as out:
        assert_close(out["t2m"].values[:, None], model.predict(given["t2m"].values[2:14, None], 15), rtol=1e-5)
        assert out["time"].values[0] == np.datetime64("2013-05-01T17:00") and len(out["time"]) == 15


@pytest.mark.parametrize("window, truth", [((), False), (("--start", "2013-05-01T06:00"), True)])
def test_a_picture_of_the_forecast(run, tmp_path, monkeypatch, window, truth):
    """Beside the truth where the file goes on; map, names and times are those of the file."""
    drawn, source = {}, tmp_path / "t2m.nc"
    waves("2013-05-01T03:00", 27).to_netcdf(source)

    def draw(*frames, **said):
        drawn.update(said, frames=frames)
        return plot_forecast(*frames, **said)

    monkeypatch.setattr("openstl_svq.figures.forecast.plot_forecast", draw)
    run_tool("predict", run, source, "-o", tmp_path / "f.nc", "--plot", tmp_path / "f.png", *window)
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    inputs, follows, forecast = drawn["frames"]
    with xr.open_dataset(tmp_path / "f.nc") as written, xr.open_dataset(source) as given:
        assert np.allclose(forecast[:, 0], written["t2m"].values, atol=1e-3)
        assert (follows is not None) == truth
        if truth:
            assert np.allclose(follows[:, 0], given["t2m"].sel(time=written.time).values)
        assert f"last input {str(written.init_time.values)[:10]}" in drawn["title"]
    assert drawn["input_labels"][-1] == "+0 h" and drawn["lead_labels"][0] == "+1 h"
    assert len(drawn["lat"]) == inputs.shape[2] and drawn["units"] == ["K"]


def test_pictures_that_cannot_be_drawn(run, source, tmp_path):
    words = [run, source, "-o", tmp_path / "f.nc", "--plot"]
    assert "a picture shows one forecast and is a .png; got all windows" in message_of(
        "predict", *words, tmp_path / "f.png", "--all"
    )
    assert "got .gif" in message_of("predict", *words, tmp_path / "f.gif")
    assert not (tmp_path / "f.nc").exists()


def test_all_windows_without_a_gap(run, model, tmp_path):
    whole = waves("2013-05-01", 30)
    whole.isel(time=[*range(14), *range(15, 30)]).to_netcdf(tmp_path / "gap.nc")
    run_tool("predict", run, tmp_path / "gap.nc", "-o", tmp_path / "out.nc", "--all", "--batch_size", "3")
    first = [0, 1, 2, *range(15, 19)]  # the windows before and after the missing frame
    with xr.open_dataset(tmp_path / "out.nc") as out:
        np.testing.assert_array_equal(out["init_time"], whole["time"].values[np.add(first, 11)])
        np.testing.assert_array_equal(out["lead_time"], np.arange(1, 13) * np.timedelta64(1, "h"))
        assert out["t2m"].dims == ("init_time", "lead_time", "lat", "lon")
        expected = model.predict(np.stack([whole["t2m"].values[i : i + 12, None] for i in first]))
        assert_close(out["t2m"].values[:, :, None], expected, rtol=1e-5)


def test_latitudes_from_north_to_south_stay_so(run, source, tmp_path):
    with xr.open_dataset(source) as given:
        given.isel(lat=slice(None, None, -1)).to_netcdf(tmp_path / "down.nc")
    for name in ("t2m", "down"):
        run_tool("predict", run, tmp_path / f"{name}.nc", "-o", tmp_path / f"{name}_out.nc")
    with xr.open_dataset(tmp_path / "t2m_out.nc") as up, xr.open_dataset(tmp_path / "down_out.nc") as down:
        np.testing.assert_array_equal(down["lat"], LAT[::-1])
        assert_close(down.sortby("lat")["t2m"].values, up["t2m"].values)


def test_folders_flat_and_by_variable(run, source, tmp_path):
    whole = xr.open_dataset(source).load()
    by_variable, flat = tmp_path / "by" / "2m_temperature", tmp_path / "flat"
    for folder in (by_variable, flat):
        folder.mkdir(parents=True)
        whole.isel(time=slice(10, 20)).to_netcdf(folder / "a.nc")
        whole.isel(time=slice(0, 10)).to_netcdf(folder / "b.nc")
    whole.rename(t2m="u10").to_netcdf(flat / "wind.nc")
    for place in (source, tmp_path / "by", by_variable, flat):
        run_tool("predict", run, place, "-o", tmp_path / "out.npz", "--force")
        with np.load(tmp_path / "out.npz") as out:
            if place == source:
                expected = out["frames"]
            assert_close(out["frames"], expected)


def test_npz_in_and_out(run, model, source, tmp_path):
    with xr.open_dataset(source) as given:
        frames, times = given["t2m"].values[:, None], given["time"].values
    np.savez(tmp_path / "in.npz", frames=frames, times=times, note="more")
    run_tool("predict", run, tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    run_tool("predict", run, source, "-o", tmp_path / "nc.npz")
    np.save(tmp_path / "in.npy", frames)
    run_tool("predict", run, tmp_path / "in.npy", "-o", tmp_path / "all.npz", "--all")
    out, nc, every = (np.load(tmp_path / f"{name}.npz") for name in ("out", "nc", "all"))
    with out, nc, every:
        assert_close(out["frames"], model.predict(frames[-12:]))
        assert_close(nc["frames"], out["frames"])
        np.testing.assert_array_equal(out["times"], times[-1] + np.arange(1, 13) * np.timedelta64(1, "h"))
        np.testing.assert_array_equal(nc["times"], out["times"])
        np.testing.assert_array_equal(nc["lat"], LAT)
        assert json.loads(str(out["attributes"]))["input"] == str(tmp_path / "in.npz")
        assert every["frames"].shape == (9, 12, 1, 32, 64) and "times" not in every
        assert_close(every["frames"][-1], out["frames"])


@pytest.mark.parametrize(
    "protocol, hours_in, hours_out",
    [("strict", [-18, -12, -6, 0], [6, 12, 18, 24]), ("openstl", [-102, -66, -30, 0], [6, 42, 78, 114])],
)
def test_several_variables_on_levels(tmp_path, protocol, hours_in, hours_out):
    entry = {
        "data_name": "mv",
        "level": [150, 500, 850],
        "step": 6,
        "idx_in": [-17, -11, -5, 0],
        "idx_out": [1, 7, 13, 19],
        "protocol": protocol,
    }
    mean, std = torch.arange(12.0).view(1, 12, 1, 1), torch.full((1, 12, 1, 1), 2.0)
    model = untrained(tmp_path / "m.ckpt", "weather_mv_4_4_s6_5_625", [4, 12, 32, 64], mean=mean, std=std, **entry)
    levels, rng = [100, 150, 500, 850], np.random.default_rng(0)
    time = np.datetime64("2013-05-01", "ns") + np.arange(110) * np.timedelta64(1, "h")
    values = {name: rng.normal(3 * k + 1, 2, (110, 4, 32, 64)).astype("float32") for k, name in enumerate("rtuv")}
    coords = {"time": time, "level": ("level", levels, {"units": "hPa"}), "lat": LAT, "lon": LON}
    data = xr.Dataset({name: (("time", "level", "lat", "lon"), v) for name, v in values.items()}, coords)
    data.to_netcdf(tmp_path / "mv.nc")
    words = [tmp_path / "m.ckpt", tmp_path / "mv.nc", "-o"]
    run_tool("predict", *words, tmp_path / "out.nc")
    frames = np.concatenate([values[name][np.add(109, hours_in)][:, 1:] for name in "rtuv"], axis=1)
    expected = model.predict(frames)
    with xr.open_dataset(tmp_path / "out.nc") as out:
        for k, name in enumerate("rtuv"):
            assert out[name].dims == ("time", "level", "lat", "lon")
            assert_close(out[name].values, expected[:, 3 * k : 3 * k + 3], rtol=1e-5, what=name)
        assert out["level"].values.tolist() == levels[1:] and out["level"].attrs == {"units": "hPa"}
        np.testing.assert_array_equal(out["time"], time[-1] + np.array(hours_out) * np.timedelta64(1, "h"))
    if protocol == "openstl":
        assert "4 steps at most" in message_of("predict", *words, tmp_path / "more.nc", "--steps", 5)


def test_the_time_step_of_the_training_is_kept(run, model, tmp_path):
    path = with_trained_on(run, tmp_path / "three.ckpt", interval_minutes=180)
    waves("2013-05-01", 40).to_netcdf(tmp_path / "hourly.nc")
    run_tool("predict", path, tmp_path / "hourly.nc", "-o", tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "hourly.nc") as given, xr.open_dataset(tmp_path / "out.nc") as out:
        assert_close(out["t2m"].values[:, None], model.predict(given["t2m"].values[6::3][-12:, None]), rtol=1e-5)
        np.testing.assert_array_equal(np.diff(out["time"]), np.timedelta64(3, "h"))
    waves("2013-05-01", 40, step=6).to_netcdf(tmp_path / "six.nc")
    assert "12 frames 3 h apart are needed" in message_of("predict", path, tmp_path / "six.nc", "-o", tmp_path / "x.nc")


def test_another_grid_or_unit_than_trained_on(run, source, tmp_path):
    west = with_trained_on(run, tmp_path / "west.ckpt", lon=(LON - 2.5).tolist())
    assert "another grid" in message_of("predict", west, source, "-o", tmp_path / "out.nc")
    celsius = with_trained_on(run, tmp_path / "celsius.ckpt", units="degC")
    assert "is in K, and the model was trained on degC" in message_of(
        "predict", celsius, source, "-o", tmp_path / "out.nc"
    )
    run_tool("predict", celsius, source, "-o", tmp_path / "out.nc", "--no_range_check")


def test_a_checkpoint_that_does_not_say_what_it_was_trained_on(source, tmp_path):
    untrained(tmp_path / "m.ckpt", NAME, [12, 1, 32, 64], mean=280.0, std=5.0)
    with pytest.warns(UserWarning, match="does not say on what grid and time step"):
        run_tool("predict", tmp_path / "m.ckpt", source, "-o", tmp_path / "out.nc")


@pytest.mark.parametrize(
    "change, words, message",
    [
        (lambda d: d.isel(time=slice(0, 11)), (), "too few frames: 12 frames 1 h apart are needed"),
        (
            lambda d: d.isel(time=slice(0, 11)),
            ("--all",),
            "too few frames: 12 frames 1 h apart are needed without a gap",
        ),
        (lambda d: d.isel(time=[*range(15), *range(16, 20)]), (), "a gap between the frames"),
        (lambda d: d, ("--start", "2013-05-01T12:00"), "too few frames"),
        (lambda d: d, ("--start", "yesterday"), "the start must be a time such as"),
        (lambda d: d, ("--stride", "2"), "a stride is for images"),
        (lambda d: d, ("--steps", "0"), "steps must be a whole number above 0"),
        (lambda d: d, ("--device", "cuda:99"), "--device cuda:99 cannot be used"),
        (lambda d: d, ("--batch_size", "0"), "must be above 0"),
        (lambda d: d.where(d["time"] != d["time"][15]), (), "values of t2m read are NaN"),
        (lambda d: d - 273.15, (), "Give them in the same unit"),
        (lambda d: d.rename(t2m="temp"), (), "has no variable 't2m'"),
        (lambda d: d.isel(lon=slice(0, 32)), (), "32 x 32 points"),
        (lambda d: d.rename(lat="latitude"), (), "dimensions"),
    ],
    ids=[
        "short",
        "short, all",
        "gap",
        "beyond the end",
        "no time",
        "stride",
        "no steps",
        "device",
        "no batch",
        "nan",
        "celsius",
        "variable",
        "grid",
        "dimensions",
    ],
)
def test_bad_weather_input_ends_with_one_message(run, source, tmp_path, change, words, message):
    with xr.open_dataset(source) as given:
        change(given.load()).to_netcdf(tmp_path / "bad.nc")
    assert message in message_of("predict", run, tmp_path / "bad.nc", "-o", tmp_path / "out.nc", *words)
    assert not list(tmp_path.glob("*out*"))


def test_bad_places_end_with_one_message(run, source, tmp_path):
    out = tmp_path / "out.nc"
    assert "gone.nc does not exist" in message_of("predict", run, tmp_path / "gone.nc", "-o", out)
    assert "gone does not exist" in message_of("predict", tmp_path / "gone", source, "-o", out)
    assert "the ending says the format" in message_of("predict", run, source, "-o", tmp_path / "out.grib")
    assert "holds pictures, and weather_t2m_5_625 has none" in message_of(
        "predict", run, source, "-o", tmp_path / "out.gif"
    )
    assert "is the input" in message_of("predict", run, source, "-o", source, "--force")
    (tmp_path / "empty").mkdir()
    assert "no NetCDF file with 't2m'" in message_of("predict", run, tmp_path / "empty", "-o", out)
    (tmp_path / "folder.nc").mkdir()
    assert "is a folder" in message_of("predict", run, source, "-o", tmp_path / "folder.nc", "--force")
    (tmp_path / "cut.nc").write_bytes(source.read_bytes()[:5000])
    assert "cannot be read as NetCDF" in message_of("predict", run, tmp_path / "cut.nc", "-o", out)
    np.save(tmp_path / "in.npy", np.zeros((20, 1, 32, 64)))
    assert "has no coordinates" in message_of("predict", run, tmp_path / "in.npy", "-o", out)
    assert not out.exists()


def test_an_output_is_replaced_only_by_force_and_only_when_complete(run, source, tmp_path):
    out = tmp_path / "out.nc"
    out.write_text("precious")
    assert "--force" in message_of("predict", run, source, "-o", out)
    with xr.open_dataset(source) as given:
        given.load().where(given["time"] != given["time"][15]).to_netcdf(tmp_path / "nan.nc")
    message_of("predict", run, tmp_path / "nan.nc", "-o", out, "--force")
    assert out.read_text() == "precious" and {p.name for p in tmp_path.iterdir()} == {"out.nc", "nan.nc", "t2m.nc"}
    run_tool("predict", run, source, "-o", out, "--force")
    assert xr.open_dataset(out)["t2m"].shape == (12, 32, 64)


def test_custom_netcdf_with_its_own_names_and_a_crop(tmp_path):
    time = np.datetime64("2013-05-01", "ns") + np.arange(9) * np.timedelta64(1, "D")
    values = np.random.default_rng(0).normal(3, 2, (9, 10, 9)).astype("float32")
    y, x = ("y", np.arange(10.0, 0, -1), {"units": "km"}), np.arange(9.0)
    data = xr.Dataset(
        {"rain": (("time", "y", "x"), values, {"units": "mm"}), "other": (("time", "y", "x"), values)},
        {"time": time, "y": y, "x": x},
    )
    data.to_netcdf(tmp_path / "rain.nc")
    model = untrained(tmp_path / "m.ckpt", "custom", [4, 1, 8, 8], mean=3.0, std=2.0, data_name="rain", crop=[8, 8])
    expected = model.predict(values[-4:, None, 1:9, 0:8])
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / "rain.nc", "-o", tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert_close(out["rain"].values, expected[:, 0], rtol=1e-5)
        assert out["rain"].dims == ("time", "y", "x") and out["rain"].attrs == {"units": "mm"}
        np.testing.assert_array_equal(out["y"], data["y"][1:9])
        assert out["y"].attrs == {"units": "km"}
        np.testing.assert_array_equal(out["time"], time[-1] + np.arange(1, 5) * np.timedelta64(1, "D"))
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / "rain.nc", "-o", tmp_path / "all.nc", "--all")
    with xr.open_dataset(tmp_path / "all.nc") as out:
        assert out["rain"].shape == (6, 4, 8, 8)
        assert_close(out["rain"].values[-1], expected[:, 0], rtol=1e-5)
    data.isel(time=[*range(6), 7, 8]).to_netcdf(tmp_path / "gap.nc")
    assert "a gap between the frames" in message_of(
        "predict", tmp_path / "m.ckpt", tmp_path / "gap.nc", "-o", tmp_path / "x.nc"
    )
    data.isel(x=slice(0, 8), y=slice(0, 8)).rename(rain="snow").to_netcdf(tmp_path / "snow.nc")
    assert "unknown variable 'rain'" in message_of(
        "predict", tmp_path / "m.ckpt", tmp_path / "snow.nc", "-o", tmp_path / "x.nc"
    )


@pytest.mark.parametrize(
    "name, dims", [("rain.nc", ("lat", "lon", "valid_time")), ("rain.nc4", ("time", "lat", "lon"))]
)
def test_custom_netcdf_has_the_grid_that_it_is_trained_with(tmp_path, name, dims):
    time = np.datetime64("2013-05-01", "ns") + np.arange(9) * np.timedelta64(1, "D")
    values = np.random.default_rng(0).normal(3, 2, (9, 8, 12)).astype("float32")
    when = "valid_time" if "valid_time" in dims else "time"
    data = xr.Dataset(
        {"rain": ((when, "lat", "lon"), values, {"units": "mm"})},
        {when: time, "lat": np.arange(8.0), "lon": np.arange(12.0)},
    )
    data.transpose(*dims).to_netcdf(tmp_path / name)
    model = untrained(tmp_path / "m.ckpt", "custom", [4, 1, 8, 12], mean=3.0, std=2.0)
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / name, "-o", tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert out["rain"].dims == ("time", "lat", "lon") and out["rain"].attrs == {"units": "mm"}
        assert_close(out["rain"].values, model.predict(values[-4:, None])[:, 0], rtol=1e-5)
        np.testing.assert_array_equal(out["lon"], data["lon"])
        np.testing.assert_array_equal(out["time"], time[-1] + np.arange(1, 5) * np.timedelta64(1, "D"))


def test_an_array_of_weather_is_read_at_the_time_step_of_the_training(run, model, tmp_path):
    data = waves("2013-05-01", 40)
    frames = data["t2m"].values[:, None]
    np.savez(tmp_path / "hourly.npz", frames=frames, times=data["time"].values)
    path = with_trained_on(run, tmp_path / "three.ckpt", interval_minutes=180)
    run_tool("predict", path, tmp_path / "hourly.npz", "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as out:
        assert_close(out["frames"], model.predict(frames[6::3][-12:]), rtol=1e-5)


def test_custom_arrays_in_the_shapes_that_are_trained_on(tmp_path):
    values = np.random.default_rng(0).normal(3, 2, (9, 8, 8)).astype("float32")
    model = untrained(tmp_path / "m.ckpt", "custom", [4, 1, 8, 8], mean=3.0, std=2.0)
    np.save(tmp_path / "in.npy", values)
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / "in.npy", "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as out:
        assert_close(out["frames"], model.predict(values[-4:, None]), rtol=1e-5)
    np.save(tmp_path / "in.npy", np.zeros((2, 5, 1, 8, 8)))
    assert "several series" in message_of("predict", tmp_path / "m.ckpt", tmp_path / "in.npy", "-o", tmp_path / "x.npz")
    np.save(tmp_path / "in.npy", np.zeros((9, 8, 12)))
    assert "takes (1, 8, 8)" in message_of(
        "predict", tmp_path / "m.ckpt", tmp_path / "in.npy", "-o", tmp_path / "x.npz"
    )


def film(numbers, height=16, width=16):
    """Pictures of a moving square, and the frames that they are to a model."""
    pictures = np.stack([picture(k, height, width) for k in numbers])
    return pictures, pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255


def test_custom_images_and_videos_as_they_are_trained_on(tmp_path):
    model = untrained(tmp_path / "m.ckpt", "custom", [4, 3, 8, 8], crop=[8, 8])
    whole = untrained(tmp_path / "whole.ckpt", "custom", [4, 3, 16, 16])
    pictures, frames = film(range(9))
    (tmp_path / "walk").mkdir()
    for k, image in enumerate(pictures):
        Image.fromarray(image).save(tmp_path / "walk" / f"image-{5 * k}.png")
    first, *rest = (Image.fromarray(image) for image in pictures)
    first.save(tmp_path / "walk.gif", save_all=True, append_images=rest)
    np.save(tmp_path / "walk.npy", pictures)
    np.savez(tmp_path / "walk.npz", frames=pictures, note="of no matter")
    for name in ("walk", "walk.gif", "walk.npy", "walk.npz"):
        for checkpoint_name, method, seen in (("m", model, frames[..., 4:12, 4:12]), ("whole", whole, frames)):
            words = [tmp_path / f"{checkpoint_name}.ckpt", tmp_path / name, "-o", tmp_path / "out.npz", "--force"]
            run_tool("predict", *words)
            with np.load(tmp_path / "out.npz") as out:
                assert_close(out["frames"], method.predict(seen[-4:]), rtol=1e-4, atol=2e-3, what=name)
            run_tool("predict", *words, "--all", "--batch_size", 2)
            with np.load(tmp_path / "out.npz") as out:
                assert out["frames"].shape[0] == 6
                assert_close(out["frames"][1], method.predict(seen[1:5]), rtol=1e-4, atol=2e-3, what=name)
    assert not (tmp_path / ".openstl_svq_cache").exists()
    (tmp_path / "walk" / "image-20.png").unlink()
    words = ["-o", tmp_path / "x.npz"]
    assert "a gap between the frames: 4 frames 5 apart" in message_of(
        "predict", tmp_path / "m.ckpt", tmp_path / "walk", *words, "--start", "10"
    )
    (tmp_path / "films").mkdir()
    for k in (0, 1):
        shutil.copy(tmp_path / "walk.gif", tmp_path / "films" / f"{k}.gif")
    assert "holds several series" in message_of("predict", tmp_path / "m.ckpt", tmp_path / "films", *words)
    np.save(tmp_path / "tall.npy", film(range(9), height=12)[0])
    assert "frames of shape (3, 12, 16)" in message_of(
        "predict", tmp_path / "whole.ckpt", tmp_path / "tall.npy", *words
    )


def test_the_output_of_a_video_is_a_film(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    untrained(tmp_path / "m.ckpt", "custom", [4, 3, 16, 16])
    first, *rest = (Image.fromarray(image) for image in film(range(9))[0])
    first.save("walk.gif", save_all=True, append_images=rest)
    run_tool("predict", "m.ckpt", "walk.gif")
    with Image.open("walk_forecast.gif") as film_out:
        assert film_out.n_frames == 4 and film_out.size == (16, 16)


def test_custom_months_follow_each_other_though_they_differ_in_length(tmp_path):
    months = np.arange("2000-01", "2000-10", dtype="M8[M]")
    values = np.random.default_rng(0).normal(3, 2, (9, 8, 8)).astype("float32")
    data = xr.Dataset({"h": (("time", "y", "x"), values)}, {"time": months.astype("M8[ns]")})
    data.to_netcdf(tmp_path / "h.nc")
    trained_on = {"interval_minutes": 31 * 24 * 60, "lat": None, "lon": None, "units": None}
    model = untrained(
        tmp_path / "m.ckpt", "custom", [4, 1, 8, 8], mean=3.0, std=2.0, data_name="h", trained_on=trained_on
    )
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / "h.nc", "-o", tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as out:
        assert_close(out["h"].values, model.predict(values[-4:, None])[:, 0], rtol=1e-5)
        assert out["time"].values.astype("M8[D]").astype(str).tolist() == [
            "2000-10-01",
            "2000-11-01",
            "2000-12-01",
            "2001-01-01",
        ]
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / "h.nc", "-o", tmp_path / "start.nc", "--start", "2000-02")
    with xr.open_dataset(tmp_path / "start.nc") as out:
        assert_close(out["h"].values, model.predict(values[1:5, None])[:, 0], rtol=1e-5)
    run_tool("predict", tmp_path / "m.ckpt", tmp_path / "h.nc", "-o", tmp_path / "all.nc", "--all")
    with xr.open_dataset(tmp_path / "all.nc") as out:
        assert out["lead_time"].values.tolist() == [1, 2, 3, 4] and out["lead_time"].attrs["units"] == "months"
        assert out["init_time"].values.astype("M8[D]").astype(str).tolist()[:2] == ["2000-04-01", "2000-05-01"]
    data.isel(time=[0, 1, 2, 3, 4, 5, 7, 8]).to_netcdf(tmp_path / "gap.nc")
    assert "4 frames 1 months apart are needed" in message_of(
        "predict", tmp_path / "m.ckpt", tmp_path / "gap.nc", "-o", tmp_path / "x.nc"
    )


# ---- video and arrays ----


def picture(number, height=16, width=16):
    """A grey square that walks to the right."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[4:9, number : number + 5] = (200, 120, 40)
    return pixels


@pytest.fixture
def walk(tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for number in range(8, 17):  # so that the order of names is not that of numbers
        Image.fromarray(picture(number - 8)).save(folder / f"image-{number}.png")
    return folder


@pytest.fixture
def video(tmp_path):
    return untrained(tmp_path / "video.ckpt", "kitticaltech", [4, 3, 16, 16])


def test_a_folder_of_images(video, walk, tmp_path):
    shown = np.stack([picture(k) for k in range(9)]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    expected = video.predict(shown[-4:])
    words = [tmp_path / "video.ckpt", walk, "-o"]
    run_tool("predict", *words, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as out:
        assert_close(out["frames"], expected, rtol=1e-5)
    pixels = (expected.clip(0, 1) * 255).round().transpose(0, 2, 3, 1)
    run_tool("predict", *words, tmp_path / "out.png")
    np.testing.assert_allclose(iio.imread(tmp_path / "out.png"), np.concatenate(list(pixels), axis=1), atol=1)
    run_tool("predict", *words, tmp_path / "out.gif", "--fps", "5")
    with Image.open(tmp_path / "out.gif") as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (4, (16, 16), 200)
    run_tool("predict", *words, tmp_path / "start.npz", "--start", "9", "--stride", "2")
    with np.load(tmp_path / "start.npz") as out:
        assert_close(out["frames"], video.predict(shown[[1, 3, 5, 7]]), rtol=1e-5)


def test_bytes_are_scaled_as_images_are(video, walk, tmp_path):
    frames = np.stack([picture(k) for k in range(9)]).transpose(0, 3, 1, 2)
    np.save(tmp_path / "bytes.npy", frames)
    np.savez(tmp_path / "floats.npz", frames.astype(np.float32) / 255)
    for name in ("bytes.npy", "floats.npz"):
        run_tool("predict", tmp_path / "video.ckpt", tmp_path / name, "-o", tmp_path / "out.npz", "--force")
        with np.load(tmp_path / "out.npz") as out:
            assert_close(out["frames"], video.predict(frames[-4:].astype(np.float32) / 255), rtol=1e-5, what=name)


def test_human_frames_are_every_fifth_and_blue_first(walk, tmp_path):
    model = untrained(tmp_path / "human.ckpt", "human", [2, 3, 16, 16], aft_seq_length=2)
    run_tool("predict", tmp_path / "human.ckpt", walk, "-o", tmp_path / "out.npz")
    shown = np.stack([picture(k)[..., ::-1] for k in (3, 8)]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    expected = model.predict(shown)
    with np.load(tmp_path / "out.npz") as out:
        assert_close(out["frames"], expected, rtol=1e-5)
    run_tool("predict", tmp_path / "human.ckpt", walk, "-o", tmp_path / "out.png")
    red_first = (expected.clip(0, 1) * 255).round().transpose(0, 2, 3, 1)[..., ::-1]
    np.testing.assert_allclose(iio.imread(tmp_path / "out.png"), np.concatenate(list(red_first), axis=1), atol=1)


def test_images_are_read_as_the_loader_of_their_dataset_reads_them(walk, tmp_path):
    for name, size in (("kth", (1, 8, 8)), ("human", (3, 8, 8)), ("mmnist", (1, 16, 16))):
        model = untrained(tmp_path / "model.ckpt", name, [4, *size])
        run_tool("predict", tmp_path / "model.ckpt", walk, "-o", tmp_path / "out.npz", "--stride", "1", "--force")
        grey = {
            "kth": lambda image: resize(image[..., 0], (8, 8), "bilinear")[None] / 255,
            "human": lambda image: resize(image, (8, 8), "bicubic").round()[..., ::-1].transpose(2, 0, 1) / 255,
            "mmnist": lambda image: np.asarray(Image.fromarray(image).convert("L"))[None] / 255,
        }[name]
        frames = np.stack([grey(picture(k)) for k in (5, 6, 7, 8)]).clip(0, 1)
        with np.load(tmp_path / "out.npz") as out:
            assert_close(out["frames"], model.predict(frames.astype(np.float32)), rtol=1e-4, what=name)


def test_a_video_is_read_as_the_images_of_its_dataset_are(tmp_path):
    pictures, _ = film(range(9))
    first, *rest = (Image.fromarray(image) for image in pictures)
    first.save(tmp_path / "walk.gif", save_all=True, append_images=rest)
    model = untrained(tmp_path / "kth.ckpt", "kth", [4, 1, 8, 8])
    run_tool("predict", tmp_path / "kth.ckpt", tmp_path / "walk.gif", "-o", tmp_path / "out.npz")
    seen = np.stack([resize(image[..., 0], (8, 8), "bilinear")[None] / 255 for image in pictures[-4:]])
    with np.load(tmp_path / "out.npz") as out:
        assert_close(out["frames"], model.predict(seen), rtol=1e-4, atol=2e-3)
    untrained(tmp_path / "video.ckpt", "kitticaltech", [4, 3, 16, 20])
    assert (
        "walk.gif has frames of shape (3, 16, 16) (channels, height, width), and the model takes (3, 16, 20)"
        in message_of("predict", tmp_path / "video.ckpt", tmp_path / "walk.gif", "-o", tmp_path / "x.npz")
    )


@pytest.mark.parametrize(
    "prepare, words, message",
    [
        (lambda d: (d / "image-13.png").unlink(), (), "a gap between the frames: 4 frames 1 apart"),
        (lambda d: [p.unlink() for p in d.glob("image-1*.png")], (), "too few frames"),
        (lambda d: (d / "image-15.png").write_bytes((d / "image-15.png").read_bytes()[:60]), (), "damaged"),
        (lambda d: Image.fromarray(picture(0, 16, 20)).save(d / "image-15.png"), (), "shape (3, 16, 20)"),
        (
            lambda d: [Image.fromarray(picture(0, 16, 20)).save(p) for p in d.iterdir()],
            (),
            "frames of shape (3, 16, 20)",
        ),
        (lambda d: shutil.copy(d / "image-15.png", d / "run-17.png"), (), "2 sequences, image-... and run-..."),
        (lambda d: shutil.copy(d / "image-15.png", d / "image-015.png"), (), "the same number"),
        (lambda d: [p.unlink() for p in d.iterdir()], (), "neither images nor videos"),
        (lambda d: None, ("--start", "soon"), "the start must be the number of a frame"),
        (lambda d: None, ("--all",), "holds one forecast"),
        (lambda d: None, ("--stride", "0"), "the stride must be 1 or more"),
    ],
    ids=["gap", "few", "damaged", "size", "sizes", "two sequences", "twice", "empty", "start", "all", "stride"],
)
def test_bad_images_end_with_one_message(video, walk, tmp_path, prepare, words, message):
    prepare(walk)
    assert message in message_of("predict", tmp_path / "video.ckpt", walk, "-o", tmp_path / "out.gif", *words)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda p: np.savez(p, np.zeros((9, 3, 16, 20))), "frames of shape (3, 16, 20)"),
        (
            lambda p: np.savez(p, a=np.zeros((9, 3, 16, 16)), b=np.zeros(3)),
            "has the arrays a, b: say which one, or call it frames",
        ),
        (
            lambda p: np.savez(p, np.array([[[["x"]]]] * 9).repeat(3, 1).repeat(16, 2).repeat(16, 3)),
            "numbers (T, H, W), (T, C, H, W)",
        ),
        (lambda p: np.savez(p, np.zeros((3, 3, 16, 16))), "too few frames"),
        (lambda p: np.savez(p, np.full((9, 3, 16, 16), 130.0)), "Give them in the same unit"),
        (lambda p: np.savez(p, frames=np.zeros((9, 3, 16, 16)), times=np.arange(9)), "times must be datetime64"),
        (
            lambda p: np.savez(p, frames=np.zeros((2, 3, 16, 16)), times=np.array(["2013", "2012"], "M8[m]")),
            "times must increase",
        ),
        (lambda p: p.write_bytes(b"PK nothing"), "cannot be read"),
    ],
    ids=["shape", "names", "text", "few", "range", "numbers as times", "times", "damaged"],
)
def test_bad_arrays_end_with_one_message(video, tmp_path, write, message):
    write(tmp_path / "in.npz")
    assert message in message_of("predict", tmp_path / "video.ckpt", tmp_path / "in.npz", "-o", tmp_path / "out.npz")


def test_pictures_need_values_from_0_to_1(video, tmp_path):
    np.save(tmp_path / "in.npy", np.full((4, 3, 16, 16), 1.5))
    words = [tmp_path / "in.npy", "-o", tmp_path / "out.png"]
    assert "pictures show values from 0 to 1" in message_of("predict", tmp_path / "video.ckpt", *words)
    untrained(tmp_path / "taxi.ckpt", "taxibj", [4, 2, 16, 16])
    np.save(tmp_path / "in.npy", np.zeros((4, 2, 16, 16)))
    assert "has none; write .npz" in message_of("predict", tmp_path / "taxi.ckpt", *words)


def test_films(video, walk, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    run_tool("predict", tmp_path / "video.ckpt", walk, "-o", tmp_path / "out.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(tmp_path / "out.mp4")[0] == 4


def test_films_without_an_encoder(video, walk, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install imageio-ffmpeg" in message_of(
        "predict", tmp_path / "video.ckpt", walk, "-o", tmp_path / "out.mp4"
    )
