"""The WeatherBench loader: OpenSTL's windows and values to the last index (parity data), and the strict protocol."""

import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from openstl_svq.data import cache, frames, get_dataset, list_datasets, load_data, register_dataset
from openstl_svq.data.formats.weatherbench import VARIABLES, WEATHERBENCH_GRID, write_file
from openstl_svq.data.frames import ArrayFrames, FileFrames, channel_statistics
from openstl_svq.data.times import segments
from openstl_svq.data.windows import unbroken
from openstl_svq.protocol import DIFFERENCES
from openstl_svq.training.data_module import ForecastData

PARITY = json.loads((Path(__file__).parent / "parity" / "weather_windows.json").read_text())
pytestmark = pytest.mark.filterwarnings("ignore:.* of the full dataset")
T2M, MV, R = "weather_t2m_5_625", "weather_mv_4_4_s6_5_625", "weather_r_5_625"


def load(name, root, protocol="strict", batch_size=4, **options):
    return load_data(name, batch_size, batch_size, 0, root, protocol=protocol, **options)


def write(root, name, times, values, *, file="", levels=None, lat=WEATHERBENCH_GRID[0], variable=None, encoding=None):
    """A file of ``name`` as it stands: ``values`` (T, [L,] H, W)."""
    kind = VARIABLES[name].folder
    folder = Path(root) / "weather" / kind
    folder.mkdir(parents=True, exist_ok=True)
    coords = {
        "time": times.astype("datetime64[ns]"),
        **({} if levels is None else {"level": levels}),
        "lat": lat,
        "lon": WEATHERBENCH_GRID[1],
    }
    data = xr.Dataset({variable or name: (tuple(coords), values)}, coords=coords)
    path = folder / f"{kind}_{file or str(times[0])[:4]}_5.625deg.nc"
    data.to_netcdf(path, encoding=encoding and {name: encoding})
    return path


def hours(start, count, step=1):
    return np.datetime64(str(start), "h") + step * np.arange(count)


def ramp(times, offset=250.0):
    """A field that tells its hour: ``offset + hours since 2000 / 1000 + position``."""
    hour = (times - np.datetime64("2000", "h")).astype(np.float32)
    place = np.arange(2048, dtype=np.float32).reshape(32, 64) / 100
    return offset + hour[:, None, None] / 1000 + place


@pytest.fixture(scope="module")
def parity_root(tmp_path_factory):
    """The synthetic files that the parity data were measured on, of the levels only those that are used."""
    root = tmp_path_factory.mktemp("parity")
    i, j = np.meshgrid(np.arange(32), np.arange(64), indexing="ij")
    spec = PARITY["synthetic_files"]
    k = 0
    for year, count in spec["t2m"]["hours_per_year"].items():
        hour = (k + np.arange(count))[:, None, None]
        write(root, "t2m", hours(year, count), (250 + 0.25 * hour + 0.5 * i + 0.125 * j).astype(np.float32))
        k += count
    levels = [150, 500, 850, 1000]
    for name, a in zip("rtuv", (1, 3, 11, 23)):
        k = 0
        for year, count in spec["multilevel"]["hours_per_year"].items():
            hour = (k + np.arange(count))[:, None, None, None]
            at = np.array([spec["multilevel"]["levels"].index(p) for p in levels])[:, None, None]
            values = a * (at + 1) * (0.25 * hour + 0.5 * i + 0.125 * j) + 16 * (at + 1) * ((i + a * j + at) % 4)
            write(root, name, hours(year, count), values.astype(np.float32), levels=levels)
            k += count
    return root


# ---- OpenSTL's protocol ----


