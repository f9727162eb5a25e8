"""Frames to forecast from, in whatever file or folder they lie, as the model was trained on them."""

import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..data.datasets.weather import GROUPS
from ..data.formats.netcdf import VARIABLES
from ..data.formats.sources import IMAGES, VIDEOS, Source, image_numbers, open_source
from ..data.formats.weather_files import NetCDFFrames, WeatherVariable, check_grid, frame_interval, open_netcdf
from ..data.frames import ArrayFrames, FileFrames, ImageFrames, read_image
from ..data.registry import dataset_or_default
from ..host import dataset_parameters
from ..protocol import OPENSTL
from .forecaster import UNCHECKED

ARRAYS = (".npy", ".npz")


@dataclass
class Grid:
    """What NetCDF keeps beside the values."""

    variables: list[tuple[str, dict, dict[str, int]]]  # name, attributes, size of each dimension but time
    coords: dict[str, tuple[np.ndarray, dict]]  # of these dimensions: values and attributes, as in the input
    flip: bool = False  # whether the model takes the latitudes in the other order


@dataclass
class Series:
    """Frames in order, read when they are asked for."""

    frames: object  # read(indices) -> (n, C, H, W) float32
    axis: np.ndarray  # time (datetime64, of months where they are monthly) or number of each frame, ascending
    unit: np.timedelta64 | int  # from one frame of a window to the next
    grid: Grid | None = None

    def read(self, windows: np.ndarray) -> np.ndarray:
        """Windows of indices ``(n, T)`` -> ``(n, T, C, H, W)``, reading each frame once."""
        indices, where = np.unique(windows, return_inverse=True)
        return self.frames.read(indices)[where.reshape(windows.shape)]


def open_series(hparams, source: Path, *, stride: int | None, check_units: bool) -> Series:
    """The frames in ``source`` as the model of ``hparams`` takes them; arguments and errors as of ``forecast_file``."""
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Give a file or folder of frames.")
    if stride is not None and stride < 1:
        raise ValueError(f"the stride must be 1 or more, got {stride}.")
    array = source.suffix.lower() in ARRAYS
    if dataset_or_default(hparams.dataname).is_field and not array:
        if stride is not None:
            raise ValueError("a stride is for images and arrays; NetCDF has times, and the model a time step.")
        return _weather(hparams, source, check_units)
    stride = stride or dataset_or_default(hparams.dataname).image_format.stride
    if hparams.dataname == "custom":
        return _custom(hparams, source, stride, check_units)
    if array:
        return _array(hparams, source, stride)
    if source.is_dir() or source.suffix.lower() in VIDEOS:
        return _video(hparams, source, stride)
    raise ValueError(
        f"{source}: this model was trained on {hparams.dataname}; give .npy, .npz, a folder of images or a video."
    )


def _weather(hparams, source: Path, check_units: bool) -> Series:
    config = {**dataset_parameters.get(hparams.dataname, {}), **hparams}
    data_name = config["data_name"]
    names = data_name if isinstance(data_name, (list, tuple)) else GROUPS[data_name]
    level = config.get("level", 1)
    variables = [WeatherVariable.of_files(_weather_files(source, name), name, level) for name in names]
    check_grid(variables, config["in_shape"], str(source))
    if config.get("protocol", OPENSTL) != OPENSTL:
        variables = [variable.ascending() for variable in variables]
    times = variables[0].times
    for variable in variables[1:]:
        times = np.intersect1d(times, variable.times)
    if trained_on := config.get("trained_on"):
        _same_as_trained(variables, trained_on, source, check_units)
        unit = np.timedelta64(trained_on["interval_minutes"], "m")
    else:  # a checkpoint of OpenSTL's
        unit = frame_interval(times, config.get("step", 1), str(source))
        warnings.warn(
            f"the checkpoint does not say on what grid and time step it was trained: that {source} has the "
            f"same grid, and that frames {show(unit)} apart are right, is not checked.",
            stacklevel=3,
        )
    return Series(NetCDFFrames(variables, times), times, unit, _grid(variables))


