"""Windows to forecast from, in whatever file or folder the frames lie."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.formats.weatherbench import frame_interval
from ..data.registry import dataset_or_default
from ..data.sources import Grid, Source
from ..data.times import Clock
from .forecaster import UNCHECKED

_MONTH = 24 * 60 * 365.25 / 12  # minutes


@dataclass
class Series:
    """Frames in order, read when they are asked for."""

    source: Source
    axis: np.ndarray  # place of each frame in steps of the clock, or its number: ascending int64 (N,)
    unit: int  # from one frame of a window to the next, on that axis
    clock: Clock | None = None  # None where the frames have no times

    @property
    def grid(self) -> Grid | None:
        """What a NetCDF file of the frames needs; none without times."""
        return None if self.clock is None else self.source.grid

    def read(self, windows: np.ndarray) -> np.ndarray:
        """Windows of indices ``(n, T)`` -> ``(n, T, C, H, W)``, reading each frame once."""
        indices, where = np.unique(windows, return_inverse=True)
        return self.source.frames.read(indices)[where.reshape(windows.shape)]

    def when(self, places: np.ndarray) -> np.ndarray:
        """Times of places on the axis, or the places where there are no times."""
        if self.clock is None:
            return np.asarray(places)
        return self.clock.times(places, self.source.times)

    def show(self, place: int | np.ndarray) -> str:
        """A place on the axis, for a message."""
        return str(self.when(np.atleast_1d(place))[0])

    def show_interval(self, steps: int) -> str:
        return str(steps) if self.clock is None else self.clock.interval(steps)


def open_series(hparams: Any, path: Path, *, stride: int | None, check_units: bool) -> Series:
    """The frames in ``path`` as the model of ``hparams`` takes them; arguments and errors as of ``forecast_file``."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a file or folder of frames.")
    if stride is not None and stride < 1:
        raise ValueError(f"the stride must be 1 or more, got {stride}.")
    dataset = dataset_or_default(hparams.dataname)
    source = dataset.open_to_forecast(dataset, path, {**dataset.entry, **hparams})
    return series_of(source, hparams, path, stride=stride, check_units=check_units)


def series_of(
    source: Source, hparams: Mapping, path: Path | str, *, stride: int | None = None, check_units: bool = True
) -> Series:
    """``source`` as the model of ``hparams`` takes it: on the training's grid, with its time step.

    Args:
        path: begins messages.

    Raises:
        ValueError: another shape, grid or unit than in training; a stride for data that have times; times that are not of
            the training's time step.
    """
    found, wanted = tuple(source.frames.shape[1:]), tuple(hparams.in_shape[1:])
    if found != wanted:
        raise ValueError(
            f"{path} has frames of shape {found} (channels, height, width), and the model takes {wanted}: cut or scale them."
        )
    if source.series.any():
        raise ValueError(
            f"{path} holds several series; give one: an array (T, C, H, W), a folder of images, or a video."
        )
    source = _as_trained(source, hparams.get("trained_on") or {}, path, check_units)
    dataset, trained_on = dataset_or_default(hparams.dataname), hparams.get("trained_on") or {}
    stepped = dataset.is_field and source.grid is not None  # times in the data, a time step in the model
    if stepped and stride is not None:
        raise ValueError("a stride is for images and arrays; NetCDF has times, and the model a time step.")
    stride = stride or dataset.image_format.stride
    if source.times is None:
        numbers = np.arange(len(source.frames)) if source.numbers is None else source.numbers
        unit = stride * (np.diff(numbers).min() if source.numbers is not None and len(numbers) > 1 else 1)
        if not unit > 0:
            raise ValueError(f"{path} has several frames with the same number.")
        return Series(source, numbers, unit)
    clock, step = _trained_clock(source, trained_on, path)
    axis = clock.steps(source.times)
    if step is None and stepped:  # a checkpoint of OpenSTL's
        step = int(frame_interval(source.times, {**dataset.entry, **hparams}.get("step", 1), str(path)).astype(int))
        warnings.warn(
            f"the checkpoint does not say on what grid and time step it was trained: that {path} has the "
            f"same grid, and that frames {clock.interval(step)} apart are right, is not checked.",
            stacklevel=4,
        )
    unit = stride * (step or (int(np.diff(axis).min()) if len(axis) > 1 else 1))
    return Series(source, axis, unit, clock)


