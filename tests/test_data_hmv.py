"""WeatherBench-HMV: channels in the authors' order, scores of each, memory that does not grow with the years."""

import tracemalloc
import types

import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close
from test_data_generators import FakeModel, fake_jcm  # noqa: F401  (a fixture)

from openstl_svq.data import cache, frames, gcm, load_data, synthetic
from openstl_svq.data.datasets.weather import GROUPS
from openstl_svq.data.datasets.weather_hmv import LEVELS
from openstl_svq.data.formats.weatherbench import VARIABLES, WEATHERBENCH_GRID, write_file
from openstl_svq.training.data_module import ForecastData

HMV = "weather_hmv_4_4_s6_5_625"
YEARS = dict(train_time=["2015", "2015"], val_time=["2016", "2016"], test_time=["2017", "2017"])
pytestmark = pytest.mark.filterwarnings("ignore:.* of the full dataset")


def make(root, days, levels, hours=6, variables=GROUPS["hmv"]):
    spans = {2015: days, 2016: min(days, 12), 2017: min(days, 12)}
    synthetic.weather(root / "weather", variables, spans, hours=hours, levels=levels)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp("hmv"), 3, LEVELS)


@pytest.fixture(scope="module")
def loaders(root):
    return load_data(HMV, 2, 2, 0, root, **YEARS)


def test_channels_are_the_levels_of_eight_variables_and_six_without(loaders):
    dataset = loaders[0].dataset
    x, y = dataset[0]
    assert x.shape == y.shape == (4, 110, 32, 64) and torch.isfinite(x).all()
    expected = [f"{name} {p} hPa" for name in ("z", "pv", "r", "q", "t", "u", "v", "vo") for p in LEVELS]
    expected += ["u10", "v10", "t2m", "tisr", "tcc", "tp"]
    assert [name for name, _ in dataset.channels] == expected
    assert {name.split()[0]: unit for name, unit in dataset.channels} == {n: VARIABLES[n].units for n in GROUPS["hmv"]}
    assert (np.diff(dataset.input_times(0)) == np.timedelta64(6, "h")).all()


@pytest.mark.parametrize(
    "channel, name, level", [(0, "z", 50), (25, "pv", 1000), (40, "q", 100), (104, "u10", None), (109, "tp", None)]
)
def test_each_channel_is_its_variable_in_the_files(root, loaders, channel, name, level):
    dataset = loaders[1].dataset
    kind = VARIABLES[name].folder
    with xr.open_dataset(root / "weather" / kind / f"{kind}_2016_5.625deg.nc") as data:
        values = data[name].sel(time=dataset.target_times(3))
        values = (values if level is None else values.sel(level=level)).values
    physical = dataset[3][1].numpy() * dataset.std + dataset.mean
    assert_close(physical[:, channel], values, rtol=1e-5)


def test_scores_come_by_channel(loaders):
    scored = ForecastData(*loaders, {"dataname": HMV, "metrics": ["mse"], "seed": 0}).metric_settings()["channel_names"]
    assert len(scored) == 110 and scored[:2] == ["z_50", "z_100"] and scored[-2:] == ["tcc", "tp"]


def test_a_level_that_is_not_there_is_named_with_those_that_are(tmp_path):
    make(tmp_path, 1, [50, 500, 700, 1000], variables=["z"])
    with pytest.raises(
        ValueError, match=r"z: level \[600\] not in .*, which has \[50, 500, 700, 1000\]; the nearest is \[500\]"
    ):
        load_data(HMV, 2, 2, 0, tmp_path, **YEARS | TWO | dict(data_name=["z"], level=[50, 600]))


# two variables of it, by the hour, stand for the rest
TWO = dict(data_name=["z", "t2m"], level=[500], in_shape=[4, 2, 32, 64])


def test_openstls_protocol_applies_the_factor_six_twice(tmp_path):
    make(tmp_path, 12, [500], hours=1, variables=TWO["data_name"])
    train, validation, test = load_data(HMV, 2, 2, 0, tmp_path, protocol="openstl", **YEARS | TWO)
    assert len(train.dataset) == 48 - 37 and validation.dataset is test.dataset
    last = train.dataset.input_times(0)[-1]
    apart = [
        (times - last).astype("m8[h]").astype(int).tolist()
        for times in (train.dataset.input_times(0), train.dataset.target_times(0))
    ]
    assert apart == [[-102, -66, -30, 0], [6, 42, 78, 114]]