def _weather_files(source: Path, name: str) -> list[Path]:
    if source.is_file():
        return [source]
    files = sorted((source / VARIABLES[name].folder).glob("*.nc"))
    if not files:
        for path in sorted(source.glob("*.nc")):
            with open_netcdf(path) as data:
                if name in data.data_vars:
                    files.append(path)
    if not files:
        raise FileNotFoundError(f"no NetCDF file with {name!r} in {source} or {source / VARIABLES[name].folder}.")
    return files


def _same_as_trained(variables, trained_on: Mapping, source: Path, check_units: bool) -> None:
    for what, here in (("lat", variables[0].lat), ("lon", variables[0].lon)):
        there = trained_on[what]
        if here is not None and there is not None and not np.allclose(here, there, rtol=0, atol=1e-3):
            raise ValueError(
                f"{source}: {what} goes from {here[0]:g} to {here[-1]:g}, and the model was trained on "
                f"{there[0]:g} to {there[-1]:g}, another grid. Regrid the input."
            )
    wanted, units = trained_on.get("units"), {v.units for v in variables}
    if check_units and wanted and units - {wanted, None}:
        raise ValueError(
            f"{source} is in {', '.join(sorted(map(str, units)))}, and the model was trained on {wanted}. "
            f"Give the values in the same unit, {UNCHECKED}."
        )


def _grid(variables) -> Grid:
    described, coords = [], {}
    for variable in variables:
        with open_netcdf(variable.paths[0]) as data:
            array = data[variable.name].transpose("time", ..., "lat", "lon")
            if variable.levels is not None:
                array = array.isel(level=variable.levels)
            described.append((variable.name, _plain(array.attrs), dict(zip(array.dims[1:], array.shape[1:]))))
            for name, (values, attributes) in _coords(array).items():
                if name in coords and not np.array_equal(coords[name][0], values):
                    raise ValueError(
                        f"{variable.name} has other values of {name} than the variables before it, "
                        f"{values.tolist()}: one forecast cannot hold both."
                    )
                coords[name] = values, attributes
    return Grid(described, coords, variables[0].flip)


def _coords(array) -> dict[str, tuple[np.ndarray, dict]]:
    return {
        name: (array[name].values, _plain(array[name].attrs))
        for name in array.dims[1:]
        if name in array.coords and array[name].dtype.kind in "fiu"
    }


def _plain(attributes: Mapping) -> dict:
    return {k: v for k, v in attributes.items() if isinstance(v, (str, int, float, np.number))}


def _custom(hparams, source: Path, stride: int, check_units: bool) -> Series:
    stored = open_source(source, hparams.get("data_name"), keep_counts=False)
    stored.crop(hparams.get("crop"))
    if list(stored.shape[1:]) != list(hparams.in_shape[1:]):
        raise ValueError(
            f"{source} has frames of shape {stored.shape[1:]} (channels, height, width), and the model "
            f"takes {tuple(hparams.in_shape[1:])}."
        )
    _refuse_several(stored, source)
    trained_on = hparams.get("trained_on") or {}
    if trained_on:
        _same_as_trained([stored], trained_on, source, check_units)
    axis, unit = _axis(stored.numbers if stored.times is None else stored.times, len(stored.video), stride)
    if axis.dtype == "M8[m]" and trained_on.get("interval_minutes"):
        unit = stride * np.timedelta64(trained_on["interval_minutes"], "m")
    grid = _store_grid(source, stored) if stored.times is not None and source.suffix in (".nc", ".zarr") else None
    return Series(_SourceFrames(stored), axis, unit, grid)


def _refuse_several(stored: Source, source: Path) -> None:
    if stored.video.any():
        raise ValueError(
            f"{source} holds several series; give one: an array (T, C, H, W), a folder of images, or a video."
        )