@pytest.mark.parametrize("name", [T2M, R, MV])
def test_openstl_protocol_is_openstl_to_the_last_index(parity_root, name):
    measured = PARITY["measured"][name]
    train, validation, test = load(name, parity_root, "openstl")
    for split, loader in (("train", train), ("test", test)):
        expected, dataset = measured[split], loader.dataset
        assert len(dataset) == expected["number_of_samples"]
        assert [*dataset.mean.shape] == expected["exposed_shape"] and dataset.mean.dtype == np.float32
        assert_close(dataset.mean.ravel(), np.float32(expected["exposed_mean"]), rtol=1e-6)
        assert_close(dataset.std.ravel(), np.float32(expected["exposed_std"]), rtol=1e-6)
        assert dataset.data_name == expected["exposed_data_name"]
        for sample in (expected["sample_0"], expected["sample_last"]):
            x, y = dataset[sample["position"]]
            assert [*x.shape] == sample["input_shape"] and [*y.shape] == sample["target_shape"]
            assert x.dtype == y.dtype == torch.float32
            for times, kind in ((dataset.input_times, "input_times"), (dataset.target_times, "target_times")):
                assert times(sample["position"]).astype("datetime64[h]").astype(str).tolist() == sample[kind]
            assert_close(x[0, :, 0, 0], torch.tensor(sample["input_value_frame0_pixel00_per_channel"]))
            assert_close(y[-1, :, -1, -1], torch.tensor(sample["target_value_last_frame_pixel_31_63_per_channel"]))
        frames = [values for values, _ in dataset.frames()]
        assert [*np.concatenate(frames).shape] == expected["data_shape"]
        assert len(loader) == expected["batch"]["number_of_batches"]
        assert loader.drop_last == expected["batch"]["drop_last"]
        assert [*next(iter(loader))[0].shape] == expected["batch"]["input_shape"]
    assert validation.dataset is test.dataset


