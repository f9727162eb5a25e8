"""Forecasts of a trained model in the data's own unit: of arrays, and from file to file."""

import importlib.util
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import __version__
from .data.netcdf import VARIABLES
from .files import replacing
from .host import dataset_parameters
from .host.builtin.datasets import dataloader_custom, dataloader_human, dataloader_kth
from .host.builtin.datasets.dataloader_weather import GROUPS, _NetCDFFrames, _opened, _same_grid, _spacing, _Variable
from .host.builtin.datasets.frames import ArrayFrames, FileFrames, ImageFrames, from_images, read_image

PICTURES = (".gif", ".mp4", ".png")
ENDINGS = (".nc", ".npz", *PICTURES)

_ARRAYS = (".npy", ".npz")
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")

# Standard deviations of the training data that a channel's mean may lie away from theirs. Degrees Celsius in place of
# kelvin are 13 of them on the globe and more on a smaller grid; bytes in place of shares are over 100.
_FAR = 8
_UNCHECKED = "or turn the check off if they are meant so (check_range=False, --no_range_check)"

# What OpenSTL's loader does with Human3.6M and no other: every fifth frame, colours in OpenCV's order.
_STRIDES = {"human": 5}
_BLUE_FIRST = {"human"}


class Forecaster:
    """Goes in front of a trained method (see :func:`openstl_svq.load`) and forecasts in the data's own unit.

    Calling the method itself takes and gives normalised tensors, as in training.
    """

    def predict(self, frames, steps: int | None = None, *, check_range: bool = True):
        """The forecast from ``frames``, which are normalised with the statistics that the method was trained with.

        Args:
            frames: the last ``pre_seq_length`` frames, ``(T, C, H, W)`` or a batch ``(B, T, C, H, W)``, an array or a
                tensor, in the unit of the training data; weather with latitudes from south to north (as in the files
                where the method was trained with the protocol ``openstl``).
            steps: frames to forecast (default: ``aft_seq_length``). For more, the method is fed its own output.
            check_range: refuse values that are far from those trained on, such as those of another unit.

        Returns:
            ``(steps, C, H, W)`` or ``(B, steps, C, H, W)`` in the unit of the training data, an array or a tensor as
            ``frames`` are; float64 if they are, else float32.

        Raises:
            ValueError: another shape, values that are not finite, values far from those trained on.
        """
        steps = _checked_steps(self.hparams, steps)
        values = self._checked(frames if torch.is_tensor(frames) else _as_tensor(frames))
        mean, std = (torch.as_tensor(np.asarray(v), dtype=torch.float64)  # (1, C, 1, 1) or a number
                     for v in (self.hparams.test_mean, self.hparams.test_std))
        batch = values if values.ndim == 5 else values[None]
        batch = (batch.detach().to("cpu", torch.float64) - mean) / std  # on the CPU: not every device has float64
        if check_range:
            _refuse_far(batch, mean, std)
        forecast = self._forecast(batch.to(self.device, torch.float32), steps).to("cpu", torch.float64) * std + mean
        forecast = forecast.to(torch.float64 if values.dtype == torch.float64 else torch.float32)
        forecast = forecast if values.ndim == 5 else forecast[0]
        return forecast.to(values.device) if torch.is_tensor(frames) else forecast.numpy()

    @torch.no_grad()
    def _forecast(self, batch: Tensor, steps: int) -> Tensor:
        """Normalised ``(B, T, C, H, W)`` -> ``(B, steps, C, H, W)``."""
        known, seen = batch.shape[1], batch
        # Some of OpenSTL's methods take the shape of what follows from a second argument.
        blank = batch.new_zeros(len(batch), self.hparams.aft_seq_length, *batch.shape[2:])
        while seen.shape[1] < known + steps:
            seen = torch.cat([seen, self(seen[:, -known:], blank).to(seen.dtype)], dim=1)
        return seen[:, known:known + steps]

    def _checked(self, values: Tensor) -> Tensor:
        """``values``, if they are frames that this method can take."""
        shape, wanted = tuple(values.shape), (self.hparams.pre_seq_length, *self.hparams.in_shape[1:])
        if len(shape) not in (4, 5) or shape[-4:] != wanted:
            hint = ""
            if len(shape) in (4, 5) and shape[-3:] == wanted[1:] and shape[-4] > wanted[0]:
                hint = f" Give the last {wanted[0]} frames."
            elif len(shape) in (4, 5) and shape[-3:] == (*wanted[2:], wanted[1]):
                hint = " The channels stand last here and must stand before height and width."
            raise ValueError(f"frames of shape {shape}; this model takes (frames, channels, height, width) = {wanted}, "
                             f"or a batch of them.{hint}")
        if not values.numel():
            raise ValueError(f"frames of shape {shape} are an empty batch.")
        if values.is_complex():
            raise ValueError("frames must be real numbers, got complex ones.")
        bad = ~torch.isfinite(values)
        if bad.any():
            raise ValueError(f"{int(bad.sum())} of {bad.numel()} values are NaN or infinite, the first at "
                             f"{tuple(bad.nonzero()[0].tolist())}. Fill them in: one spoils the whole forecast.")
        return values