class _SourceFrames:
    """Frames of a source that is read from one frame to another; images as ``decode`` makes frames of them."""

    def __init__(self, stored: Source, decode: Callable[[np.ndarray], np.ndarray] | None = None):
        self.stored, self.decode = stored, decode

    def read(self, indices) -> np.ndarray:
        first, end = indices.min(), indices.max() + 1
        if self.decode is None:
            return self.stored.decoded(first, end)[indices - first]
        return np.stack([self.decode(image) for image in self.stored.stored(first, end)[indices - first]])


def _store_grid(source: Path, stored) -> Grid:
    import xarray as xr

    names, (rows, columns) = [stored.name] if isinstance(stored.name, str) else stored.name, stored.cut
    with xr.open_zarr(source) if source.suffix == ".zarr" else xr.open_dataset(source) as data:
        arrays = [data[name].transpose("time", ...) if "time" in data[name].dims else data[name] for name in names]
        y, x = arrays[0].dims[-2:]
        arrays = [array.isel({y: rows, x: columns}) for array in arrays]
        return Grid(
            [(name, _plain(a.attrs), dict(zip(a.dims[1:], a.shape[1:]))) for name, a in zip(names, arrays)],
            _coords(arrays[0]),
        )


def _axis(places: np.ndarray | None, count: int, stride: int):
    """Times or numbers of the frames, and what lies between two frames of a window."""
    if places is None or count < 2:
        return np.arange(count), stride
    if places.dtype.kind == "M":
        months = places.astype("datetime64[M]")  # which are not equally long
        places = months if (months == places).all() else places.astype("datetime64[m]")
    return places, stride * np.diff(places).min()


def _array(hparams, source: Path, stride: int) -> Series:
    frames, times = _loaded(source)
    if frames.ndim != 4 or list(frames.shape[1:]) != list(hparams.in_shape[1:]):
        raise ValueError(
            f"{source} has shape {frames.shape}; this model takes (frames, channels, height, width) = "
            f"(N, {', '.join(map(str, hparams.in_shape[1:]))})."
        )
    if frames.dtype.kind not in "fiub":
        raise ValueError(f"{source} holds {frames.dtype}, not numbers.")
    if times is not None:
        if times.shape != (len(frames),) or times.dtype.kind != "M":
            raise ValueError(
                f"{source}: times must be datetime64 of shape ({len(frames)},), got {times.dtype} of "
                f"shape {times.shape}."
            )
        if not (np.diff(times) > np.timedelta64(0)).all():
            raise ValueError(f"{source}: times must ascend.")
    # Bytes, where the statistics are those of values in [0, 1]: pictures, which the loaders scale.
    pictures = frames.dtype == np.uint8 and np.all(np.asarray(hparams.test_std) <= 1)
    decode = _shares if pictures else None
    reader = FileFrames(source, decode) if isinstance(frames, np.memmap) else ArrayFrames(frames, decode)
    return Series(reader, *_axis(times, len(frames), stride))


def _shares(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) / np.float32(255)


def _loaded(source: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The frames in a numpy file, a memory map if it can be one, and their times."""
    try:
        content = np.load(source, mmap_mode="r", allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content, None
        names = [name for name in content.files if name != "times"]
        if "frames" in names or len(names) == 1:
            frames = content["frames" if "frames" in names else names[0]]
            return frames, content["times"] if "times" in content.files else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{source} cannot be read as a numpy file ({error}): it may be cut off.") from error
    raise ValueError(f"{source} holds {', '.join(names) or 'no array'}; call the frames 'frames'.")


def images_in(folder: Path) -> list[Path]:
    """The images that lie in ``folder`` itself, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)