def test_memory_does_not_grow_with_the_years(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    monkeypatch.setattr(frames, "_CHUNK_BYTES", 2**18)
    peaks = {}
    for days in (12, 96):
        make(tmp_path / str(days), days, [500], variables=TWO["data_name"])
        tracemalloc.start(1)
        train, *_ = load_data(HMV, 2, 2, 0, tmp_path / str(days), **YEARS | TWO)
        train.dataset[0]
        peaks[days] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[96] < 4 * np.prod(train.dataset._frames.shape) / 2
    assert peaks[96] < 1.3 * peaks[12]


def test_wide_ranges_keep_their_digits(tmp_path):
    """16 bits of one scale would leave nothing of the stratosphere's humidity."""
    times = np.datetime64("2016", "h") + np.arange(3)
    values = (
        np.full((3, 2, 32, 64), 2.5e-6)
        * np.array([1, 4e3])[:, None, None]
        * (1 + 0.01 * np.arange(3)[:, None, None, None])
    )
    write_file(tmp_path / "q.nc", "q", times, values, levels=[50, 1000])
    with xr.open_dataset(tmp_path / "q.nc") as data:
        assert_close(data.q.values[:, 0], values[:, 0], rtol=1e-6)
    values[1, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="q: 1 of 12288 values are not finite"):
        write_file(tmp_path / "q.nc", "q", times, values, levels=[50, 1000])


# the general circulation model, and what it does not give itself


def test_the_model_gives_every_variable_in_its_unit(fake_jcm, tmp_path, monkeypatch):  # noqa: F811
    original = FakeModel.resume

    def resume(self, **options):
        data = original(self, **options).to_xarray()
        column, surface = 0 * data["temperature"], 0 * data["surface_flux.t0"]
        columns = {"u_wind": 10, "v_wind": 0, "specific_humidity": 0.004, "geopotential": 5e4, "humidity.rh": 30}
        others = {"surface_flux.u0": 5, "surface_flux.v0": 5, "shortwave_rad.cloudc": 0.5, "shortwave_rad.fsol": 100}
        others["surface_exchange.precipitation"] = 1e-3  # kg m-2 s-1
        more = {k: column + v for k, v in columns.items()} | {k: surface + v for k, v in others.items()}
        return types.SimpleNamespace(to_xarray=lambda: data.assign(more))

    monkeypatch.setattr(FakeModel, "resume", resume)
    paths = gcm.generate(tmp_path, GROUPS["hmv"], months=1, hours=24, levels=[500], spin_up_days=0, progress=False)
    found = {}
    for path in paths:
        with xr.open_dataset(path) as data:
            ((name, values),) = data.data_vars.items()
            assert values.attrs["units"] == VARIABLES[name].units
            found[name] = float(values[10].squeeze()[16, 3])
    assert set(found) == set(GROUPS["hmv"])
    expected = {
        "z": 5e4,
        "q": 0.004,
        "r": 150,
        "u": 10,
        "v": 0,
        "tisr": 3.6e5,
        "tp": 3.6e-3,
        "tcc": 0.5,
    }  # r is cut off
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_vorticity_of_solid_rotation_is_twice_the_sine_of_latitude():
    lat = WEATHERBENCH_GRID[0]
    u = 40 * np.cos(np.radians(lat))[:, None] + np.zeros((32, 64))
    expected = 2 * 40 / 6.371e6 * np.sin(np.radians(lat))[:, None] + np.zeros((32, 64))
    assert_close(gcm.vorticity(u, np.zeros_like(u), lat)[1:-1], expected[1:-1], rtol=0.02)


def test_vorticity_of_a_northward_wind_is_its_slope_eastwards():
    lat, lon = WEATHERBENCH_GRID
    v = 10 * np.sin(3 * np.radians(lon))[None] + np.zeros((32, 1))
    expected = 30 * np.cos(3 * np.radians(lon))[None] / (6.371e6 * np.cos(np.radians(lat))[:, None])
    assert_close(gcm.vorticity(np.zeros_like(v), v, lat), expected, rtol=0.02)


def test_potential_vorticity_of_air_at_rest_is_planetary():
    """theta = 300 K - 40 K sigma, so d(theta)/dp = -40 K / surface pressure."""
    sigma, lat = np.array([0.95, 0.6, 0.3, 0.1]), WEATHERBENCH_GRID[0]
    surface = np.full((1, 32, 64), 980.0)
    theta = (300 - 40 * sigma)[:, None, None]
    temperature = theta * (sigma[:, None, None] * surface[:, None] * 100 / 1e5) ** (2 / 7)
    still = np.zeros_like(temperature)
    found = gcm.potential_vorticity(temperature, still, still, sigma, surface, lat)
    expected = 9.81 * 2 * 7.292e-5 * np.sin(np.radians(lat))[:, None] * 40 / 98_000 + still
    assert_close(found, expected, rtol=1e-6)


@pytest.mark.openstl
def test_in_the_real_openstl_both_protocols_are_this_packages(tmp_path):
    from openstl_svq.host import describe, method_maps
    from openstl_svq.host import load_data as host_load_data

    assert describe().name == "openstl", "run with OPENSTL_SVQ_HOST=openstl or auto"
    make(tmp_path, 12, [500], hours=1, variables=TWO["data_name"])
    for protocol in ("strict", "openstl"):
        theirs = host_load_data(HMV, 2, 2, 0, str(tmp_path), protocol=protocol, **YEARS | TWO)
        ours = load_data(HMV, 2, 2, 0, tmp_path, protocol=protocol, **YEARS | TWO)
        assert [len(a.dataset) for a in theirs] == [len(b.dataset) for b in ours]
        assert torch.equal(theirs[0].dataset[0][0], ours[0].dataset[0][0])
    sizes = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2, "model_type": "gSTA", "in_shape": [4, 110, 32, 64]}
    config = sizes | {"dataname": HMV, "data_name": "hmv", "metrics": ["mse"], "method": "simvp", "aft_seq_length": 4}
    assert method_maps["simvp"](test_mean=0.0, test_std=1.0, save_dir="", **config).spatial_norm
