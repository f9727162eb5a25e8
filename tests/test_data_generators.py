"""Sample data: the shipped series, the synthetic sets, and runs of a stand-in for the general circulation model."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close

from openstl_svq.commands import make_sample_data
from openstl_svq.data import gcm, load_data, synthetic
from openstl_svq.data.formats.weatherbench import WEATHERBENCH_GRID
from openstl_svq.data.sample import sample_root

pytestmark = pytest.mark.filterwarnings("ignore:.* of the full dataset")

GAUSSIAN = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(32)[0]))


# ---- the general circulation model ----


class Interrupted(Exception):
    pass


class FakeModel:
    """A model whose fields tell time and place, with jcm's calls; after ``fail_at`` pieces it is interrupted."""

    fail_at = None
    value = 1.0

    def __init__(self, *, coords, terrain, time_step, start_time):
        self.start = np.datetime64(start_time, "h")
        self.hours = 0
        self.calls = 0

    def initial_state(self, random_seed):
        return random_seed

    def bootstrap_state(self, state):
        self.seed = state

    def resume(self, *, forcing, save_interval, total_time):
        self.calls += 1
        if self.fail_at is not None and self.calls > self.fail_at:
            raise Interrupted
        step = int(save_interval.split()[0])
        times = self.start + self.hours + np.arange(step, 24 * total_time + 1, step)
        self.hours += 24 * total_time
        hour = (times - np.datetime64("2000", "h")).astype(float)[:, None, None]
        surface = 280 + self.seed + hour / 1000 + GAUSSIAN / 10 + np.zeros((1, 64, 1))  # (T, lon, lat), as jcm has it
        sigma = np.array([0.95, 0.5, 0.1])
        column = surface[:, None] + 10 * np.log(sigma)[:, None, None]
        data = xr.Dataset(
            {
                "surface_flux.t0": (("time", "lon", "lat"), self.value * surface),
                "temperature": (("time", "level", "lon", "lat"), column),
                "normalized_surface_pressure": (("time", "lon", "lat"), np.ones_like(surface)),
            },
            coords={"time": times.astype("datetime64[ns]"), "level": sigma, "lat": GAUSSIAN},
        )
        return types.SimpleNamespace(to_xarray=lambda: data)


@pytest.fixture
def fake_jcm(monkeypatch):
    def save(model, path):
        Path(path).write_text(str(model.hours))

    def load(model, path):
        model.hours = int(Path(path).read_text())
        return model.hours / 24

    def module(name, **content):
        made = types.ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    checkpoint = module("jcm.checkpoint", save_checkpoint=save, load_checkpoint=load)
    module("jcm", Model=FakeModel, checkpoint=checkpoint, __version__="3.0.0", __path__=[])
    module("jcm.data", __path__=[])
    module("jcm.data.bc", __path__=[])
    module("jcm.data.bc.interpolate", interpolate=lambda grid, folder: None)
    module("jcm.forcing", ForcingData=types.SimpleNamespace(from_file=lambda *a, **k: None))
    module("jcm.terrain", TerrainData=types.SimpleNamespace(from_file=lambda *a, **k: None))
    module("jcm.physics", __path__=[])
    module("jcm.physics.speedy", __path__=[])
    module("jcm.physics.speedy.speedy_coords", get_speedy_coords=lambda **k: types.SimpleNamespace(horizontal=None))
    monkeypatch.setattr(FakeModel, "fail_at", None)
    monkeypatch.setattr(FakeModel, "value", 1.0)


def run(folder, months=14, variables=("t2m",), hours=24, **options):
    return gcm.generate(folder, variables, months=months, hours=hours, progress=False, **options)


def contents(paths):
    return {p.name: xr.load_dataset(p) for p in paths}


def test_series_has_whole_years_on_weatherbenchs_grid_with_provenance(fake_jcm, tmp_path):
    paths = run(tmp_path, hours=6, seed=3, command="make it")
    assert [p.relative_to(tmp_path).as_posix() for p in paths] == [
        f"2m_temperature/2m_temperature_{year}_5.625deg.nc" for year in (2001, 2002)
    ]
    first, second = contents(paths).values()
    times = np.concatenate([first.time.values, second.time.values]).astype("datetime64[h]")
    assert times[0] == np.datetime64("2001-01-01T00") and times[-1] == np.datetime64("2002-02-28T18")
    assert (np.diff(times) == np.timedelta64(6, "h")).all()
    assert_close(first.lat.values, WEATHERBENCH_GRID[0])
    assert_close(first.lon.values, WEATHERBENCH_GRID[1])
    # Linear in latitude, so interpolation is exact but beyond the last Gaussian latitude.
    hour = (times[:1460] - np.datetime64("2000", "h")).astype(float)
    expected = 283 + hour[:, None, None] / 1000 + first.lat.values[None, 1:-1, None] / 10 + np.zeros((1, 1, 64))
    assert np.abs(first.t2m.values[:, 1:-1] - expected).max() < 0.0051
    assert "not observations" in first.attrs["source"]
    assert first.attrs["seed"] == 3 and first.attrs["command"] == "make it"
    assert first.t2m.attrs["units"] == "K"