def test_full_sizes_are_what_openstls_rule_makes_of_full_years():
    """The rule as measured on OpenSTL: samples = ceil((hours - 1) / step) - 1 - idx_out[-1] + idx_in[0]."""

    def windows(hours, step, first, last):
        return -(-(hours - 1) // step) - 1 - last + first

    rules = {"hourly_12_to_12": (1, -11, 12), "step6_idx_in_-17_-11_-5_0_idx_out_1_7_13_19": (6, -17, 19)}
    for measured in PARITY["sample_counts"]:
        for name, rule in rules.items():
            assert measured[name]["samples"] == max(0, windows(measured["hours"], *rule)), name
    for name in list_datasets():
        entry, sizes = get_dataset(name).entry, get_dataset(name).full_sizes
        for split, size in zip(("train_time", "test_time"), sizes if sizes and "train_time" in entry else ()):
            begin, end = (np.datetime64(year) + k for k, year in enumerate(entry[split]))
            hours_there = (end.astype("M8[h]") - begin.astype("M8[h]")).astype(int)
            rule = entry.get("step", 1), entry.get("idx_in", [-11])[0], entry.get("idx_out", [12])[-1]
            assert size == windows(hours_there, *rule), name


def test_the_table_is_openstls():
    for name, entry in PARITY["dataset_table"].items():
        if name in list_datasets():
            found = get_dataset(name).entry
            assert {k: v for k, v in found.items() if k in entry} == {k: entry[k] for k in entry if k in found}, name


# ---- the strict protocol ----


@pytest.fixture(scope="module")
def hourly_root(tmp_path_factory):
    """60 hours at the start of 2010, 2011, 2016, 2017 and 2018; in 2016 an hour is missing."""
    root = tmp_path_factory.mktemp("hourly")
    for year in range(2010, 2019):
        times = hours(year, 60 if year in (2010, 2011, 2016, 2017, 2018) else 3)
        if year == 2016:
            times = np.delete(times, 25)
        write(root, "t2m", times, ramp(times))
    return root


def test_strict_windows_are_consecutive_and_complete(hourly_root):
    train, validation, test = load(T2M, hourly_root)
    assert [len(x.dataset) for x in (train, validation, test)] == [2 * (60 - 23), 25 - 23 + 34 - 23, 2 * (60 - 23)]
    for loader, years in ((train, range(2010, 2016)), (validation, [2016]), (test, (2017, 2018))):
        dataset = loader.dataset
        for index in range(len(dataset)):
            times = np.concatenate([dataset.input_times(index), dataset.target_times(index)])
            assert (np.diff(times) == np.timedelta64(1, "h")).all()
            assert times[0].astype(object).year == times[-1].astype(object).year in years
    assert test.dataset.target_times(-1)[-1] == np.datetime64("2018-01-03T11")  # the last hour there is


def test_strict_normalises_every_split_with_the_training_statistics(hourly_root):
    loaders = load(T2M, hourly_root)
    train = np.concatenate([ramp(hours(y, 60 if y < 2012 else 3)) for y in range(2010, 2016)]).astype(np.float64)
    for loader in loaders:
        dataset = loader.dataset
        assert_close(dataset.mean.ravel(), np.array([train.mean()]), rtol=1e-6)
        assert_close(dataset.std.ravel(), np.array([train.std()]), rtol=1e-6)
        x, y = dataset[len(dataset) - 1]
        for window, times in ((x, dataset.input_times(-1)), (y, dataset.target_times(-1))):
            physical = window * torch.from_numpy(dataset.std) + torch.from_numpy(dataset.mean)
            assert_close(physical[:, 0], ramp(times.astype("datetime64[h]")).astype(np.float32), rtol=1e-6)


def test_strict_takes_true_six_hour_steps(tmp_path):
    for name, offset in zip("rtuv", (0, 100, 200, 300)):
        for year in (2015, 2016, 2017):
            times = hours(year, 60)
            values = np.stack([ramp(times, offset + p) for p in (150, 500, 850)], axis=1)
            write(tmp_path, name, times, values, levels=[150, 500, 850])
    options = dict(train_time=["2015", "2015"], test_time=["2017", "2017"])
    train, validation, test = load(MV, tmp_path, **options)
    dataset = test.dataset
    assert [name for name, _ in dataset.channels][2:5] == ["r 850 hPa", "t 150 hPa", "t 500 hPa"]
    assert len(dataset) == 10 - 7 and dataset.mean.shape == (1, 12, 1, 1) and dataset.data_name == ["r", "t", "u", "v"]
    assert dataset.input_times(1).astype("datetime64[h]").astype(object)[0].hour == 6
    times = np.concatenate([dataset.input_times(1), dataset.target_times(1)])
    assert (np.diff(times) == np.timedelta64(6, "h")).all()
    x, _ = dataset[1]
    physical = x * torch.from_numpy(dataset.std) + torch.from_numpy(dataset.mean)
    expected = np.stack(
        [ramp(times[:4].astype("datetime64[h]"), o + p) for o in (0, 100, 200, 300) for p in (150, 500, 850)], axis=1
    )
    assert_close(physical, expected.astype(np.float32), rtol=1e-6)

    # Files that hold every sixth hour only give the same windows.
    sparse = tmp_path / "sparse"
    for name in "rtuv":
        for year in (2015, 2016, 2017):
            kind = VARIABLES[name].folder
            with xr.open_dataset(tmp_path / "weather" / kind / f"{kind}_{year}_5.625deg.nc") as data:
                write(sparse, name, data.time.values[::6], data[name].values[::6], levels=[150, 500, 850])
    again = load(MV, sparse, **options)[2].dataset
    assert len(again) == len(dataset)
    assert torch.equal(again[1][0], x)


def test_frames_gives_each_frame_once_with_its_time(hourly_root, monkeypatch):
    dataset = load(T2M, hourly_root)[1].dataset
    monkeypatch.setattr(frames, "_CHUNK_BYTES", 7 * 4 * 32 * 64)
    chunks = list(dataset.frames())
    assert [len(values) for values, _ in chunks] == [7] * 8 + [3]
    times = np.concatenate([t for _, t in chunks])
    assert len(times) == len(np.unique(times)) == 59 and all(len(values) == len(t) for values, t in chunks)
    values = np.concatenate([v for v, _ in chunks]) * dataset.std + dataset.mean
    assert_close(values[:, 0], ramp(times.astype("datetime64[h]")).astype(np.float32), rtol=1e-6)


def test_dates_bound_splits_with_both_ends_included(tmp_path):
    times = hours("2019-03-01", 31 * 24)
    write(tmp_path, "t2m", times, ramp(times))
    options = dict(
        train_time=["2019-03-01", "2019-03-23"],
        val_time=["2019-03-24", "2019-03-26"],
        test_time=["2019-03-27", "2019-03"],
    )
    train, validation, test = (x.dataset for x in load(T2M, tmp_path, **options))
    assert [len(d) for d in (train, validation, test)] == [23 * 24 - 23, 3 * 24 - 23, 5 * 24 - 23]
    assert train.target_times(-1)[-1] == np.datetime64("2019-03-23T23")
    assert validation.input_times(0)[0] == np.datetime64("2019-03-24T00")


def test_wind_has_two_channels_and_workers_give_what_the_main_process_gives(tmp_path):
    for name, offset in (("u10", 0), ("v10", 50)):
        for year in (2015, 2016, 2017):
            times = hours(year, 40)
            write(tmp_path, name, times, ramp(times, offset))
    options = dict(train_time=["2015", "2015"], test_time=["2017", "2017"])
    main = load("weather_uv10_5_625", tmp_path, **options)[2]
    workers = load_data("weather_uv10_5_625", 4, 4, 2, tmp_path, **options)[2]
    assert main.dataset.data_name == "uv10" and main.dataset[0][0].shape == (12, 2, 32, 64)
    assert main.dataset.channels == [("u10", None), ("v10", None)]
    for (x, y), (x2, y2) in zip(main, workers, strict=True):
        assert torch.equal(x, x2) and torch.equal(y, y2)


def test_augmentation_changes_training_windows_alone(hourly_root):
    plain, augmented = (load(T2M, hourly_root, use_augment=on) for on in (False, True))
    torch.manual_seed(0)
    x, y = augmented[0].dataset[3]
    assert x.shape == (12, 1, 32, 64) and not torch.equal(x, plain[0].dataset[3][0])
    assert torch.equal(augmented[2].dataset[3][0], plain[2].dataset[3][0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 3), min_size=3, max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_unbroken_windows_are_all_and_only_those_without_a_gap(gaps, steps_in, steps_out):
    times = np.datetime64("2000", "h") + np.concatenate([[0], np.cumsum(gaps)]).astype("timedelta64[h]")
    idx_in, idx_out = np.arange(1 - steps_in, 1), np.arange(1, steps_out + 1)
    found = set(unbroken(segments(times, np.timedelta64(1, "h")), idx_in, idx_out).tolist())
    length = steps_in + steps_out
    expected = {
        s + steps_in - 1
        for s in range(len(times) - length + 1)
        if times[s + length - 1] - times[s] == np.timedelta64(length - 1, "h")
    }
    assert found == expected


# ---- how files may look ----


def test_packed_descending_unsorted_and_double_files_give_the_same_data(tmp_path, hourly_root):
    expected = load(T2M, hourly_root)[2].dataset
    for year in range(2010, 2019):
        times = hours(year, 60 if year in (2010, 2011, 2016, 2017, 2018) else 3)
        if year == 2018:  # in two files, the later one first by name
            write(tmp_path, "t2m", times[:20], ramp(times)[:20], file="2018b")
            write(tmp_path, "t2m", times[20:], ramp(times)[20:], file="2018a")
        elif year == 2017:
            write(tmp_path, "t2m", times[::-1], ramp(times)[::-1])
        elif year == 2010:
            write(tmp_path, "t2m", times, ramp(times).astype(np.float64))
        else:
            packing = {"dtype": "int16", "scale_factor": 0.005, "add_offset": 330.0, "_FillValue": -32768}
            write(tmp_path, "t2m", times, ramp(times), encoding=packing)
    found = load(T2M, tmp_path)[2].dataset
    for index in (0, len(expected) - 1):
        assert_close(found[index][1], expected[index][1], rtol=2e-3)
        assert (found.target_times(index) == expected.target_times(index)).all()

    flipped = tmp_path / "flipped"
    for year in range(2010, 2019):
        times = hours(year, 60 if year in (2010, 2011, 2016, 2017, 2018) else 3)
        write(flipped, "t2m", times, ramp(times)[:, ::-1], lat=WEATHERBENCH_GRID[0][::-1])
    found = load(T2M, flipped)[2].dataset
    assert torch.equal(found[0][0], expected[0][0])
    assert_close(found.lat, WEATHERBENCH_GRID[0])


def test_what_is_written_is_read_back(tmp_path):
    times, rng = hours("2001", 40, 6), np.random.default_rng(0)
    values = rng.uniform(230, 310, (40, 32, 64))
    write_file(tmp_path / "a.nc", "t2m", times, values, attributes={"seed": 3})
    with xr.open_dataset(tmp_path / "a.nc") as data:
        assert np.abs(data.t2m.values - values).max() <= 0.00505
        assert data.t2m.attrs["units"] == "K" and data.attrs["seed"] == 3
        assert (data.time.values.astype("datetime64[h]") == times).all()
    with pytest.raises(ValueError, match="16 bits"):
        write_file(tmp_path / "b.nc", "t2m", times, 10 * values)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc"]


# ---- large sets ----


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 1300), st.floats(-1e4, 1e4), st.integers(0, 9))
def test_streamed_statistics_are_those_of_the_whole(count, offset, seed):
    values = np.random.default_rng(seed).standard_normal((count, 2, 2, 3)) * [[[1.0]], [[30.0]]] + offset
    values = values.astype(np.float32)
    mean, std = channel_statistics(ArrayFrames(values))
    whole = values.astype(np.float64)
    assert_close(mean.ravel(), whole.mean(axis=(0, 2, 3)), rtol=1e-6, atol=1e-6)
    assert_close(std.ravel(), whole.std(axis=(0, 2, 3)), rtol=1e-6, atol=1e-6)


