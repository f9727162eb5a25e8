"""Windows to forecast from, in whatever file or folder the frames lie."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.formats.weatherbench import frame_interval
from ..data.frames import Frames
from ..data.registry import dataset_or_default
from ..data.sources import Grid, Source
from .forecaster import UNCHECKED


@dataclass
class Series:
    """Frames in order, read when they are asked for."""

    frames: Frames
    axis: np.ndarray  # time (datetime64, of months where they are monthly) or number of each frame, ascending
    unit: np.timedelta64 | int  # from one frame of a window to the next
    grid: Grid | None = None

    def read(self, windows: np.ndarray) -> np.ndarray:
        """Windows of indices ``(n, T)`` -> ``(n, T, C, H, W)``, reading each frame once."""
        indices, where = np.unique(windows, return_inverse=True)
        return self.frames.read(indices)[where.reshape(windows.shape)]


def open_series(hparams: Any, path: Path, *, stride: int | None, check_units: bool) -> Series:
    """The frames in ``path`` as the model of ``hparams`` takes them; arguments and errors as of ``forecast_file``."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a file or folder of frames.")
    if stride is not None and stride < 1:
        raise ValueError(f"the stride must be 1 or more, got {stride}.")
    dataset = dataset_or_default(hparams.dataname)
    source = dataset.open_to_forecast(dataset, path, {**dataset.entry, **hparams})
    found, wanted = tuple(source.frames.shape[1:]), tuple(hparams.in_shape[1:])
    if found != wanted:
        raise ValueError(
            f"{path} has frames of shape {found} (channels, height, width), and the model takes {wanted}: cut or scale them."
        )
    if source.series.any():
        raise ValueError(
            f"{path} holds several series; give one: an array (T, C, H, W), a folder of images, or a video."
        )
    trained_on = hparams.get("trained_on") or {}
    _same_as_trained(source, trained_on, path, check_units)
    stepped = dataset.is_field and source.grid is not None  # times in the data, a time step in the model
    if stepped and stride is not None:
        raise ValueError("a stride is for images and arrays; NetCDF has times, and the model a time step.")
    stride = stride or dataset.image_format.stride
    axis, unit = _axis(source.numbers if source.times is None else source.times, len(source.frames), stride, path)
    if axis.dtype == "M8[m]" and trained_on.get("interval_minutes"):
        unit = stride * np.timedelta64(trained_on["interval_minutes"], "m")
    elif stepped:  # a checkpoint of OpenSTL's
        unit = frame_interval(axis, {**dataset.entry, **hparams}.get("step", 1), str(path))
        warnings.warn(
            f"the checkpoint does not say on what grid and time step it was trained: that {path} has the "
            f"same grid, and that frames {show(unit)} apart are right, is not checked.",
            stacklevel=3,
        )
    return Series(source.frames, axis, unit, None if source.times is None else source.grid)


def _axis(places: np.ndarray | None, count: int, stride: int, path: Path) -> tuple[np.ndarray, np.timedelta64 | int]:
    """Times or numbers of the frames, and what lies between two frames of a window."""
    if places is None:
        return np.arange(count), stride
    if places.dtype.kind == "M" and count > 1:
        months = places.astype("datetime64[M]")  # which are not equally long
        places = months if (months == places).all() else places
    if count < 2:
        return places, stride * (np.timedelta64(1, "m") if places.dtype.kind == "M" else 1)
    unit = np.diff(places).min()
    if not unit > 0 * unit:
        raise ValueError(f"{path} has several frames with the same number.")
    return places, stride * unit


def _same_as_trained(source: Source, trained_on: Mapping, path: Path, check_units: bool) -> None:
    for what, here in (("lat", source.lat), ("lon", source.lon)):
        there = trained_on.get(what)
        if here is not None and there is not None and not np.allclose(here, there, rtol=0, atol=1e-3):
            raise ValueError(
                f"{path}: {what} goes from {here[0]:g} to {here[-1]:g}, and the model was trained on "
                f"{there[0]:g} to {there[-1]:g}, another grid. Regrid the input."
            )
    wanted, units = trained_on.get("units"), {unit for _, unit in source.channels or ()}
    if check_units and wanted and units - {wanted, None}:
        raise ValueError(
            f"{path} is in {', '.join(sorted(map(str, units)))}, and the model was trained on {wanted}. "
            f"Give the values in the same unit, {UNCHECKED}."
        )


def windows_in(series: Series, offsets: np.ndarray, window: str, path: Path) -> np.ndarray:
    """Indices of the input frames of the windows that ``window`` asks for: ``(n, T)``.

    Args:
        offsets: of the input frames from the last one, in steps of ``series.unit``, ``(T,)``.
        window: ``"last"``, ``"all"``, or time or number of the first frame.
        path: for messages.

    Raises:
        ValueError: too few frames, or a gap between them; no such start.
    """
    axis, relative = series.axis, (offsets - offsets[-1]) * series.unit
    if not len(axis):
        raise ValueError(f"{path} has no frames.")
    need = f"{len(offsets)} frames {show(series.unit)} apart are needed"
    there = f"{path} has {len(axis)} from {show(axis[0])} to {show(axis[-1])}"
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


def show(value: object) -> str:
    """A time, a number, or an interval, for a message."""
    if isinstance(value, np.timedelta64) and np.datetime_data(value)[0] == "M":
        return f"{value.astype(int)} months"
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(60, 'm'):g} h"
    return str(value)