def _trained_clock(source: Source, trained_on: Mapping, path: Path | str) -> tuple[Clock, int | None]:
    """What the times of ``source`` are counted by, and the steps between two frames of the training if they are known."""
    own = Clock.of(source.times, source.calendar)
    minutes, months = trained_on.get("interval_minutes"), trained_on.get("interval_months")
    if minutes and not months and own.monthly:  # a checkpoint that was written before months were
        months = round(minutes / _MONTH) if minutes > 27 * 24 * 60 else None
    if not (minutes or months):
        return own, None
    clock = Clock(source.calendar, bool(months))
    if months and len(source.times) > 1 and not (np.diff(clock.steps(source.times)) > 0).all():
        raise ValueError(
            f"{path} has several frames in one month, and the model was trained on one frame every {months} months. Give "
            "means over months."
        )
    return clock, months or minutes


def _as_trained(source: Source, trained_on: Mapping, path: Path | str, check_units: bool) -> Source:
    """``source`` with rows and columns in the order of the training."""
    there = trained_on.get("lat"), trained_on.get("lon")
    if all(v is not None for v in (*there, source.lat, source.lon)):
        own, source = source, source.on_grid(*there)
        if source is None:
            here = own.lat, own.lon
            which, what = next(
                (
                    (k, name)
                    for k, name in enumerate(("lat", "lon"))
                    if len(here[k]) != len(there[k])
                    or not np.allclose(np.sort(here[k] % 360), np.sort(np.asarray(there[k]) % 360), rtol=0, atol=1e-3)
                ),
                (1, "lon"),
            )
            raise ValueError(
                f"{path}: {what} goes from {here[which][0]:g} to {here[which][-1]:g}, and the model was trained on "
                f"{there[which][0]:g} to {there[which][-1]:g}, another grid. Regrid the input."
            )
    pairs = [(found, unit) for (_, found), (_, unit) in zip(source.channels or (), trained_on.get("channels") or ())]
    if not pairs:  # a checkpoint that was written before each channel's unit was
        pairs = [(unit, trained_on.get("units")) for _, unit in source.channels or ()]
    other = [(found, wanted) for found, wanted in pairs if found and wanted and found != wanted]
    if check_units and other:
        found, wanted = other[0]
        raise ValueError(
            f"{path} is in {found}, and the model was trained on {wanted}. Give the values in the same unit, {UNCHECKED}."
        )
    return source


def windows_in(series: Series, offsets: np.ndarray, window: str, path: Path | str) -> np.ndarray:
    """Indices of the input frames of the windows that ``window`` asks for: ``(n, T)``.

    Args:
        offsets: of the input frames from the last one, in steps of ``series.unit``, ``(T,)``.
        window: ``"last"``, ``"all"``, or time or number of the first frame.
        path: for messages.

    Raises:
        ValueError: too few frames, a gap between them, or another time step; no such start.
    """
    axis, relative = series.axis, (offsets - offsets[-1]) * series.unit
    if not len(axis):
        raise ValueError(f"{path} has no frames.")
    need = f"{len(offsets)} frames {series.show_interval(series.unit)} apart are needed"
    there = f"{path} has {len(axis)} from {series.show(axis[0])} to {series.show(axis[-1])}"
    usual = int(np.median(np.diff(axis))) if len(axis) > 1 else series.unit
    other = usual % series.unit != 0 if usual > series.unit else series.unit % usual != 0
    if series.clock is not None and (other or usual > series.unit):
        raise ValueError(
            f"another time step than the model was trained with: {need}; {there}, mostly {series.show_interval(usual)} "
            "apart. Give data of the training's time step."
        )
    if window == "all":
        wanted = axis[:, None] + relative
        wanted = wanted[np.isin(wanted, axis).all(axis=1)]
        if not len(wanted):
            raise ValueError(f"too few frames: {need} without a gap between them; {there}.")
        return np.searchsorted(axis, wanted)
    wanted = axis[-1] + relative if window == "last" else _start(window, series) + relative - relative[0]
    missing = wanted[~np.isin(wanted, axis)]
    if len(missing):
        what = "too few frames" if missing[0] < axis[0] or missing[-1] > axis[-1] else "a gap between the frames"
        raise ValueError(
            f"{what}: {need}, from {series.show(wanted[0])} to {series.show(wanted[-1])}, and {len(missing)} of them "
            f"are not there, the first {series.show(missing[0])}; {there}."
        )
    return np.searchsorted(axis, wanted)[None]


def _start(text: str, series: Series) -> int:
    """``text`` as a time, or as the number of a frame where there are no times, on the axis of ``series``."""
    try:
        if series.clock is None:
            return int(text)
        start = np.datetime64(text, "m")
        if not np.isnat(start):
            return int(series.clock.steps(start))
    except ValueError:
        pass
    kind = "the number of a frame" if series.clock is None else "a time such as 2018-12-31T06:00"
    raise ValueError(f"the start must be {kind}, got {text!r}.")