def _as_tensor(frames) -> Tensor:
    array = np.asarray(frames)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"frames must be numbers, got an array of {array.dtype}.")
    return torch.from_numpy(array.astype(np.float64 if array.dtype == np.float64 else np.float32))


def _checked_steps(hparams, steps) -> int:
    steps = hparams.aft_seq_length if steps is None else steps
    if isinstance(steps, bool) or steps != int(steps) or steps < 1:
        raise ValueError(f"steps must be a whole number above 0, got {steps!r}.")
    return int(steps)


def _refuse_far(normalised: Tensor, mean: Tensor, std: Tensor) -> None:
    distance = normalised.mean(dim=(0, 1, 3, 4)).abs()  # (C)
    channel = int(distance.argmax())
    if distance[channel] <= _FAR:
        return
    centre, spread = (v.flatten()[channel if v.numel() > 1 else 0].item() for v in (mean, std))
    found = normalised[:, :, channel] * spread + centre
    raise ValueError(f"the values of channel {channel} go from {found.min():.6g} to {found.max():.6g}; those trained "
                     f"on have mean {centre:.6g} and standard deviation {spread:.6g}. Give them in the same unit, "
                     f"{_UNCHECKED}.")


# ---- from file to file ----


def output_path(source, out=None, *, force: bool = False) -> Path:
    """Where the forecast from ``source`` goes: ``out``, or a file named after ``source`` in the current folder.

    Raises:
        ValueError: an ending that says no format.
        FileExistsError: the file is there, and ``force`` does not say to replace it.
    """
    source = Path(source)
    if out is None:
        array, images = source.suffix.lower() in _ARRAYS, source.is_dir() and _images(source)
        out = f"{source.resolve().stem}_forecast{'.npz' if array else '.gif' if images else '.nc'}"
    out = Path(out)
    if out.suffix.lower() not in ENDINGS:
        raise ValueError(f"{out}: the ending says the format, and must be one of {', '.join(ENDINGS)}.")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; give the name of a file.")
    if out.exists() and out.resolve() == source.resolve():
        raise ValueError(f"{out} is the input; give another output.")
    if out.exists() and not force:
        raise FileExistsError(f"{out} exists; give another name with -o, or --force to replace it.")
    return out