@pytest.fixture
def small_memory(monkeypatch):
    """Every array is too large for memory."""
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    monkeypatch.delenv(cache.ENVIRONMENT, raising=False)


@pytest.fixture
def one_year(tmp_path):
    root = tmp_path / "data"
    for year in (2015, 2016, 2017):
        times = hours(year, 40)
        write(root, "t2m", times, ramp(times))
    return root, dict(train_time=["2015", "2015"], test_time=["2017", "2017"])


def test_cache_gives_the_same_data_and_is_built_once(one_year, monkeypatch):
    root, options = one_year
    plain = load(T2M, root, **options)[0].dataset
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    cached = load(T2M, root, **options)[0].dataset
    assert isinstance(cached._frames, FileFrames)
    assert torch.equal(cached[5][0], plain[5][0])
    assert (cached.mean == plain.mean).all() and (cached.std == plain.std).all()

    folder = root / "weather" / ".openstl_svq_cache"
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert len([n for n in before if n.endswith(".npy")]) == 3 and not [n for n in before if n.endswith(".part")]
    monkeypatch.setattr(cache, "_build", lambda *a: pytest.fail("built again"))
    monkeypatch.setattr(cache, "channel_statistics", lambda *a: pytest.fail("summed again"))
    again = load(T2M, root, **options)[0].dataset
    assert torch.equal(again[5][0], plain[5][0])


