"""What is known of frames beside their values: when they are, where, in what unit, and which follow each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .cache import CachedFrames, cache_frames, cached_file, fingerprint
from .frames import Frames, from_images, in_chunks


@dataclass(frozen=True)
class Grid:
    """What a NetCDF file of such frames keeps beside the values.

    Attributes:
        variables: name, attributes, and size of each dimension but time; the last two are those of a frame.
        coords: of these dimensions: values and attributes, as in the input.
        flip: whether the frames have the latitudes in the other order.
    """

    variables: Sequence[tuple[str, dict, dict[str, int]]]
    coords: dict[str, tuple[np.ndarray, dict]]
    flip: bool = False

    def cut(self, pieces: Sequence[slice]) -> "Grid":
        """``pieces`` of height and width."""
        sizes, cuts = self.variables[0][2], {}
        for dim, piece in zip(list(sizes)[-2:], pieces):
            cuts[dim] = piece
        return replace(
            self,
            variables=[
                (name, attributes, {dim: len(range(n)[cuts.get(dim, slice(None))]) for dim, n in dims.items()})
                for name, attributes, dims in self.variables
            ],
            coords={dim: (values[cuts.get(dim, slice(None))], more) for dim, (values, more) in self.coords.items()},
        )


@dataclass(frozen=True)
class Source:
    """Frames in order, and what is known of them.

    Attributes:
        frames: what reads them.
        name: of the dataset or variable, or a list of several variables.
        times: datetime64 ``(N,)``, increasing.
        numbers: that tell gaps where there are no times, such as those in the names of images: ``(N,)``, increasing
            within a series.
        video: which series each frame belongs to, ``(N,)``; by default there is one.
        units, lat, lon: of the data.
        channels: name and unit of each channel.
        field: whether they are numbers on a grid, which are scored by point, and no images, which are by frame.
        blue_first: the channels are blue, green, red.
        grid: what a NetCDF file of them keeps.
        paths: all files.
    """

    frames: Frames
    name: str | list[str] | None = None
    times: np.ndarray | None = None
    numbers: np.ndarray | None = None
    video: np.ndarray | None = None
    units: str | None = None
    lat: np.ndarray | None = None
    lon: np.ndarray | None = None
    channels: Sequence[tuple[str, str | None]] | None = None
    field: bool = False
    blue_first: bool = False
    grid: Grid | None = None
    paths: Sequence[Path] = ()

    def crop(self, size: Sequence[int] | None) -> "Source":
        """``size`` (height, width) out of the middle of each frame; ``None`` keeps all."""
        if size is None:
            return self
        full = self.frames.shape[2:]
        whole = isinstance(size, (list, tuple)) and all(type(n) is int for n in size)
        if not whole or len(size) != 2 or not all(0 < small <= large for small, large in zip(size, full)):
            raise ValueError(f"crop must be a height and a width up to {full[0]} x {full[1]}, got {size!r}.")
        begin = [(large - small) // 2 for small, large in zip(size, full)]
        rows, columns = (slice(b, b + s) for b, s in zip(begin, size))
        return replace(
            self,
            frames=_Cut(self.frames, rows, columns),
            lat=None if self.lat is None else self.lat[rows],
            lon=None if self.lon is None else self.lon[columns],
            grid=self.grid and self.grid.cut((rows, columns)),
        )

    @property
    def series(self) -> np.ndarray:
        """Which series each frame belongs to, ``(N,)``."""
        return np.zeros(len(self.frames), dtype=np.int64) if self.video is None else self.video

    @property
    def stretch(self) -> np.ndarray:
        """Which stretch without a gap each frame belongs to, ``(N,)``."""
        place = self.numbers if self.times is None else self.times
        border = np.diff(self.series) != 0
        if place is not None and not border.all():
            # Months and years differ in length, so what is half as long again as the usual interval is a gap, and what
            # is as much shorter another interval.
            apart = np.diff(place)
            apart = apart.astype(np.int64) if apart.dtype.kind == "m" else apart
            usual = np.median(apart[~border])
            border |= (apart > 1.5 * usual) | (1.5 * apart < usual)
        return np.concatenate([[0], np.cumsum(border)])

    def cached(self, path: Path) -> "Source":
        """The same frames where windows are read from fast; numbers that are not finite are an error.

        Args:
            path: the file or folder that they are from.
        """
        place: dict[str, Any] = {
            "beside": path.parent,
            "name": path.stem,
            "key": (str(path.resolve()), self.name, fingerprint(self.paths)),
        }
        if self.field:
            return replace(self, frames=cache_frames(_Finite(self.frames, self.times, path), **place))
        count, channels, *size = self.frames.shape
        images = cached_file(
            lambda: ((255 * v).round().astype(np.uint8).transpose(0, 2, 3, 1) for _, v in in_chunks(self.frames)),
            (count, *size, channels),
            np.uint8,
            **place,
        )
        return replace(self, frames=CachedFrames(images, from_images))


class _Cut(Frames):
    """A piece of each frame."""

    def __init__(self, frames: Frames, rows: slice, columns: slice):
        self._frames, self._piece = frames, (..., rows, columns)
        self.shape = (*frames.shape[:2], *(len(range(n)[s]) for n, s in zip(frames.shape[2:], (rows, columns))))

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self._frames.read(indices)[self._piece]


# netCDF's fill value of floating-point numbers, which arrays made of NetCDF files may hold too.
_FILL = np.float32(9.969209968386869e36)


class _Finite(Frames):
    """Frames as numbers, each looked at."""

    def __init__(self, frames: Frames, times: np.ndarray | None, path: Path):
        self._frames, self._times, self._path, self.shape = frames, times, path, frames.shape

    def read(self, indices: np.ndarray) -> np.ndarray:
        values = self._frames.read(indices)
        bad = np.argwhere(~np.isfinite(values) | (values == _FILL))
        if len(bad):
            number, channel, i, j = bad[0]
            frame = indices[number]
            when = "" if self._times is None else f" ({self._times[frame]})"
            raise ValueError(
                f"{self._path}: frame {frame}{when} has NaN, a fill value or infinity, the first "
                f"in channel {channel} at row {i}, column {j}. Fill them in, or take those frames out."
            )
        return values
