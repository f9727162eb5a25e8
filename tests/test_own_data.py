"""Data that real people have: land, calendars, levels, several files, odd sizes, grids in another order."""

import csv
import json
import re

import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close

import openstl_svq
from openstl_svq import config, host
from openstl_svq.data import load_data
from openstl_svq.data.times import Clock
from openstl_svq.methods import get_method
from openstl_svq.methods.quantized import Quantized
from openstl_svq.predict import forecast_file
from openstl_svq.training.experiment import Experiment

LAT, LON = np.linspace(-35, 35, 8), 30.0 * np.arange(12)
WITHOUT = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2}
SMALL = WITHOUT | {"quantizer_kwargs": {"codebook_size": 8}}
LAND = np.zeros((8, 12), dtype=bool)
LAND[2:5, 3:6] = True


def field(times, name="sst", units="degC", land=None, lat=LAT, lon=LON):
    """Waves that travel, on a seasonal cycle."""
    step = np.arange(len(times))[:, None, None]
    values = 15 + 10 * np.cos(np.deg2rad(lat))[:, None] * np.sin(np.deg2rad(lon)[None] - step / 3)
    values = values + 3 * np.sin(2 * np.pi * step / 12)
    values = np.where(False if land is None else land, np.nan, values).astype("float32")
    coords = {
        "time": times,
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    return xr.DataArray(values, coords, ("time", "lat", "lon"), name, {"units": units})


def hourly(count=60, hours=6):
    return np.datetime64("2019-01-01", "ns") + np.arange(count) * np.timedelta64(hours, "h")


def train(path, tmp_path, channels=1, steps=(4, 2), **settings):
    """A run over a file; the experiment, its scores, and the model."""
    height, width = settings.pop("size", (8, 12))
    layer = {"method": "simvp_svq", "dataname": "custom", "data_root": str(path), "res_dir": str(tmp_path / "runs")}
    layer |= {"in_shape": [steps[0], channels, height, width], "aft_seq_length": steps[1], "num_workers": 0, "epoch": 1}
    layer |= {
        "accelerator": "cpu",
        "batch_size": 4,
        "no_display_method_info": True,
        "split": [0.5, 0.25, 0.25],
        **SMALL,
        **settings,
    }
    experiment = Experiment(config.resolve([], base=layer))
    experiment.train()
    return experiment, experiment.test(), openstl_svq.load(experiment.save_dir)


# ---- calendars and time steps ----


def mid_months(count):
    months = np.datetime64("2000-01", "M") + np.arange(count)
    return (months.astype("M8[D]") + 14).astype("M8[ns]")


def of_calendar(calendar, count, day=16):
    cftime = pytest.importorskip("cftime")
    return [cftime.datetime(2000 + m // 12, m % 12 + 1, day, calendar=calendar) for m in range(count)]


@pytest.mark.parametrize("times", [mid_months(48), of_calendar("noleap", 48), of_calendar("360_day", 48)])
def test_a_month_is_a_month_whatever_its_day(times, tmp_path):
    data = field(times)
    data.to_netcdf(tmp_path / "sst.nc")
    _, _, model = train(tmp_path / "sst.nc", tmp_path)
    assert model.hparams.trained_on["interval_months"] == 1
    forecast = model.predict(data[:40])
    assert_close(forecast.values[:, None], model.predict(data.values[36:40, None]))
    assert forecast["time"].values.tolist() == data["time"].values[40:42].tolist()
    assert forecast["lead_time"].values.tolist() == [1, 2] and forecast.attrs == data.attrs
    quarters = data[::3]
    with pytest.raises(ValueError, match="another time step than the model was trained with: 4 frames 1 months apart"):
        model.predict(quarters)
    with pytest.raises(ValueError, match="a gap between the frames"):
        model.predict(data.drop_isel(time=38)[:40])


def test_a_calendar_without_29_february_has_no_gap_there(tmp_path):
    cftime = pytest.importorskip("cftime")
    days = xr.date_range("2004-02-10", periods=40, calendar="noleap", use_cftime=True)
    assert days[19] == cftime.DatetimeNoLeap(2004, 3, 1)
    data = field(np.array(days))
    data.to_netcdf(tmp_path / "noleap.nc")
    entry = {"in_shape": [4, 1, 8, 12], "pre_seq_length": 4, "aft_seq_length": 2}
    dataset = load_data("custom", 4, 4, 0, tmp_path / "noleap.nc", split=[0.6, 0.2, 0.2], **entry)[0].dataset
    assert len(dataset) == 24 - 5
    without = data.assign_coords(time=[np.datetime64(str(d)[:10]) for d in days])
    without.to_netcdf(tmp_path / "without.nc")
    with pytest.warns(UserWarning, match="none of its leap years has a 29 February"):
        dataset = load_data("custom", 4, 4, 0, tmp_path / "without.nc", split=[0.6, 0.2, 0.2], **entry)[0].dataset
    assert len(dataset) == 24 - 5


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
@pytest.mark.parametrize("monthly", [False, True])
def test_steps_of_a_clock_and_back(calendar, monthly):
    days = np.arange("2003-01-01", "2005-01-01", dtype="M8[D]")
    days = days[(days - days.astype("M8[M]")).astype(int) < 28] if calendar != "standard" else days
    times = (np.arange("2003-01", "2009-01", dtype="M8[M]").astype("M8[D]") + 14 if monthly else days).astype("M8[m]")
    clock = Clock(calendar, monthly)
    steps = clock.steps(times)
    np.testing.assert_array_equal(clock.times(steps, times[:12]), times)
    assert monthly == Clock.of(times, calendar).monthly
    if monthly:
        assert (np.diff(steps) == 1).all()


def test_a_forecast_from_the_end_of_a_month_ends_at_the_ends_of_months():
    times = np.array(["2003-11-30", "2003-12-31"], dtype="M8[m]")
    clock = Clock.of(times)
    after = clock.times(clock.steps(times[-1]) + np.arange(1, 4), times)
    assert after.astype("M8[D]").astype(str).tolist() == ["2004-01-31", "2004-02-29", "2004-03-31"]


# ---- land ----


@pytest.fixture(scope="module")
def ocean(tmp_path_factory):
    """A run on a field with land: the data, the experiment, its scores and the model."""
    folder = tmp_path_factory.mktemp("ocean")
    data = field(hourly(), land=LAND)
    data.to_netcdf(folder / "sst.nc")
    return data, *train(folder / "sst.nc", folder, mask="land", metrics=["mse", "mae", "psnr"])


def test_land_is_missing_again_in_the_forecast(ocean):
    data, _, _, model = ocean
    forecast = model.predict(data)
    np.testing.assert_array_equal(np.isnan(forecast.values), np.broadcast_to(LAND, forecast.shape))
    other = data.where(~LAND, 99.0)  # what stands there is of no matter
    np.testing.assert_array_equal(model.predict(other).values, forecast.values)


def test_land_is_left_out_of_scores_and_loss(ocean):
    _, experiment, scores, model = ocean
    dataset = experiment.data.test_loader.dataset
    x, y = (torch.stack(v) for v in zip(*(dataset[i] for i in range(len(dataset)))))
    with torch.no_grad():
        error = (model(x) - y).double() * experiment.data.test_std
    sea = error[..., ~torch.from_numpy(LAND)]
    assert_close(scores["model"]["mse"], sea.square().mean(), rtol=1e-5)
    assert_close(scores["model"]["mae"], sea.abs().mean(), rtol=1e-5)
    weights = np.broadcast_to(np.cos(np.deg2rad(LAT))[:, None], LAND.shape)[~LAND]
    weighted = (sea.square().numpy() * weights).sum(-1).mean() / weights.sum()
    assert_close(scores["model"]["wrmse"], np.sqrt(weighted), rtol=1e-5)
    method = experiment.method.eval()
    loss = method.criterion(method.model(x)[:, :2], y)
    assert_close(loss, (sea / experiment.data.test_std).abs().mean().float(), rtol=1e-4)


NETS = {"num_hidden": "4,4", "patch_size": 2, "filter_size": 3, "stride": 1, "layer_norm": 0}


@pytest.mark.parametrize(
    "name, settings",
    [
        ("convlstm", NETS),
        ("e3dlstm", NETS),
        ("phydnet", {"patch_size": 2}),
        ("predrnnv2", NETS | {"decouple_beta": 0.1}),
    ],
)
@pytest.mark.skipif(host.describe().name != "builtin", reason="OpenSTL's networks compute their losses themselves")
def test_land_is_left_out_of_the_losses_of_recurrent_methods(name, settings, tmp_path, monkeypatch):
    """What a loss says is the same whatever stands on land, and is a mean over the other points."""
    args = config.resolve(
        [],
        base={
            "method": name,
            "dataname": "custom",
            "in_shape": [4, 1, 8, 12],
            "aft_seq_length": 2,
            "metrics": ["mse"],
            **settings,
        },
    )
    method = get_method(name).cls(
        steps_per_epoch=1,
        test_mean=0.0,
        test_std=1.0,
        save_dir=str(tmp_path),
        missing=torch.tensor(LAND[None]),
        **vars(args),
    )
    x, y = (torch.randn(2, t, 1, 8, 12, generator=torch.Generator().manual_seed(t)) for t in (4, 2))
    forecasts, penalty = torch.randn(2, 5, 1, 8, 12, generator=torch.Generator().manual_seed(9)), torch.tensor(0.5)
    monkeypatch.setattr(method.model, "forward", lambda *inputs: (forecasts, penalty))
    monkeypatch.setattr(method, "log", lambda *values, **settings: None)
    monkeypatch.setattr(method, "_setting", lambda key: 0 if "sampling" in key else method.hparams.get(key))
    found = method.training_step((x, y), 0)
    land = torch.tensor(LAND)
    assert_close(method.training_step((x.masked_fill(land, 9.0), y.masked_fill(land, -9.0)), 0), found)
    error = (forecasts - torch.cat([x, y], 1)[:, 1:])[..., ~land]
    square = error.square().mean()
    expected = {
        "convlstm": square,
        "e3dlstm": square + error.abs().mean(),
        "phydnet": 5 * square + penalty,
        "predrnnv2": square + 0.1 * penalty,
    }
    assert_close(found, expected[name])


def test_land_is_left_out_of_the_regularisation_of_tau(ocean):
    data, _, _, _ = ocean
    args = config.resolve(
        [],
        base={
            "method": "tau",
            "dataname": "custom",
            "in_shape": [4, 1, 8, 12],
            "aft_seq_length": 4,
            "metrics": ["mse"],
            **WITHOUT,
        },
    )
    built = [
        get_method("tau").cls(steps_per_epoch=1, test_mean=0.0, test_std=1.0, save_dir=".", **vars(args), **more)
        for more in ({}, {"missing": torch.tensor(LAND[None])})
    ]
    p, q = (torch.randn(2, 4, 1, 8, 12, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    sea = ~torch.tensor(LAND)
    assert_close(built[1].diff_div_reg(p, q), built[0].diff_div_reg(p[..., sea][..., None], q[..., sea][..., None]))
    assert not torch.isclose(built[1].diff_div_reg(p, q), built[0].diff_div_reg(p, q))


def test_a_method_that_computes_its_loss_in_the_network_refuses_a_mask(ocean, monkeypatch):
    _, experiment, _, _ = ocean
    monkeypatch.setattr(Quantized, "training_step", lambda self, batch, i: self.model(batch[0]).square().mean())
    batch = [v[None] for v in experiment.data.train_loader.dataset[0]]
    with pytest.raises(ValueError, match="learns from more than its forecasts, so mask cannot leave points out"):
        experiment.method.training_step(batch, 0)


def test_points_that_are_missing_now_and_then_are_refused_with_where_and_how_many(tmp_path):
    data = field(hourly(), land=LAND)
    data[7, 0, 3] = np.nan
    data[9, 1, 3] = np.nan
    data.to_netcdf(tmp_path / "sst.nc")
    message = (
        "2 points are missing at some times and not at others, the first in channel 0 at row 0, column 3 .1 of 60 frames, "
        "the first 2019-01-02T18:00"
    )
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "sst.nc", tmp_path, mask="land")
    with pytest.raises(ValueError, match='frame 0 .* has NaN.*mask="land"'):
        train(tmp_path / "sst.nc", tmp_path)
    (data * np.nan).to_netcdf(tmp_path / "none.nc")
    with pytest.raises(ValueError, match="all values of channel 0 are missing"):
        train(tmp_path / "none.nc", tmp_path, mask="land")


def test_metrics_of_neighbourhoods_cannot_be_masked(tmp_path):
    field(hourly(), land=LAND).to_netcdf(tmp_path / "sst.nc")
    with pytest.raises(ValueError, match="ssim cannot leave points out.*take them out of metrics"):
        train(tmp_path / "sst.nc", tmp_path, mask="land", metrics=["mse", "ssim"])


def test_a_forecast_with_other_gaps_than_the_land_is_refused(ocean):
    data, _, _, model = ocean
    data = data.copy()
    data[-1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 of 384 values are NaN or infinite besides those that were always missing"):
        model.predict(data)


def test_weather_with_land(tmp_path):
    folder = tmp_path / "weather" / "2m_temperature"
    folder.mkdir(parents=True)
    land = np.zeros((32, 64), dtype=bool)
    land[10:20, 5:30] = True
    for year in (2001, 2002, 2003):
        times = np.datetime64(f"{year}-01-01", "ns") + np.arange(40) * np.timedelta64(6, "h")
        data = field(times, "t2m", "K", land, np.linspace(-87.1875, 87.1875, 32), 5.625 * np.arange(64))
        data.to_netcdf(folder / f"2m_temperature_{year}.nc")
    layer = {"in_shape": [4, 1, 32, 64], "pre_seq_length": 4, "aft_seq_length": 2, "mask": "land"}
    layer |= {"train_time": ["2001", "2001"], "val_time": ["2002", "2002"], "test_time": ["2003", "2003"]}
    train_set, _, test_set = load_data("weather_t2m_5_625", 4, 4, 0, tmp_path, **layer)
    np.testing.assert_array_equal(train_set.dataset.missing[0], land)
    assert not test_set.dataset[0][0][..., torch.from_numpy(land)].any() and test_set.dataset[0][0].isfinite().all()
    layer |= {"region": {"lat": [-90, 0], "lon": [-45, 45]}, "in_shape": [4, 1, 16, 17]}
    cut = load_data("weather_t2m_5_625", 4, 4, 0, tmp_path, **layer)[0].dataset
    assert cut.lon.tolist() == [*5.625 * np.arange(56, 64), *5.625 * np.arange(0, 9)]
    assert cut.missing[0].sum() == land[:16][:, [*range(56, 64), *range(9)]].sum()


def test_datasets_of_images_have_no_mask(tmp_path):
    with pytest.raises(ValueError, match="mask: the loader of kth has no such option"):
        load_data("kth", 4, 4, 0, tmp_path, mask="land")


# ---- levels, several files, other orders of the grid ----


def on_levels(times, levels=(500.0, 850.0)):
    """A field on pressure levels, warmer below."""
    data = xr.concat([field(times, "t", "K") + z / 10 for z in levels], xr.Variable("plev", list(levels)))
    return data.transpose("time", "plev", "lat", "lon").rename("t").assign_attrs(units="K")


def test_levels_are_chosen_by_their_values(tmp_path):
    data = on_levels(hourly())
    data.to_netcdf(tmp_path / "t.nc")
    experiment, scores, model = train(tmp_path / "t.nc", tmp_path, level=[850])
    x, _ = experiment.data.train_loader.dataset[0]
    wanted = data.sel(plev=850)[:4].values
    assert_close(x[:, 0].numpy() * float(model.hparams.test_std) + float(model.hparams.test_mean), wanted, rtol=1e-5)
    forecast = model.predict(data)
    assert forecast["plev"].values.tolist() == [850] and forecast.sizes["time"] == 2
    np.testing.assert_array_equal(forecast.values[:, 0], model.predict(data.sel(plev=[850]))[:, 0])
    with pytest.raises(ValueError, match=r"level \[700\] is not there: t in .* has plev \[500.0, 850.0\]"):
        train(tmp_path / "t.nc", tmp_path, level=[700])
    field(hourly()).to_netcdf(tmp_path / "sst.nc")
    with pytest.raises(ValueError, match=r"level \[850\] is asked for, and sst .* has no dimension of levels"):
        train(tmp_path / "sst.nc", tmp_path, level=850)


def test_every_level_has_its_scores(tmp_path):
    on_levels(hourly()).to_netcdf(tmp_path / "t.nc")
    _, scores, _ = train(tmp_path / "t.nc", tmp_path, channels=2)
    model = scores["model"]
    assert_close(model["mse"], (model["mse_t_plev_500"] + model["mse_t_plev_850"]) / 2, rtol=1e-6)


def windows(path, channels=1, **settings):
    entry = {"in_shape": [4, channels, 8, 12], "pre_seq_length": 4, "aft_seq_length": 2, "split": [0.6, 0.2, 0.2]}
    return load_data("custom", 4, 4, 0, path, **{**entry, **settings})[0].dataset


def test_files_of_stretches_of_time_are_one_series(tmp_path):
    data = field(hourly(), land=None)
    folder = tmp_path / "years"
    folder.mkdir()
    data.to_netcdf(tmp_path / "whole.nc")
    data[40:].to_netcdf(folder / "a_second.nc")  # their order is that of their times, not of their names
    data[:40].to_netcdf(folder / "b_first.nc")
    whole = windows(tmp_path / "whole.nc")
    for place in (folder, folder / "*.nc", folder / "?_*.nc"):
        parts = windows(place)
        assert len(parts) == len(whole)
        assert all(torch.equal(a, b) for i in range(len(whole)) for a, b in zip(whole[i], parts[i]))
    data[30:50].to_netcdf(folder / "c_twice.nc")
    with pytest.raises(ValueError, match="times of sst are there twice"):
        windows(folder)


def test_files_of_variables_become_channels(tmp_path):
    folder = tmp_path / "variables"
    folder.mkdir()
    sst, ssh = field(hourly()), field(hourly(), "ssh", "m") / 10
    sst.to_netcdf(folder / "sst.nc"), ssh.to_netcdf(folder / "ssh.nc")
    both = windows(folder, channels=2, data_name=["ssh", "sst"])
    assert both.data_name == ["ssh", "sst"]
    assert_close(both.in_units(both[0][0].numpy(), None)[:, 1], sst[:4].values, rtol=1e-5)
    with pytest.raises(ValueError, match="data_name is not given, and .* has the variables ssh, sst"):
        windows(folder, channels=2)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run on a field without land: its folder, the data, and the model."""
    folder = tmp_path_factory.mktemp("plain")
    data = field(hourly())
    data.to_netcdf(folder / "sst.nc")
    return folder, data, train(folder / "sst.nc", folder)[2]


def test_other_orders_of_the_grid_are_taken_and_given_back(plain, tmp_path):
    _, data, model = plain
    turned = data.isel(lat=slice(None, None, -1)).assign_coords(lon=(data["lon"] + 180) % 360 - 180).sortby("lon")
    assert turned["lon"].values[0] == -180 and turned["lat"].values[0] == 35
    forecast = model.predict(turned)
    xr.testing.assert_equal(forecast["lon"].reset_coords(drop=True), turned["lon"])
    back = forecast.assign_coords(lon=forecast["lon"] % 360).sortby("lon").sortby("lat")
    np.testing.assert_array_equal(back.values, model.predict(data).values)
    for name, value in model.score(data)["model"].items():
        assert_close(model.score(turned)["model"][name], value, rtol=1e-6)
    turned.to_netcdf(tmp_path / "turned.nc")
    forecast_file(model, tmp_path / "turned.nc", tmp_path / "forecast.nc")
    np.testing.assert_array_equal(xr.open_dataset(tmp_path / "forecast.nc")["sst"].values, forecast.values)
    with pytest.raises(ValueError, match="lat goes from .* another grid"):
        model.predict(data.assign_coords(lat=data["lat"] + 2))


# ---- sizes and the seam ----


def test_frames_of_odd_size_are_padded_and_cut_back(tmp_path):
    data = field(hourly(), lat=LAT[:7], lon=LON[:11])
    data.to_netcdf(tmp_path / "odd.nc")
    with pytest.raises(ValueError, match="frames of 7 x 11 cannot be divided .* Give --pad"):
        train(tmp_path / "odd.nc", tmp_path, size=(7, 11))
    _, scores, model = train(tmp_path / "odd.nc", tmp_path, size=(7, 11), pad=True)
    assert model.hparams.pad == 2 and model.predict(data).shape == (2, 7, 11)
    x = torch.randn(1, 4, 1, 7, 11, generator=torch.Generator().manual_seed(0))
    larger = torch.nn.functional.pad(x[0], (0, 1, 0, 1), mode="replicate")[None]
    even = get_method("simvp_svq").cls(
        **{**model.hparams, "in_shape": [4, 1, 8, 12], "pad": False, "steps_per_epoch": 1}
    )
    even.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert_close(model(x), even.eval()(larger)[..., :7, :11], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pad_mode", ["circular", "zeros"])
def test_longitudes_around_the_globe_have_no_seam(pad_mode):
    """A shift of the input around the globe shifts the forecast, with circular padding alone."""
    args = config.resolve(
        [], base={"method": "simvp_svq", "dataname": "custom", "in_shape": [4, 1, 8, 12], "aft_seq_length": 2, **SMALL},
        keywords={"pad_mode": pad_mode},
    )  # fmt: skip
    method = get_method("simvp_svq").cls(steps_per_epoch=1, test_mean=0.0, test_std=1.0, save_dir=".", **vars(args))
    x = torch.randn(1, 4, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        there, back = method.eval()(x.roll(4, -1)), method(x).roll(4, -1)
    assert torch.allclose(there, back, atol=1e-5) == (pad_mode == "circular")


# ---- anomalies, units, coordinates, climatology ----


def test_anomalies_from_the_months_of_the_training(tmp_path):
    data = field(mid_months(72))
    data.to_netcdf(tmp_path / "sst.nc")
    experiment, _, model = train(tmp_path / "sst.nc", tmp_path, anomaly="monthly", split=[0.5, 0.25, 0.25])
    usual = data[:36].groupby("time.month").mean()
    assert_close(model.cycle.means[:, 0], usual.values, rtol=1e-5)
    train_set = experiment.data.train_loader.dataset
    frames = np.concatenate([values for values, _ in train_set.frames()])
    assert_close(frames.reshape(3, 12, -1).mean(0), np.zeros((12, 96)), atol=1e-5)
    forecast = model.predict(data)
    x = (data[-4:].values - usual.sel(month=data["time.month"][-4:]).values)[None, :, None]
    mean, std = float(model.hparams.test_mean), float(model.hparams.test_std)
    with torch.no_grad():
        y = model(torch.from_numpy((x - mean) / std).float())[0, :2, 0].numpy()
    assert_close(forecast.values, y * std + mean + usual.sel(month=[1, 2]).values, rtol=1e-4)
    assert_close(forecast.values, model.predict(data.values, times=data["time"].values), rtol=1e-6)
    with pytest.raises(ValueError, match="give a DataArray, or times="):
        model.predict(data.values[:, None])


def test_anomalies_from_the_hours_of_the_day(tmp_path):
    data = field(hourly(80))
    data.to_netcdf(tmp_path / "sst.nc")
    _, _, model = train(tmp_path / "sst.nc", tmp_path, anomaly="hourly")
    assert model.cycle.groups.tolist() == [0, 6, 12, 18]  # of January
    first = data[:40].groupby("time.hour").mean()
    assert_close(model.cycle.means[:, 0], first.values, rtol=1e-5)
    shifted = data.assign_coords(time=data["time"] + np.timedelta64(3, "h"))
    with pytest.raises(ValueError, match="no frame in the month and hour of 2019-01-"):
        model.predict(shifted)


def test_variables_of_unlike_units_have_rows_of_their_own(tmp_path, capsys):
    pair = xr.Dataset({"sst": field(hourly()), "ssh": field(hourly(), "ssh", "m") / 100})
    pair["ssh"].attrs["units"] = "m"
    pair.to_netcdf(tmp_path / "pair.nc")
    experiment, scores, model = train(tmp_path / "pair.nc", tmp_path, channels=2, data_name=["sst", "ssh"])
    found = scores["model"]
    assert "mse" not in found and found["mse_ssh"] < found["mse_sst"] / 100
    variances = np.asarray(model.hparams.test_std).ravel() ** 2
    assert_close(
        found["mse_normalised"], np.mean([found["mse_sst"] / variances[0], found["mse_ssh"] / variances[1]]), rtol=1e-5
    )
    with open(experiment.save_dir / "metrics.csv") as file:
        units = {row["metric"]: row["unit"] for row in csv.DictReader(file) if row["model"] == "model"}
    assert (units["mse_sst"], units["mse_ssh"], units["mae_ssh"], units["mse_normalised"]) == ("degC^2", "m^2", "m", "")
    printed = capsys.readouterr().out
    assert "degC^2" in printed and "m^2" in printed


def test_coordinates_of_a_curvilinear_grid_are_kept(tmp_path):
    y, x = np.mgrid[0:8, 0:12]
    data = field(hourly()).drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    data = data.assign_coords(
        latitude=(("y", "x"), 50 + y + x / 10, {"units": "degrees_north"}), longitude=(("y", "x"), x - y / 10.0)
    )
    data.to_netcdf(tmp_path / "tilted.nc")
    _, _, model = train(tmp_path / "tilted.nc", tmp_path)
    forecast = model.predict(data)
    forecast_file(model, tmp_path / "tilted.nc", tmp_path / "forecast.nc")
    for made in (forecast, xr.open_dataset(tmp_path / "forecast.nc")["sst"]):
        for name in ("latitude", "longitude"):
            np.testing.assert_array_equal(made[name].values, data[name].values)
        assert made["latitude"].attrs["units"] == "degrees_north" and made["latitude"].dims == ("y", "x")


@pytest.mark.parametrize(
    "times, said",
    [
        (mid_months(48), "seasonal, fitted to the training frames"),
        (hourly(), "constant, .* since these do not cover a year"),
        (None, "constant, .* since these have no times"),
    ],
)
def test_which_climatology_is_scored_is_said_and_kept(times, said, tmp_path, capsys):
    path = tmp_path / ("sst.npy" if times is None else "sst.nc")
    if times is None:
        np.save(path, field(hourly()).values)
    else:
        field(times).to_netcdf(path)
    experiment, _, _ = train(path, tmp_path)
    assert re.search(f"\nclimatology: {said}", capsys.readouterr().out)
    kept = json.loads((experiment.save_dir / "metrics.json").read_text())["provenance"]["climatology"]
    assert kept == said.partition(",")[0]


def test_a_forecast_goes_on_from_28_february_with_1_march_where_there_is_no_29(tmp_path):
    pytest.importorskip("cftime")
    data = field(np.array(xr.date_range("2003-12-01", periods=90, calendar="noleap", use_cftime=True)))
    data.to_netcdf(tmp_path / "noleap.nc")
    _, _, model = train(tmp_path / "noleap.nc", tmp_path)
    assert str(data["time"].values[-1]) == "2004-02-28 00:00:00"
    assert [str(t)[:10] for t in model.predict(data)["time"].values] == ["2004-03-01", "2004-03-02"]
