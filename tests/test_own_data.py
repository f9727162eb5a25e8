"""Data that real people have: land, calendars, levels, several files, odd sizes, grids in another order."""

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
