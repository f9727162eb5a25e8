"""Data that a writer has not finished, that are cut off, that unpack to too much, or that never end."""

import os
from types import SimpleNamespace

import h5py
import imageio.v3 as iio
import netCDF4
import numpy as np
import pytest
import xarray as xr

from openstl_svq import memory
from openstl_svq.config_file import load_config
from openstl_svq.data import cache, load_data
from openstl_svq.data.datasets import kitticaltech
from openstl_svq.data.formats import open_source
from openstl_svq.data.formats.hickle import HickleImages
from openstl_svq.data.formats.images import read_image
from openstl_svq.data.formats.stores import open_netcdf
from openstl_svq.data.formats.videos import images_in, seq_images
from openstl_svq.training.run_folder import locate

VALUES = np.random.default_rng(0).standard_normal((80, 8, 8)).astype(np.float32)


def load(path, **options):
    lengths = {"in_shape": [3, 1, 8, 8], "pre_seq_length": 3, "aft_seq_length": 3}
    return load_data("custom", 4, 4, 0, path, **{**lengths, **options})


def write(path, form="NETCDF4", dtype="f4", written=80, fixed=True):
    """A variable of which only the first ``written`` steps are, without the attribute ``_FillValue``."""
    with netCDF4.Dataset(path, "w", format=form) as file:
        for name, size in (("time", 80 if fixed else None), ("y", 8), ("x", 8)):
            file.createDimension(name, size)
        variable = file.createVariable("a", dtype, ("time", "y", "x"))
        values = VALUES if dtype[0] == "f" else (1000 * VALUES).astype(dtype)
        variable[:written] = values[:written]


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4"])
def test_steps_that_were_never_written_are_missing(tmp_path, form, dtype):
    path = tmp_path / "half.nc"
    write(path, form, dtype, written=20)
    with pytest.raises(ValueError, match="half.nc: frame 20 has NaN, a fill value or infinity"):
        load(path)
    write(path, form, dtype)
    assert len(load(path)[0].dataset)


def test_fill_values_in_other_formats(tmp_path):
    filled = VALUES.copy()
    filled[20:] = netCDF4.default_fillvals["f4"]
    np.save(tmp_path / "half.npy", filled)
    xr.Dataset({"a": (("time", "y", "x"), filled)}).to_zarr(
        tmp_path / "half.zarr", encoding={"a": {"_FillValue": None}}, consolidated=False
    )
    for name in ("half.npy", "half.zarr"):
        with pytest.raises(ValueError, match=f"{name}: frame 20 has NaN, a fill value"):
            load(tmp_path / name)


def test_coordinates_that_were_never_written(tmp_path):
    lat = np.full(8, netCDF4.default_fillvals["f8"])
    data = xr.Dataset({"a": (("time", "lat", "lon"), VALUES)}, {"lat": lat, "lon": np.arange(8.0)})
    data.to_netcdf(tmp_path / "a.nc", encoding={"lat": {"_FillValue": None}})
    with pytest.raises(ValueError, match="a.nc: its lat has missing values"):
        load(tmp_path / "a.nc")


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_classic_file_that_is_cut_off_by_a_few_bytes(tmp_path, form, fixed):
    path = tmp_path / "cut.nc"
    write(path, form, fixed=fixed)
    whole = path.read_bytes()
    for cut in (1, 4, 100, 280, 1000, len(whole) - 20):
        path.write_bytes(whole[:-cut])
        with pytest.raises(ValueError, match=r"cut.nc is cut off.*Fetch it again"):
            load(path)
    path.write_bytes(whole)
    assert np.isfinite(load(path)[0].dataset.mean).all()