def forecast_file(model, source, out, *, window: str = "last", steps: int | None = None, stride: int | None = None,
                  check_range: bool = True, fps: float = 10, batch_size: int = 16,
                  attributes: Mapping[str, str] | None = None) -> str:
    """Forecasts from the frames in ``source`` and writes the result to ``out``, complete or not at all.

    Args:
        model: from :func:`openstl_svq.load`.
        source: for weather a NetCDF file, or a folder of them, flat or with WeatherBench's folder for each variable.
            For video a folder of images. For ``custom`` data a file as it was trained on. For any other model ``.npy``
            or ``.npz`` with an array ``(N, C, H, W)``, in the ``.npz`` alone or named ``frames``, and with ``times`` if
            they are known.
        out: ``.nc`` (from NetCDF), ``.npz``, or for video ``.gif``, ``.mp4`` (with imageio-ffmpeg), ``.png`` (a row).
        window: ``"last"`` frames of the input, ``"all"`` windows in it, or the time or number of the first input frame.
        steps: frames to forecast (default: ``aft_seq_length``).
        stride: take every so-many-th frame of images and arrays (default: as the dataset's loader, mostly 1).
        check_range: refuse values or units unlike those trained on.
        fps: frames per second of a film.
        batch_size: windows at a time.
        attributes: global attributes to add, for provenance.

    Returns:
        One line about what was written.

    Raises:
        FileNotFoundError: no input.
        ValueError: an input or output that does not fit the model; too few frames, a gap between them, missing values.
    """
    out, source, hparams = Path(out), Path(source), model.hparams
    if batch_size < 1 or fps <= 0:
        raise ValueError(f"the batch size and the frames per second must be above 0, got {batch_size} and {fps}.")
    steps = _checked_steps(hparams, steps)
    inputs, leads = _offsets(hparams, steps)
    write = _writer(out.suffix.lower(), hparams, window)
    series = _series(hparams, source, stride=stride, check_units=check_range)
    if out.suffix.lower() == ".nc" and series.grid is None:
        raise ValueError(f"{source} has no coordinates, which NetCDF needs; write .npz.")
    windows = _windows(series, inputs, window, source)

    def forecasts() -> Iterator[np.ndarray]:
        from tqdm import tqdm
        batches = range(0, len(windows), batch_size)
        for begin in tqdm(batches, unit="batch", disable=None if len(batches) > 1 else True):
            frames = series.read(windows[begin:begin + batch_size])  # (n, T, C, H, W)
            if out.suffix.lower() in PICTURES and (frames.min() < -1e-3 or frames.max() > 1 + 1e-3):
                raise ValueError(f"{source} has values from {frames.min():.6g} to {frames.max():.6g}, and pictures "
                                 "show values from 0 to 1; write .npz.")
            forecast = model.predict(frames, steps, check_range=check_range)
            yield forecast[..., ::-1, :] if series.grid is not None and series.grid.flip else forecast

    starts = series.axis[windows[:, -1]]
    times = starts[:, None] + leads * series.unit  # (n, S)
    protocol = hparams.get("protocol", "openstl")
    write(_Result(out, forecasts(), series, starts, times, window == "all", fps, {
        "title": f"forecasts of {hparams.method}",
        "source": f"openstl_svq {__version__}, {hparams.method} trained on {hparams.dataname}, protocol {protocol}",
        "input": str(source), **(attributes or {})}))
    count = f"{len(windows)} forecasts of " if window == "all" else ""
    return f"{out}: {count}{steps} frames, from {_show(times.min())} to {_show(times.max())}"


