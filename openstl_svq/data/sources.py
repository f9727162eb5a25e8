"""What is known of frames beside their values: when they are, where, in what unit, and which follow each other."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..naming import unknown
from .cache import CachedFrames, cache_frames, cached_file, fingerprint
from .cycle import Anomalies, Cycle
from .frames import Frames, from_images, in_chunks
from .times import STANDARD, Clock

MASKS = ("land",)


@dataclass(frozen=True)
class Grid:
    """What a NetCDF file of such frames keeps beside the values.

    Attributes:
        variables: name, attributes, and size of each dimension but time; the last two are those of a frame.
        coords: of these dimensions: values and attributes, as in the input.
        more: further coordinates on the dimensions of a frame, such as the latitudes and longitudes of a curvilinear
            grid: dimensions, values and attributes.
        order: rows and columns of a frame in the order of the input, where that is another.
    """

    variables: Sequence[tuple[str, dict, dict[str, int]]]
    coords: dict[str, tuple[np.ndarray, dict]]
    more: dict[str, tuple[tuple[str, ...], np.ndarray, dict]] = field(default_factory=dict)
    order: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def plane(self) -> list[str]:
        """The dimensions along height and width."""
        return list(self.variables[0][2])[-2:]

    def cut(self, pieces: Sequence[slice | np.ndarray]) -> "Grid":
        """``pieces`` of height and width."""
        cuts: dict[str, Any] = dict(zip(self.plane, pieces))
        whole = slice(None)
        return replace(
            self,
            variables=[
                (name, attributes, {dim: len(np.arange(n)[cuts.get(dim, whole)]) for dim, n in dims.items()})
                for name, attributes, dims in self.variables
            ],
            coords={dim: (values[cuts.get(dim, whole)], rest) for dim, (values, rest) in self.coords.items()},
            more={
                name: (dims, _take(values, *(cuts.get(dim, whole) for dim in dims)), rest)
                for name, (dims, values, rest) in self.more.items()
            },
        )

    def restore(self, frames: np.ndarray) -> np.ndarray:
        """Frames ``(..., H, W)`` with rows and columns in the order of the input."""
        return frames if self.order is None else _take(frames, *self.order)


def _take(values: np.ndarray, *pieces) -> np.ndarray:
    """``pieces``, slices or indices, of the last dimensions."""
    for axis, piece in enumerate(pieces, start=-len(pieces)):
        values = values[(..., piece) + (slice(None),) * (-1 - axis)]
    return values


@dataclass(frozen=True)
class Source:
    """Frames in order, and what is known of them.

    Attributes:
        frames: what reads them.
        name: of the dataset or variable, or a list of several variables.
        title: what the data call themselves.
        times: datetime64 ``(N,)``, increasing, with the year, month and day of their calendar.
        calendar: ``standard``, ``noleap`` or ``360_day``.
        numbers: that tell gaps where there are no times, such as those in the names of images: ``(N,)``, increasing
            within a series.
        video: which series each frame belongs to, ``(N,)``; by default there is one.
        units, lat, lon: of the data.
        channels: name and unit of each channel.
        field: whether they are numbers on a grid, which are scored by point, and no images, which are by frame.
        blue_first: the channels are blue, green, red.
        grid: what a NetCDF file of them keeps.
        cycle: what has been taken from the frames, if they are anomalies.
        missing: points that are always missing, and NaN in the frames: bool ``(C, H, W)``.
        paths: all files.
    """

    frames: Frames
    name: str | list[str] | None = None
    times: np.ndarray | None = None
    calendar: str = STANDARD
    numbers: np.ndarray | None = None
    video: np.ndarray | None = None
    units: str | None = None
    lat: np.ndarray | None = None
    lon: np.ndarray | None = None
    channels: Sequence[tuple[str, str | None]] | None = None
    field: bool = False
    blue_first: bool = False
    grid: Grid | None = None
    cycle: Cycle | None = None
    missing: np.ndarray | None = None
    paths: Sequence[Path] = ()
    title: str | None = None

    def at_points(self, rows: slice | np.ndarray, columns: slice | np.ndarray) -> "Source":
        """These rows and columns of each frame."""
        return replace(
            self,
            frames=_Cut(self.frames, rows, columns),
            lat=None if self.lat is None else self.lat[rows],
            lon=None if self.lon is None else self.lon[columns],
            grid=self.grid and self.grid.cut((rows, columns)),
        )

    def within(self, region: Mapping[str, Sequence[float]] | None) -> "Source":
        """The rows and columns between two values of a coordinate: ``{"lat": [30, 60], "lon": [-20, 40]}``.

        Longitudes may be given from -180 to 180 or from 0 to 360, whichever the data have, and across the place where
        the numbers jump.

        Raises:
            ValueError: no such coordinate, or nothing between the values.
        """
        if not region:
            return self
        axes: list[dict[str, np.ndarray]] = [{}, {}]  # by name, of rows and of columns
        for known, name, values, dim in zip(
            axes, ("lat", "lon"), (self.lat, self.lon), self.grid.plane if self.grid else ("", "")
        ):
            if self.grid and dim in self.grid.coords:
                known[dim] = self.grid.coords[dim][0]
            if values is not None:
                known[name] = values
        pieces: list[Any] = [slice(None), slice(None)]
        for name, bounds in region.items():
            which = 0 if name in axes[0] else 1
            if name not in axes[which]:
                raise ValueError(unknown("coordinate in region", name, axes[0] | axes[1]))
            around = which == 1 and self.lon is not None
            pieces[which] = _between(name, axes[which][name], bounds, around=around)
        return self.at_points(*pieces)

    def on_grid(self, lat: Sequence[float], lon: Sequence[float]) -> "Source | None":
        """The same frames with rows and columns in the order of these latitudes and longitudes, which may count from -180
        or from 0; ``None`` where they are others."""
        if self.lat is None or self.lon is None:
            return self
        rows, columns = _places(self.lat, lat), _places(self.lon, lon, period=360)
        if rows is None or columns is None:
            return None
        if all(np.array_equal(order, np.arange(len(order))) for order in (rows, columns)):
            return self
        grid = self.grid
        if grid is not None:
            back = np.argsort(rows), np.argsort(columns)
            old = grid.order or tuple(np.arange(len(order)) for order in back)
            grid = replace(grid, order=(back[0][old[0]], back[1][old[1]]))
        return replace(
            self, frames=_Cut(self.frames, rows, columns), lat=self.lat[rows], lon=self.lon[columns], grid=grid
        )

    def crop(self, size: Sequence[int] | None) -> "Source":
        """``size`` (height, width) out of the middle of each frame; ``None`` keeps all."""
        if size is None:
            return self
        full = self.frames.shape[2:]
        whole = isinstance(size, (list, tuple)) and all(type(n) is int for n in size)
        if not whole or len(size) != 2 or not all(0 < small <= large for small, large in zip(size, full)):
            raise ValueError(f"crop must be a height and a width up to {full[0]} x {full[1]}, got {size!r}.")
        begin = [(large - small) // 2 for small, large in zip(size, full)]
        return self.at_points(*(slice(b, b + s) for b, s in zip(begin, size)))

    @property
    def series(self) -> np.ndarray:
        """Which series each frame belongs to, ``(N,)``."""
        return np.zeros(len(self.frames), dtype=np.int64) if self.video is None else self.video

    @property
    def clock(self) -> Clock | None:
        """How the times follow each other; ``None`` where there are none."""
        return None if self.times is None else Clock.of(self.times, self.calendar)

    @property
    def stretch(self) -> np.ndarray:
        """Which stretch without a gap each frame belongs to, ``(N,)``."""
        clock, place = self.clock, self.numbers
        if clock is not None and self.times is not None:
            place = clock.steps(self.times)
        border = np.diff(self.series) != 0
        if place is not None and not border.all():
            # Years differ in length, so what is half as long again as the usual interval is a gap, and what is as much
            # shorter another interval.
            apart = np.diff(place)
            usual = np.median(apart[~border])
            border |= (apart > 1.5 * usual) | (1.5 * apart < usual)
        return np.concatenate([[0], np.cumsum(border)])

    def checked(self, path: Path | str, mask: str | None = None) -> "Source":
        """The same frames, each looked at when it is read: NaN where a value is missing under ``mask``, else an error."""
        if mask is None:
            return self
        return replace(self, frames=_Finite(self.frames, self.times, path, allowed=True))

    def less_cycle(self, kind: str | None, training: np.ndarray) -> "Source":
        """The anomalies from the cycle of the frames at ``training``, see :class:`~.cycle.Cycle`; ``None`` for none."""
        return self if kind is None else self.less(Cycle.fit(kind, self.frames, self.times, training))

    def less(self, cycle: Cycle | None) -> "Source":
        """The anomalies from ``cycle``.

        Raises:
            ValueError: there are no times, or some that ``cycle`` does not have.
        """
        if cycle is None:
            return self
        if self.times is None:
            raise ValueError(
                "the model forecasts anomalies from a climatology, which needs frames with dates as times."
            )
        cycle.check(self.times)
        return replace(self, frames=Anomalies(self.frames, self.times, cycle), cycle=cycle)

    def cached(self, path: Path | str, mask: str | None = None, *, in_memory: bool = False) -> "Source":
        """The same frames where windows are read from fast; numbers that are not finite are an error.

        Args:
            path: the file or folder that they are from, or what they are for a message.
            in_memory: of whatever size; else large ones go to a file beside ``path``.
            mask: ``"land"``: points that are always missing are no error, but ``missing``, and NaN in the frames.
        """
        if self.field:
            finite = _Finite(self.frames, self.times, path, allowed=mask is not None)
            limit = sys.maxsize if in_memory else None
            cached = replace(self, frames=cache_frames(finite, **self._place(Path(path), mask), memory_limit=limit))
            return cached if mask is None else replace(cached, missing=always_missing(cached.frames, self.times, path))
        if mask is not None:
            raise ValueError(f"{path}: mask={mask!r} is for fields with missing values; images have none.")
        if in_memory:
            return self
        count, channels, *size = self.frames.shape
        images = cached_file(
            lambda: ((255 * v).round().astype(np.uint8).transpose(0, 2, 3, 1) for _, v in in_chunks(self.frames)),
            (count, *size, channels),
            np.uint8,
            **self._place(Path(path)),
        )
        return replace(self, frames=CachedFrames(images, from_images))

    def _place(self, path: Path, mask: str | None = None) -> dict[str, Any]:
        """Where a copy of the frames is kept, and what tells it from others."""
        points = [] if self.grid is None else [values.tolist() for values, _ in self.grid.coords.values()]
        key = (str(path.resolve()), self.name, fingerprint(self.paths), self.channels, points, mask)
        return {"beside": path.parent, "name": re.sub(r"\W+", "_", path.stem), "key": key}


def always_missing(frames: Frames, times: np.ndarray | None, where: Path | str) -> np.ndarray:
    """Points that hold NaN in all frames: bool ``(C, H, W)``.

    Raises:
        ValueError: all points do, or some are missing in some frames alone.
    """
    count, total = np.zeros(frames.shape[1:], dtype=np.int64), len(frames)
    first = np.full(frames.shape[1:], -1)
    for begin, values in in_chunks(frames):
        gone = np.isnan(values)
        first = np.where((first < 0) & gone.any(0), begin + gone.argmax(0), first)
        count += gone.sum(0)
    if (empty := np.flatnonzero((count == total).all((1, 2)))).size:
        raise ValueError(
            f"{where}: all values of channel {', '.join(map(str, empty))} are missing, at all points and times: there is "
            "nothing to learn."
        )
    sometimes = np.argwhere((count > 0) & (count < total))
    if len(sometimes):
        channel, i, j = sometimes[0]
        frame = first[channel, i, j]
        when = f"frame {frame}" if times is None else str(times[frame])
        raise ValueError(
            f"{where}: {len(sometimes):,} points are missing at some times and not at others, the first in channel "
            f"{channel} at row {i}, column {j} ({count[channel, i, j]:,} of {total:,} frames, the first {when}). The mask "
            "leaves out points that are always missing: fill the others in, or take those frames out."
        )
    return count == total


def _between(name: str, values: np.ndarray, bounds: Sequence[float], *, around: bool) -> np.ndarray:
    """Indices of ``values`` from the first to the second of ``bounds``, in order; ``around`` the globe for longitudes."""
    try:
        first, last = (float(v) for v in bounds)
    except (TypeError, ValueError):
        raise ValueError(f"region: {name} must be two numbers, as in [30, 60], got {bounds!r}.") from None
    if around:
        east = (values - first) % 360
        chosen = np.flatnonzero(east <= ((last - first) % 360 or 360 * (last != first)))
        chosen = chosen[np.argsort(east[chosen], kind="stable")]
    else:
        chosen = np.flatnonzero((values >= min(first, last)) & (values <= max(first, last)))
    if not len(chosen):
        raise ValueError(
            f"region: {name} goes from {values.min():g} to {values.max():g}; nothing lies in {list(bounds)}."
        )
    return chosen


def _places(values: np.ndarray, wanted: Sequence[float], period: float | None = None) -> np.ndarray | None:
    """Where in ``values`` each of ``wanted`` is, to a thousandth of a degree; ``None`` unless each is there once, or all
    are as they stand there (0 and 360 may both be)."""
    if np.shape(values) == np.shape(wanted) and np.allclose(values, wanted, rtol=0, atol=1e-3):
        return np.arange(len(values))
    apart = np.asarray(values, dtype=np.float64) - np.asarray(wanted, dtype=np.float64)[:, None]
    apart = apart if period is None else (apart + period / 2) % period - period / 2
    found = np.abs(apart) <= 1e-3
    return found.argmax(1) if found.shape[0] == found.shape[1] and (found.sum(1) == 1).all() else None


class _Cut(Frames):
    """Some rows and columns of each frame."""

    def __init__(self, frames: Frames, rows: slice | np.ndarray, columns: slice | np.ndarray):
        self._frames, self._pieces = frames, (rows, columns)
        self.shape = (
            *frames.shape[:2],
            *(len(np.arange(n)[piece]) for n, piece in zip(frames.shape[2:], self._pieces)),
        )

    def read(self, indices: np.ndarray) -> np.ndarray:
        return _take(self._frames.read(indices), *self._pieces)


# netCDF's fill value of floating-point numbers, which arrays made of NetCDF files may hold too.
_FILL = np.float32(9.969209968386869e36)


class _Finite(Frames):
    """Frames as numbers, each looked at; where missing ones are ``allowed``, they are NaN."""

    def __init__(self, frames: Frames, times: np.ndarray | None, path: Path | str, allowed: bool = False):
        self._frames, self._times, self._path, self._allowed, self.shape = frames, times, path, allowed, frames.shape

    def read(self, indices: np.ndarray) -> np.ndarray:
        values = self._frames.read(indices)
        gone = ~np.isfinite(values) | (values == _FILL)
        if self._allowed:
            return np.where(gone, np.float32(np.nan), values)
        bad = np.argwhere(gone)
        if len(bad):
            number, channel, i, j = bad[0]
            frame = indices[number]
            when = "" if self._times is None else f" ({self._times[frame]})"
            raise ValueError(
                f"{self._path}: frame {frame}{when} has NaN, a fill value or infinity, the first "
                f"in channel {channel} at row {i}, column {j}. Fill them in, take those frames out, or, where points are "
                'always missing as land is in an ocean, give mask="land".'
            )
        return values