def test_an_interrupted_run_continues_to_the_same_files(fake_jcm, tmp_path, monkeypatch):
    whole = contents(run(tmp_path / "whole"))
    for fail_at in (3, 30, 60):  # in the spin-up, in the first year, in the second
        monkeypatch.setattr(FakeModel, "fail_at", fail_at)
        with pytest.raises(Interrupted):
            run(tmp_path / "parts")
    monkeypatch.setattr(FakeModel, "fail_at", None)
    parts = contents(run(tmp_path / "parts"))
    assert whole.keys() == parts.keys()
    for name in whole:
        assert whole[name].identical(parts[name])


def test_a_finished_run_goes_on_to_more_years(fake_jcm, tmp_path, monkeypatch):
    run(tmp_path / "a", months=14)
    made = contents(run(tmp_path / "a", months=25))
    whole = contents(run(tmp_path / "b", months=25))
    assert len(made) == 3
    for name in whole:
        assert whole[name].identical(made[name])
    monkeypatch.setattr(FakeModel, "fail_at", 0)
    run(tmp_path / "a", months=25)  # nothing left to run


def test_levels_are_interpolated_in_log_pressure(fake_jcm, tmp_path):
    (path,) = run(tmp_path, months=1, variables=["t"], levels=(150, 500, 1000))
    with xr.open_dataset(path) as data:
        assert data.t.dims == ("time", "level", "lat", "lon") and data.level.values.tolist() == [150, 500, 1000]
        profile = data.t.values[0, :, 16, 0]
    # The fake is linear in log p; below its lowest level its value stays.
    assert_close(profile - profile[1], 10 * np.log(np.array([0.15, 0.5, 0.95]) / 0.5), rtol=1e-3)


def test_runs_that_cannot_be(fake_jcm, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"unknown variables \['x'\]"):
        run(tmp_path, variables=["x"])
    with pytest.raises(ValueError, match="must divide 24 hours, got 7"):
        run(tmp_path, hours=7)
    with pytest.raises(ValueError, match="a month or more"):
        run(tmp_path, months=0)
    run(tmp_path, months=1)
    with pytest.raises(ValueError, match=r"other settings \(there, here\): {'seed': \(0, 1\)}"):
        run(tmp_path, seed=1)
    foreign = tmp_path / "foreign" / "2m_temperature" / "2m_temperature_2001_5.625deg.nc"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody's")
    with pytest.raises(ValueError, match="is not of a run that can be continued"):
        run(tmp_path / "foreign")
    assert foreign.read_text() == "somebody's"
    monkeypatch.setattr(FakeModel, "value", np.nan)
    with pytest.raises(FloatingPointError, match="not finite near 2001-01-01"):
        run(tmp_path / "nan")


def test_without_the_model_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jcm", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "openstl_svq\[gcm\]"'):
        run(tmp_path)


def test_latitudes_are_exact_for_a_plane_and_cross_the_poles():
    lat, lon = np.radians(GAUSSIAN)[:, None], np.radians(WEATHERBENCH_GRID[1])[None]
    target = np.radians(WEATHERBENCH_GRID[0])[:, None]
    # x of the point on the sphere is smooth across the poles; a northward wind of solid rotation flips its sign there.
    scalar = gcm.to_latitudes(np.cos(lat) * np.cos(lon), GAUSSIAN)
    assert_close(scalar, np.cos(target) * np.cos(lon), atol=2e-3)
    vector = gcm.to_latitudes(np.ones_like(lat) * np.sin(lon), GAUSSIAN, vector=True)
    assert_close(vector, np.ones_like(target) * np.sin(lon), atol=1e-12)
    flipped = gcm.to_latitudes(np.ones_like(lat) * np.sin(lon), GAUSSIAN)
    assert np.abs(flipped[0]).max() < 0.7


# ---- synthetic weather ----


def test_synthetic_weather_is_seeded_continuous_and_loads(tmp_path):
    spans = {2015: 3, 2016: 3, 2017: 3}
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        synthetic.weather(tmp_path / folder / "weather", ["u10", "v10"], spans, seed=seed)
    bounds = {"train_time": ["2015", "2015"], "test_time": ["2017", "2017"]}
    a, b, c = (load_data("weather_uv10_5_625", 2, 2, 0, tmp_path / f, **bounds)[0].dataset[0][0] for f in "abc")
    assert (a == b).all() and not (a == c).all()
    change, spread = (a[1:] - a[:-1]).abs().mean(), a.std()
    assert change < spread / 4
    assert not (a[:, 0] == a[:, 1]).any()