def _offsets(hparams, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Input frames and forecast frames of a window, counted from its last input frame."""
    if hparams.get("protocol", "openstl") != "openstl" or not hparams.get("idx_in"):
        return np.arange(1 - hparams.pre_seq_length, 1), np.arange(1, steps + 1)
    inputs, leads = np.asarray(hparams.idx_in), np.asarray(hparams.idx_out)
    if steps > len(leads):
        raise ValueError(f"{steps} steps; this model was trained on OpenSTL's indices {inputs.tolist()} -> "
                         f"{leads.tolist()}, so its output cannot be its next input: {len(leads)} steps at most.")
    return inputs, leads[:steps]


# ---- input ----


@dataclass
class _Grid:
    """What NetCDF keeps beside the values."""

    variables: list[tuple[str, dict, dict[str, int]]]  # name, attributes, size of each dimension but time
    coords: dict[str, tuple[np.ndarray, dict]]  # of these dimensions: values and attributes, as in the input
    flip: bool = False  # whether the model takes the latitudes in the other order


@dataclass
class _Series:
    """Frames in order, read when they are asked for."""

    frames: object  # read(indices) -> (n, C, H, W) float32
    axis: np.ndarray  # time (datetime64) or number of each frame, ascending
    unit: np.timedelta64 | int  # from one frame of a window to the next
    grid: _Grid | None = None

    def read(self, windows: np.ndarray) -> np.ndarray:
        """Windows of indices ``(n, T)`` -> ``(n, T, C, H, W)``, reading each frame once."""
        indices, where = np.unique(windows, return_inverse=True)
        return self.frames.read(indices)[where.reshape(windows.shape)]


def _series(hparams, source: Path, *, stride: int | None, check_units: bool) -> _Series:
    """The frames in ``source`` as the model takes them."""
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist. Give a file or folder of frames.")
    if stride is not None and stride < 1:
        raise ValueError(f"the stride must be 1 or more, got {stride}.")
    array = source.suffix.lower() in _ARRAYS
    if "weather" in hparams.dataname and not array:
        if stride is not None:
            raise ValueError("a stride is for images and arrays; NetCDF has times, and the model a time step.")
        return _weather(hparams, source, check_units)
    stride = stride or _STRIDES.get(hparams.dataname, 1)
    if hparams.dataname == "custom" and (array or source.suffix in (".nc", ".zarr")):
        return _custom(hparams, source, stride, check_units)
    if array:
        return _array(hparams, source, stride)
    if source.is_dir():
        return _video(hparams, source, stride)
    raise ValueError(f"{source}: this model was trained on {hparams.dataname}; give .npy, .npz or a folder of images.")


class _Listing:
    """Stands for the folder in which the loader looks for a variable's files: these, wherever they lie."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __truediv__(self, folder):
        return self

    def glob(self, pattern):
        return self.files


def _weather(hparams, source: Path, check_units: bool) -> _Series:
    config = {**dataset_parameters.get(hparams.dataname, {}), **hparams}
    data_name = config["data_name"]
    names = data_name if isinstance(data_name, (list, tuple)) else GROUPS[data_name]
    variables = [_Variable.find(_Listing(_netcdf_files(source, name)), name, config.get("level", 1)) for name in names]
    _same_grid(variables, config["in_shape"], str(source))
    if config.get("protocol") == "strict":
        variables = [variable.ascending() for variable in variables]
    times = variables[0].times
    for variable in variables[1:]:
        times = np.intersect1d(times, variable.times)
    if trained_on := config.get("trained_on"):
        _same_as_trained(variables, trained_on, source, check_units)
        unit = np.timedelta64(trained_on["interval_minutes"], "m")
    else:  # a checkpoint of OpenSTL's
        unit = _spacing(times, config.get("step", 1), str(source))
        warnings.warn(f"the checkpoint does not say on what grid and time step it was trained: that {source} has the "
                      f"same grid, and that frames {_show(unit)} apart are right, is not checked.", stacklevel=3)
    return _Series(_NetCDFFrames(variables, times), times, unit, _grid(variables))


def _netcdf_files(source: Path, name: str) -> list[Path]:
    if source.is_file():
        return [source]
    files = sorted((source / VARIABLES[name].folder).glob("*.nc"))
    if not files:
        for path in sorted(source.glob("*.nc")):
            with _opened(path) as data:
                if name in data.data_vars:
                    files.append(path)
    if not files:
        raise FileNotFoundError(f"no NetCDF file with {name!r} in {source} or {source / VARIABLES[name].folder}.")
    return files


def _same_as_trained(variables, trained_on: Mapping, source: Path, check_units: bool) -> None:
    for what, here in (("lat", variables[0].lat), ("lon", variables[0].lon)):
        there = trained_on[what]
        if here is not None and there is not None and not np.allclose(here, there, rtol=0, atol=1e-3):
            raise ValueError(f"{source}: {what} goes from {here[0]:g} to {here[-1]:g}, and the model was trained on "
                             f"{there[0]:g} to {there[-1]:g}, another grid. Regrid the input.")
    wanted, units = trained_on.get("units"), {v.units for v in variables}
    if check_units and wanted and units - {wanted, None}:
        raise ValueError(f"{source} is in {', '.join(sorted(map(str, units)))}, and the model was trained on {wanted}. "
                         f"Give the values in the same unit, {_UNCHECKED}.")


def _grid(variables) -> _Grid:
    described, coords = [], {}
    for variable in variables:
        with _opened(variable.paths[0]) as data:
            array = data[variable.name].transpose("time", ..., "lat", "lon")
            if variable.levels is not None:
                array = array.isel(level=variable.levels)
            described.append((variable.name, _plain(array.attrs), dict(zip(array.dims[1:], array.shape[1:]))))
            for name, (values, attributes) in _coords(array).items():
                if name in coords and not np.array_equal(coords[name][0], values):
                    raise ValueError(f"{variable.name} has other values of {name} than the variables before it, "
                                     f"{values.tolist()}: one forecast cannot hold both.")
                coords[name] = values, attributes
    return _Grid(described, coords, variables[0].flip)


def _coords(array) -> dict[str, tuple[np.ndarray, dict]]:
    return {name: (array[name].values, _plain(array[name].attrs)) for name in array.dims[1:]
            if name in array.coords and array[name].dtype.kind in "fiu"}


def _plain(attributes: Mapping) -> dict:
    return {k: v for k, v in attributes.items() if isinstance(v, (str, int, float, np.number))}


def _custom(hparams, source: Path, stride: int, check_units: bool) -> _Series:
    stored = dataloader_custom._open(source, hparams.get("data_name"))
    stored.crop(hparams.get("crop"))
    if list(stored.shape[1:]) != list(hparams.in_shape[1:]):
        raise ValueError(f"{source} has frames of shape {stored.shape[1:]} (channels, height, width), and the model "
                         f"takes {tuple(hparams.in_shape[1:])}.")
    if stored.video.any():
        raise ValueError(f"{source} holds several series; give one, (T, C, H, W).")
    trained_on = hparams.get("trained_on") or {}
    if trained_on:
        _same_as_trained([stored], trained_on, source, check_units)
    axis, unit = _axis(stored.times, len(stored.video), stride)
    if stored.times is not None and trained_on.get("interval_minutes"):
        unit = np.timedelta64(trained_on["interval_minutes"], "m")
    grid = None if stored.times is None or source.suffix == ".npz" else _store_grid(source, stored)
    return _Series(_Stretches(stored), axis, unit, grid)


class _Stretches:
    """Frames of the loader of custom data, which reads from one frame to another."""

    def __init__(self, stored):
        self.stored = stored

    def read(self, indices) -> np.ndarray:
        first, (rows, columns) = indices.min(), self.stored.cut
        values = self.stored.read(first, indices.max() + 1)
        if self.stored.images:
            return from_images(values[:, rows, columns])[indices - first]
        return values[..., rows, columns][indices - first].astype(np.float32)


def _store_grid(source: Path, stored) -> _Grid:
    import xarray as xr
    names, (rows, columns) = [stored.name] if isinstance(stored.name, str) else stored.name, stored.cut
    with xr.open_zarr(source) if source.suffix == ".zarr" else xr.open_dataset(source) as data:
        arrays = [data[name].transpose("time", ...) if "time" in data[name].dims else data[name] for name in names]
        y, x = arrays[0].dims[-2:]
        arrays = [array.isel({y: rows, x: columns}) for array in arrays]
        return _Grid([(name, _plain(a.attrs), dict(zip(a.dims[1:], a.shape[1:]))) for name, a in zip(names, arrays)],
                     _coords(arrays[0]))


def _axis(times: np.ndarray | None, count: int, stride: int):
    """Times or numbers of the frames, and what lies between two frames of a window."""
    if times is None:
        return np.arange(count), stride
    axis = times.astype("datetime64[m]")
    return axis, stride * np.diff(axis).min(initial=np.timedelta64(365, "D"))


def _array(hparams, source: Path, stride: int) -> _Series:
    frames, times = _loaded(source)
    if frames.ndim != 4 or list(frames.shape[1:]) != list(hparams.in_shape[1:]):
        raise ValueError(f"{source} has shape {frames.shape}; this model takes (frames, channels, height, width) = "
                         f"(N, {', '.join(map(str, hparams.in_shape[1:]))}).")
    if frames.dtype.kind not in "fiub":
        raise ValueError(f"{source} holds {frames.dtype}, not numbers.")
    if times is not None:
        if times.shape != (len(frames),) or times.dtype.kind != "M":
            raise ValueError(f"{source}: times must be datetime64 of shape ({len(frames)},), got {times.dtype} of "
                             f"shape {times.shape}.")
        if not (np.diff(times) > np.timedelta64(0)).all():
            raise ValueError(f"{source}: times must ascend.")
    # Bytes, where the statistics are those of values in [0, 1]: pictures, which the loaders scale.
    pictures = frames.dtype == np.uint8 and np.all(np.asarray(hparams.test_std) <= 1)
    decode = _shares if pictures else None
    reader = FileFrames(source, decode) if isinstance(frames, np.memmap) else ArrayFrames(frames, decode)
    return _Series(reader, *_axis(times, len(frames), stride))


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
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{source} cannot be read as a numpy file ({error}): it may be cut off.") from error
    raise ValueError(f"{source} holds {', '.join(names) or 'no array'}; call the frames 'frames'.")


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES)