def test_cache_follows_its_sources(one_year, small_memory):
    root, options = one_year
    load(T2M, root, **options)
    times = hours(2015, 40)
    path = write(root, "t2m", times, ramp(times) + 5)
    os.utime(path, ns=(1, 1))
    x, _ = (dataset := load(T2M, root, **options)[0].dataset)[0]
    assert_close(x[0, 0] * dataset.std.item() + dataset.mean.item(), (ramp(times) + 5)[0].astype(np.float32), rtol=1e-6)


def test_cache_goes_elsewhere_when_the_data_cannot_be_written(one_year, small_memory, monkeypatch, tmp_path):
    root, options = one_year
    (root / "weather" / ".openstl_svq_cache").write_text("a file where the folder would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    load(T2M, root, **options)
    assert len(list((tmp_path / "user" / "openstl_svq").glob("*.npy"))) == 3
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    load(T2M, root, **options)
    assert len(list((tmp_path / "named").glob("*.npy"))) == 3
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match=cache.ENVIRONMENT):
        load(T2M, root, **options)


def _load_and_send(root, options, queue):
    cache.IN_MEMORY = 0
    dataset = load(T2M, root, **options)[0].dataset
    queue.put((float(dataset[3][0].sum()), str(dataset._frames.path)))


def test_processes_that_start_at_once_share_one_cache(one_year):
    root, options = one_year
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_load_and_send, args=(root, options, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    assert len(set(results)) == 1
    assert len(list((root / "weather" / ".openstl_svq_cache").glob("*.npy"))) == 3


def test_a_full_disk_is_said_and_leaves_nothing(one_year, small_memory, monkeypatch):
    root, options = one_year

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(OSError, match="no room for .* GB of decoded data"):
        load(T2M, root, **options)
    assert not [p for p in (root / "weather" / ".openstl_svq_cache").iterdir() if p.suffix != ".lock"]


def test_a_cache_that_would_be_incomplete_is_not_kept(tmp_path):
    for blocks in ([np.zeros((3, 2))], [np.zeros((4, 2))] * 2):
        with pytest.raises(ValueError, match="changed while they were read"):
            cache.cached_file(lambda: iter(blocks), (4, 2), np.float32, beside=tmp_path, name="x", key=1)
    path = cache.cached_file(lambda: [np.ones((4, 2))], (4, 2), np.float32, beside=tmp_path, name="x", key=1)
    assert (np.load(path) == 1).all()


# ---- bad input ----


def test_missing_data_say_where_they_were_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"2m_temperature/2m_temperature\*\.nc.*sample_data.py -d weather_t2m"):
        load(T2M, tmp_path / "nowhere")
    (tmp_path / "weather" / "2m_temperature").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no files"):
        load(T2M, tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(train_time=["2011", "2012"]), r"no data in 2012; the files in .* go from 2015-01-01T00:00 to 2017"),
        (dict(train_time=["2008", "2009"]), r"train_time .*no data; the files"),
        (dict(train_time=["2014", "2015"]), r"no data in 2014"),
        (dict(test_time=["2017-01-02", "2017-01-09"]), "no data in 2017-01-03, .*, ...;"),
        (dict(test_time=["2015", "2015"]), "train_time .* and test_time .* overlap"),
        (dict(val_time=["2016", "2015"]), "ends before it begins"),
        (dict(val_time=["spring", "2016"]), "two years or dates"),
        (dict(val_time="2016"), "two years or dates"),
        (dict(pre_seq_length=30), r"40 steps of 1 h and no 30 \+ 12 of them in a row"),
        (dict(in_shape=[12, 1, 64, 128]), r"1 channels on 32 x 64 points.*in_shape=\[12,1,32,64\]"),
        (dict(idx_in=[-6, 0]), "protocol openstl only"),
        (dict(data_name="t3m"), "unknown data_name 't3m'"),
        (dict(step=5, train_time=["2015", "2015"], pre_seq_length=90), "steps of 5 h"),
    ],
)
def test_splits_and_shapes_that_cannot_be(one_year, options, message):
    root, known = one_year
    if "train_time" in options and options["train_time"][0] == "2011":
        times = hours("2011", 30)
        write(root, "t2m", times, ramp(times))
        message = message.replace("2015", "2011")
    with pytest.raises(ValueError, match=message):
        load(T2M, root, **{**known, **options})


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown dataset 'weather_t2n_5_625'.*Did you mean 'weather_t2m_5_625'"):
        load("weather_t2n_5_625", "x")
    with pytest.raises(ValueError, match="unknown protocol 'stricht'.*Did you mean 'strict'"):
        load(T2M, "x", "stricht")