# ---- the tool ----


@pytest.fixture(scope="module")
def tool():
    return make_sample_data.main


@pytest.mark.parametrize(
    "name, options",
    [
        ("taxibj", {}),
        ("weather_tcc_5_625", {}),
        ("kitticaltech", {}),
        ("human", {"in_shape": [4, 3, 32, 32]}),
        ("weather_sample", {}),
    ],
)
def test_what_the_tool_makes_loads_in_both_protocols(tool, tmp_path, capsys, name, options):
    tool(["-d", name, "--source", "synthetic", "--out", str(tmp_path)])
    assert f"tools/train.py -d {name} --data_root {tmp_path}" in capsys.readouterr().out
    for protocol in ("strict", "openstl"):
        for loader in load_data(name, 2, 2, 0, tmp_path, protocol=protocol, **options):
            x, y = loader.dataset[0]
            assert torch.isfinite(x).all() and torch.isfinite(y).all() and len(loader) > 0


def test_the_tool_names_what_it_cannot_make(tool, tmp_path):
    for words, message in (
        (["-d", "taxibj", "--source", "gcm"], "unknown source of taxibj 'gcm'.*Available: synthetic"),
        (["-d", "taxibj", "--hours", "3"], "--hours: taxibj from synthetic has no such option"),
        (["-d", "weather_tcc_5_625", "--years", "3"], "--years: weather_tcc_5_625 from synthetic has no such option"),
        (["-d", "custom"], "nothing makes custom"),
        (["-d", "weather_t2m_1_40625"], "nothing makes weather_t2m_1_40625"),
        (["-d", "weather_t3m"], "unknown dataset 'weather_t3m'"),
    ):
        with pytest.raises(ValueError, match=message):
            tool([*words, "--out", str(tmp_path)])


# ---- the series that ships with the package ----


@pytest.fixture(scope="module")
def sample():
    files = sorted((sample_root("nowhere") / "weather" / "2m_temperature").glob("*.nc"))
    return files, xr.concat([xr.load_dataset(f) for f in files], "time")


def test_sample_is_small_and_says_what_it_is(sample):
    files, data = sample
    assert sum(f.stat().st_size for f in files) <= 4_000_000
    assert "not observations" in data.attrs["source"] and "tools/make_sample_data.py" in data.attrs["command"]
    assert {"resolution", "forcing", "spin_up", "seed", "license"} <= set(data.attrs)
    assert data.t2m.attrs["units"] == "K"


def test_sample_is_a_plausible_climate(sample):
    _, data = sample
    assert np.isfinite(data.t2m.values).all()
    assert (np.diff(data.time.values) == np.timedelta64(6, "h")).all()
    assert_close(data.lat.values, WEATHERBENCH_GRID[0])
    assert_close(data.lon.values, WEATHERBENCH_GRID[1])
    weights = np.cos(np.radians(data.lat.values))
    zonal = data.t2m.mean("lon")
    globe = (zonal * weights).sum("lat") / weights.sum()
    years = [float(globe.sel(time=slice(f"{y}-01", f"{y}-03")).mean()) for y in (2001, 2002, 2003)]
    assert all(280 < y < 292 for y in years) and max(years) - min(years) < 0.5  # no drift
    north = zonal.sel(lat=slice(40, 70)).mean("lat")
    assert float(north.sel(time="2001-07").mean() - north.sel(time="2001-01").mean()) > 10  # seasons
    assert data.t2m.values.min() > 205 and data.t2m.values.max() < 325


def test_sample_loads_with_its_own_entry_from_anywhere(tmp_path):
    train, validation, test = (x.dataset for x in load_data("weather_sample", 16, 16, 0, tmp_path))
    assert [len(d) for d in (train, validation, test)] == [1460 - 23, 360 - 23, 1460 - 23]
    assert train.target_times(-1)[-1] < validation.input_times(0)[0] < test.input_times(0)[0]
    assert (np.diff(test.target_times(0)) == np.timedelta64(6, "h")).all()
    x, y = test[100]
    assert x.shape == y.shape == (12, 1, 32, 64)

    spans = {2001: 365, 2002: 365, 2003: 90}
    synthetic.weather(tmp_path / "weather_sample" / "weather", ["t2m"], spans, hours=6)
    made = load_data("weather_sample", 16, 16, 0, tmp_path)[2].dataset  # one made by the user wins
    assert not (made[100][0] == x).all()