def _video(hparams, folder: Path, stride: int) -> _Series:
    shape, paths = tuple(hparams.in_shape[1:]), _images(folder)
    if shape[0] not in (1, 3):
        raise ValueError(f"this model takes {shape[0]} channels, and images have 1 or 3: give .npy or .npz.")
    if not paths:
        raise FileNotFoundError(f"no images ({', '.join(_IMAGES)}) in {folder}.")
    paths, axis = _numbered(paths, folder)
    decode = _decoder(hparams.dataname, shape)
    found = decode(read_image(paths[0])).shape
    if found != shape:
        raise ValueError(f"{paths[0]} has {found[1]} x {found[2]} pixels, and the model takes {shape[1]} x {shape[2]}: "
                         "cut or scale the images.")
    return _Series(ImageFrames(paths.__getitem__, len(paths), decode, shape), axis, stride)


def _decoder(dataname: str, shape: tuple) -> Callable[[np.ndarray], np.ndarray]:
    """What makes a frame ``(C, H, W)`` of an image; for datasets whose loader reads images, what that does."""
    if dataname.startswith("kth"):
        return partial(dataloader_kth._grey, size=shape[1:])
    if dataname == "human":
        return partial(dataloader_human._colour, size=shape[1:])
    return _grey if shape[0] == 1 else _colour