def test_an_image_whose_check_sum_is_wrong(tmp_path):
    for k, image in enumerate((255 * (VALUES > 0)).astype(np.uint8)):
        iio.imwrite(tmp_path / f"f{k:02d}.png", image)
    damaged = tmp_path / "f07.png"
    content = damaged.read_bytes()
    place = content.index(b"IDAT") + 10
    damaged.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ValueError, match=r"f07.png cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_damage_within_a_store_names_the_store(tmp_path, ending):
    path, data = tmp_path / f"a{ending}", xr.Dataset({"a": (("time", "y", "x"), VALUES)})
    if ending == ".nc":
        data.to_netcdf(path, encoding={"a": {"zlib": True, "fletcher32": True, "chunksizes": (10, 8, 8)}})
        damaged = path
    else:
        data.to_zarr(path, consolidated=False)
        damaged = next(p for p in path.glob("a/**/*") if p.is_file() and not p.name.startswith((".", "zarr")))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 100] = bytes(100)
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\{ending} cannot be read as (NetCDF|Zarr) \(.+\): it may be"):
        load(path)


def test_damage_within_a_hickle_file_names_the_file(tmp_path):
    path = tmp_path / "X_train.hkl"
    with h5py.File(path, "w") as file:
        images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3), dtype=np.uint8)
        file.create_dataset("data_0", data=images, chunks=(5, 8, 8, 3), compression="gzip", fletcher32=True)
    content = bytearray(path.read_bytes())
    content[-200:] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"X_train.hkl cannot be read \(.+\): it may be damaged"):
        images = HickleImages(path)
        images.read(np.arange(20))


@pytest.mark.parametrize(
    "name, read",
    [
        ("a.png", read_image),
        ("a.mp4", lambda path: list(images_in(path))),
        ("a.seq", lambda path: list(seq_images(path, 1))),
        ("a.nc", open_netcdf),
        ("a.py", load_config),
        ("a.ckpt", locate),
        ("data_cache.npy", kitticaltech._images),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path, name, read):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} is no file and no folder, but a pipe"):
        read(tmp_path / name)


def test_what_would_never_end_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ValueError, match="pipe.npy is no file and no folder, but a pipe"):
        open_source(tmp_path / "pipe.npy")
    folder = tmp_path / "images"
    folder.mkdir()
    iio.imwrite(folder / "f00.png", np.zeros((8, 8), np.uint8))
    os.mkfifo(folder / "f01.png")
    with pytest.raises(ValueError, match="f01.png is no file"):
        open_source(folder)
    (folder / "f01.png").unlink()
    (folder / "again").symlink_to(folder)
    with pytest.raises(ValueError, match="again is a symbolic link that leads in a circle"):
        open_source(folder)


def test_what_unpacks_to_too_much_is_said_before(tmp_path, monkeypatch):
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, frames=np.zeros((1000, 8, 8), np.float32))
    write(tmp_path / "packed.nc")
    xr.Dataset({"a": (("time", "y", "x"), VALUES)}).to_zarr(tmp_path / "packed.zarr", consolidated=False)
    monkeypatch.setattr(memory, "available_memory", lambda device: 2_000)
    with pytest.raises(
        ValueError, match=r"packed.npz: the array frames: 0.256 MB once unpacked, and 0.002 MB of memory"
    ):
        open_source(path)
    for name in ("packed.nc", "packed.zarr"):  # all 80 frames are a chunk
        with pytest.raises(ValueError, match=rf"{name}: 80 frames of a on \(8, 8\) points: 0.020 MB once unpacked"):
            load(tmp_path / name)
    with netCDF4.Dataset(tmp_path / "long.nc", "w") as file:
        file.createDimension("time", 10**12)
        file.createVariable("time", "f8", ("time",), compression="zlib")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"long.nc: time: 8,000.0 GB once unpacked, and .* of memory are free"):
        open_source(tmp_path / "long.nc")

    def blocks():
        raise AssertionError("read")
        yield

    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**9))
    with pytest.raises(OSError, match=r"no room for 4.0 GB of decoded data \(1.0 GB are free\)"):
        cache.cached_file(blocks, (10**9,), np.float32, beside=tmp_path, name="x", key=1)
    assert not list(tmp_path.glob("**/*.part"))