def test_bad_files(one_year):
    root, options = one_year
    times = hours(2015, 40)

    def fails(message, **changed):
        with pytest.raises(ValueError, match=message):
            load(T2M, root, **{**options, **changed})

    path = write(root, "t2m", times, ramp(times), variable="temperature")
    fails("no variable 't2m'; it has temperature")
    values = ramp(times)
    values[7, 3, 5] = np.nan
    write(root, "t2m", times, values)
    fails(r"1 of \d+ values of t2m .* 2015-01-01T07:00, latitude -70.3125, longitude 28.125")
    write(root, "t2m", np.concatenate([times[:1], times[:-1]]), ramp(times))
    fails("1 times are there twice, the first 2015-01-01T00:00")
    write(root, "t2m", times, ramp(times), lat=WEATHERBENCH_GRID[0] + 1)
    fails("different grids")
    write(root, "t2m", times, np.random.default_rng(0).standard_normal((40, 32, 64)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails("cut off")
    path.write_bytes(b"")
    fails("cannot be read as NetCDF")


def test_levels_that_are_not_there_and_variables_that_do_not_match(tmp_path):
    for name in "rtuv":
        for year in (2015, 2016, 2017):
            times = hours(year, 60 - 6 * (name == "u"))
            write(
                tmp_path,
                name,
                times,
                np.zeros((len(times), 3, 32, 64), np.float32) + np.arange(3)[:, None, None],
                levels=[150, 500, 850],
            )
    options = dict(train_time=["2015", "2015"], test_time=["2017", "2017"])
    with pytest.raises(ValueError, match=r"level \[700\] not in .* which has \[150, 500, 850\]"):
        load(MV, tmp_path, level=[150, 700, 850], **options)
    with pytest.raises(ValueError, match="r and u have different times; 6 are in one alone"):
        load(MV, tmp_path, **options)
    with pytest.raises(ValueError, match="the last 4 levels are asked for"):
        load(R, tmp_path, level=4, **options)
    with pytest.warns(UserWarning, match="never changes"):
        dataset = load(R, tmp_path, **options)[0].dataset
    assert dataset.mean.item() == 2  # the last level
    assert torch.isfinite(dataset[0][0]).all()


@pytest.mark.openstl
@pytest.mark.parametrize("name", [T2M, R, MV])
def test_openstl_gives_the_same_windows(parity_root, name):
    from openstl.datasets import load_data as openstl_load_data

    theirs = openstl_load_data(name, 4, 4, 1, str(parity_root), **get_dataset(name).entry)
    ours = load(name, parity_root, "openstl")
    for a, b in ((theirs[0].dataset, ours[0].dataset), (theirs[2].dataset, ours[2].dataset)):
        assert len(a) == len(b) and a.data_name == b.data_name
        assert_close(b.mean, a.mean, rtol=1e-6)
        assert_close(b.std, a.std, rtol=1e-6)
        for index in range(0, len(a), 7):
            for u, v in zip(a[index], b[index]):
                assert_close(v, u)


# ---- one difference at a time ----


def differing(loaders, others):
    """Which of the loaders' properties differ."""
    (_, validation, test), (_, other_validation, other_test) = (
        [loader.dataset for loader in x] for x in (loaders, others)
    )
    return {
        name
        for name, differs in {
            "selection": validation.target_times(0)[0].astype("datetime64[Y]")
            != other_validation.target_times(0)[0].astype("datetime64[Y]"),
            "statistics": abs(test[0][0].mean() - other_test[0][0].mean()) > 1,
            "steps": not np.array_equal(np.diff(test.target_times(0)), np.diff(other_test.target_times(0))),
            "windows": len(test) != len(other_test),
        }.items()
        if differs
    }


S6 = {"pre_seq_length": 2, "aft_seq_length": 2, "idx_in": [-5, 0], "idx_out": [1, 7], "step": 1}


@pytest.fixture
def three_years(tmp_path, registries):
    for year in ("2015", "2016", "2017"):
        times = hours(year, 40)
        write(tmp_path, "t2m", times, ramp(times) * (int(year) - 2014))
    hourly = get_dataset(T2M)
    register_dataset(replace(hourly, entry={**hourly.entry, **S6}), override=True)
    return tmp_path


def load_years(root, protocol):
    spans = {f"{split}_time": [year, year] for split, year in (("train", "2015"), ("val", "2016"), ("test", "2017"))}
    return load("weather_t2m_5_625", root, protocol, in_shape=[2, 1, 32, 64], **spans)


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_each_difference_alone(three_years, difference):
    found = differing(load_years(three_years, f"strict+{difference}"), load_years(three_years, "strict"))
    # Windows that take more time are fewer.
    assert found - ({"windows"} if difference == "steps" else set()) == {difference}


def test_all_differences_are_openstl(three_years):
    whole, parts = (load_years(three_years, p) for p in ("openstl", "strict+" + "+".join(DIFFERENCES)))
    for one, other in zip(whole, parts):
        assert len(one.dataset) == len(other.dataset) and np.array_equal(one.dataset.mean, other.dataset.mean)
        for (x, y), (u, v) in zip(one.dataset, other.dataset):
            assert torch.equal(x, u) and torch.equal(y, v)


@pytest.mark.parametrize(
    "protocol, message",
    [
        ("strict+select", "unknown difference of a protocol 'select'.*Did you mean 'selection'"),
        ("openstl+steps", "openstl has every difference already.*strict\\+steps"),
        ("strict+", "unknown difference"),
    ],
)
def test_differences_that_cannot_be(three_years, protocol, message):
    with pytest.raises(ValueError, match=message):
        load_years(three_years, protocol)


def test_the_climatology_is_in_the_test_splits_own_units():
    """Under the protocols where each split has its own statistics, the same climatology is normalised with others."""
    physical = {}
    for protocol in ("strict", "strict+statistics"):
        data = ForecastData(
            *load_data("weather_sample_4_4_s6", 8, 8, 0, "absent", protocol=protocol),
            {"dataname": "weather_sample_4_4_s6", "seed": 0, "metrics": ["mse"]},
        )
        dataset, (_, y) = data.test_loader.dataset, data.test_loader.dataset[3]
        values = data.climatology_for(torch.tensor([3]), y[None].double())
        mean, std = dataset.normalised_with
        physical[protocol] = values * torch.as_tensor(np.array(std)) + torch.as_tensor(np.array(mean))
    assert_close(physical["strict+statistics"], physical["strict"], rtol=1e-6)