def _grey(image: np.ndarray) -> np.ndarray:
    luma = image if image.ndim == 2 else (image @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    return from_images(luma[None, :, :, None])[0]


def _colour(image: np.ndarray) -> np.ndarray:
    return from_images((image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))[None])[0]


def _numbered(paths: list[Path], folder: Path) -> tuple[list[Path], np.ndarray]:
    """Images in the order of the numbers that their names end in, and the numbers; by name where they have none."""
    found = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in paths]
    if not all(found):
        return paths, np.arange(len(paths))
    sequences = sorted({match[1] for match in found})
    if len(sequences) > 1:
        raise ValueError(f"{folder} holds {len(sequences)} sequences, {sequences[0]}... and {sequences[1]}...: give a "
                         "folder with one.")
    numbers = np.array([int(match[2]) for match in found])
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{folder} has several images with the same number.")
    order = np.argsort(numbers)
    return [paths[i] for i in order], numbers[order]


# ---- windows ----


def _windows(series: _Series, offsets: np.ndarray, window: str, source: Path) -> np.ndarray:
    """Indices of the input frames of the windows that ``window`` asks for: ``(n, T)``."""
    axis, relative = series.axis, (offsets - offsets[-1]) * series.unit
    if not len(axis):
        raise ValueError(f"{source} has no frames.")
    need = f"{len(offsets)} frames {_show(series.unit)} apart are needed"
    there = f"{source} has {len(axis)} from {_show(axis[0])} to {_show(axis[-1])}"
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
        raise ValueError(f"{what}: {need}, from {_show(wanted[0])} to {_show(wanted[-1])}, and {len(missing)} of them "
                         f"are not there, the first {_show(missing[0])}; {there}.")
    return np.searchsorted(axis, wanted)[None]


def _start(text: str, axis: np.ndarray):
    """``text`` as a time, or as the number of a frame where there are no times."""
    timed = axis.dtype.kind == "M"
    try:
        start = np.datetime64(text).astype("datetime64[m]") if timed else int(text)
    except ValueError:
        start = np.datetime64("NaT")
    if np.isnat(start) if timed else not isinstance(start, int):
        kind = "a time such as 2018-12-31T06:00" if timed else "the number of a frame"
        raise ValueError(f"the start must be {kind}, got {text!r}.")
    return start


def _show(value) -> str:
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(60, 'm'):g} h"
    return str(value)


# ---- output ----


@dataclass
class _Result:
    """What a writer writes."""

    path: Path
    forecasts: Iterator[np.ndarray]  # (n, S, C, H, W), batch after batch
    series: _Series
    starts: np.ndarray  # last input frame of each forecast, in all (N,)
    times: np.ndarray  # of the forecast frames (N, S)
    many: bool  # else one forecast alone
    fps: float
    attributes: dict[str, str]


def _writer(suffix: str, hparams, window: str) -> Callable[[_Result], None]:
    if suffix not in PICTURES:
        return _write_netcdf if suffix == ".nc" else _write_npz
    weather = "weather" in hparams.dataname
    if weather or hparams.in_shape[1] not in (1, 3):
        raise ValueError(f"{suffix} holds pictures, and {hparams.dataname} has none; write "
                         f"{'.nc or ' if weather else ''}.npz.")
    if window == "all":
        raise ValueError(f"{suffix} holds one forecast; write all of them as .npz.")
    if suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ModuleNotFoundError(".mp4 needs an encoder: pip install imageio-ffmpeg, or write .gif.")
    blue_first = hparams.dataname in _BLUE_FIRST
    return lambda result: _write_pictures(result, blue_first)