def _video(hparams, source: Path, stride: int) -> Series:
    shape = tuple(hparams.in_shape[1:])
    if shape[0] not in (1, 3):
        raise ValueError(f"this model takes {shape[0]} channels, and images have 1 or 3: give .npy or .npz.")
    decode = partial(dataset_or_default(hparams.dataname).image_format.decode, shape=shape)
    if source.is_dir():
        paths = images_in(source)
        if not paths:
            raise FileNotFoundError(f"no images ({', '.join(IMAGES)}) in {source}.")
        paths, axis = _numbered(paths, source)
        first, frames = read_image(paths[0]), ImageFrames(paths.__getitem__, len(paths), decode, shape)
    else:
        stored = open_source(source, keep_counts=False)
        axis, first, frames = np.arange(len(stored.video)), stored.stored(0, 1)[0], _SourceFrames(stored, decode)
    found = decode(first).shape
    if found != shape:
        raise ValueError(
            f"{paths[0] if source.is_dir() else source} has {found[1]} x {found[2]} pixels, and the model "
            f"takes {shape[1]} x {shape[2]}: cut or scale the images."
        )
    return Series(frames, axis, stride)


def _numbered(paths: list[Path], folder: Path) -> tuple[list[Path], np.ndarray]:
    """Images in the order of the numbers that their names end in, and the numbers; by name where they have none."""
    named = image_numbers(paths)
    if named is None:
        return paths, np.arange(len(paths))
    sequences = sorted({beginning for beginning, _ in named})
    if len(sequences) > 1:
        raise ValueError(
            f"{folder} holds {len(sequences)} sequences, {sequences[0]}... and {sequences[1]}...: give a "
            "folder with one."
        )
    numbers = np.array([number for _, number in named])
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{folder} has several images with the same number.")
    order = np.argsort(numbers)
    return [paths[i] for i in order], numbers[order]


def windows_in(series: Series, offsets: np.ndarray, window: str, source: Path) -> np.ndarray:
    """Indices of the input frames of the windows that ``window`` asks for: ``(n, T)``.

    Args:
        offsets: of the input frames from the last one, in steps of ``series.unit``, ``(T,)``.
        window: ``"last"``, ``"all"``, or time or number of the first frame.
        source: for messages.

    Raises:
        ValueError: too few frames, or a gap between them; no such start.
    """
    axis, relative = series.axis, (offsets - offsets[-1]) * series.unit
    if not len(axis):
        raise ValueError(f"{source} has no frames.")
    need = f"{len(offsets)} frames {show(series.unit)} apart are needed"
    there = f"{source} has {len(axis)} from {show(axis[0])} to {show(axis[-1])}"
    if window == "all":
        wanted = axis[:, None] + relative
        wanted = wanted[np.isin(wanted, axis).all(axis=1)]
        if not len(wanted):
            raise ValueError(f"too few frames: {need} without a gap between them; {there}.")
        return np.searchsorted(axis, wanted)
    wanted = axis[-1] + relative if window == "last" else _start(window, axis) + relative - relative[0]
    missing = wanted[~np.isin(wanted, axis)]
    if len(missing):
        what = "too few frames" if missing[0] < axis[0] or missing[-1] > axis[-1] else "a gap between the frames"
        raise ValueError(
            f"{what}: {need}, from {show(wanted[0])} to {show(wanted[-1])}, and {len(missing)} of them "
            f"are not there, the first {show(missing[0])}; {there}."
        )
    return np.searchsorted(axis, wanted)[None]


def _start(text: str, axis: np.ndarray):
    """``text`` as a time, or as the number of a frame where there are no times."""
    timed = axis.dtype.kind == "M"
    try:
        start = np.datetime64(text).astype(axis.dtype) if timed else int(text)
    except ValueError:
        start = np.datetime64("NaT")
    if np.isnat(start) if timed else not isinstance(start, int):
        kind = "a time such as 2018-12-31T06:00" if timed else "the number of a frame"
        raise ValueError(f"the start must be {kind}, got {text!r}.")
    return start


def show(value) -> str:
    """A time, a number, or an interval, for a message."""
    if isinstance(value, np.timedelta64) and np.datetime_data(value)[0] == "M":
        return f"{value.astype(int)} months"
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(60, 'm'):g} h"
    return str(value)