def _write_netcdf(result: _Result) -> None:
    """Dimensions as in the input; many forecasts have ``init_time`` and ``lead_time`` in place of ``time``."""
    import netCDF4

    def minutes(times):
        return (times - np.datetime64("1900-01-01", "m")).astype(np.int64)

    clock = {"units": "minutes since 1900-01-01 00:00:00", "calendar": "proleptic_gregorian"}
    init = {**clock, "standard_name": "forecast_reference_time", "long_name": "time of the last input frame"}
    axes = {"time": (minutes(result.times[0]), {**clock, "standard_name": "time"})}
    if result.many:
        leads = minutes(result.times[0]) - minutes(result.starts[0])
        lead = {"units": "minutes", "standard_name": "forecast_period", "dtype": "timedelta64[ns]"}  # dtype: for xarray
        axes = {"init_time": (minutes(result.starts), init), "lead_time": (leads, lead)}
    grid = result.series.grid
    with replacing(result.path) as partial, netCDF4.Dataset(partial, "w") as file:
        file.setncatts({"Conventions": "CF-1.8", **result.attributes})
        sizes = {name: len(values) for name, (values, _) in axes.items()}
        for _, _, dims in grid.variables:
            sizes |= dims
        for name, size in sizes.items():
            file.createDimension(name, size)
        for name, (values, attributes) in (axes | grid.coords).items():
            _create(file, name, values.dtype, (name,), attributes)[:] = values
        if not result.many:
            _create(file, "init_time", np.int64, (), init)[:] = minutes(result.starts[0])
        extra = {} if result.many else {"coordinates": "init_time"}
        for name, attributes, dims in grid.variables:
            _create(file, name, np.float32, (*axes, *dims), attributes | extra)
        begin = 0
        for forecast in result.forecasts:
            channel = 0
            for name, _, dims in grid.variables:
                channels = prod(list(dims.values())[:-2])
                values = forecast[:, :, channel:channel + channels]  # (n, S, L, H, W)
                values = values.reshape(*values.shape[:2], *dims.values())
                if result.many:
                    file[name][begin:begin + len(values)] = values
                else:
                    file[name][:] = values[0]
                channel += channels
            begin += len(forecast)


def _create(file, name: str, dtype, dims: tuple, attributes: dict):
    variable = file.createVariable(name, dtype, dims, compression="zlib" if len(dims) > 1 else None)
    variable.setncatts(attributes)
    return variable


def _write_npz(result: _Result) -> None:
    """``frames`` (S, C, H, W), or (N, S, C, H, W) of many forecasts; ``times`` and coordinates where there are any."""
    frames = np.concatenate(list(result.forecasts))
    content = {"frames": frames, "times": result.times}
    content = content if result.many else {name: values[0] for name, values in content.items()}
    if result.starts.dtype.kind != "M":
        del content["times"]
    if result.series.grid is not None:
        content |= {name: values for name, (values, _) in result.series.grid.coords.items()}
    with replacing(result.path) as partial:
        np.savez_compressed(partial, attributes=json.dumps(result.attributes), **content)


def _write_pictures(result: _Result, blue_first: bool) -> None:
    import imageio.v3 as iio

    (forecast,), = result.forecasts  # (S, C, H, W)
    pixels = (forecast.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)  # (S, H, W, C)
    pixels = pixels[..., ::-1] if blue_first else pixels
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    suffix = result.path.suffix.lower()
    with replacing(result.path) as partial:
        if suffix == ".png":
            iio.imwrite(partial, np.concatenate(list(pixels), axis=1))
        elif suffix == ".gif":
            iio.imwrite(partial, pixels, duration=1000 / result.fps, loop=0)
        else:
            # Encoders take even sizes only.
            even = [(0, 0), *((0, size % 2) for size in pixels.shape[1:3]), *[(0, 0)] * (pixels.ndim - 3)]
            iio.imwrite(partial, np.pad(pixels, even, mode="edge"), plugin="FFMPEG", fps=result.fps, macro_block_size=2)
