"""Windows over frames: input and target of one forecast. Every dataset of this host is one of these."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .cycle import Anomalies, Cycle
from .frames import ArrayFrames, chunk_length
from .sources import Source


class WindowDataset(Dataset):
    """Pairs of input and target frames, normalised: ``(T_in, C, H, W), (T_out, C, H, W)`` float32.

    What the source says of the frames (``data_name``, ``units``, ``lat``, ``lon``, ``channels``, ``field``,
    ``blue_first``, ``clock``, ``grid``,
    ``missing``, ``cycle``) are attributes, ``mean`` and ``std`` too, as OpenSTL's datasets have them.

    Args:
        source: the frames, and what is known of them.
        anchors: index of the frame that each window's offsets count from, ``(n,)``; or, with offsets of 0, indices of
            all frames of each window, ``(n, T)``.
        idx_in, idx_out: offsets of the input and target frames.
        scaling: mean and standard deviation that turn a prediction back into the data's unit, ``(1, C, 1, 1)`` or
            numbers.
        normalise: those that the data are normalised with, where OpenSTL's differ from ``scaling``.
        split: indices of all frames of this split (default: those in some window).
        augment: changes the frames of a window together, ``(T, C, H, W) -> (T, C, H, W)``.
    """

    def __init__(
        self,
        source: Source,
        anchors: np.ndarray,
        idx_in: Sequence[int] | np.ndarray,
        idx_out: Sequence[int] | np.ndarray,
        *,
        scaling: tuple = (0.0, 1.0),
        normalise: tuple | None = None,
        split: np.ndarray | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
    ):
        self._frames, self._times, self._split, self._augment = source.frames, source.times, split, augment
        self.clock = source.clock
        self._anchors = np.asarray(anchors, dtype=np.int64)
        self._offsets = np.concatenate([idx_in, idx_out]).astype(np.int64)
        self._steps_in = len(idx_in)
        self.mean, self.std = scaling
        self.normalised_with = scaling if normalise is None else normalise
        self.data_name, self.units, self.lat, self.lon = source.name, source.units, source.lat, source.lon
        self.channels, self.blue_first, self.field = source.channels, source.blue_first, source.field
        self.grid, self.missing, self.cycle = source.grid, source.missing, source.cycle
        self.title = source.title

    def __len__(self) -> int:
        return len(self._anchors)

    @property
    def draws(self) -> bool:
        """Whether a window differs from read to read."""
        return self._augment is not None or self._frames.draws

    @property
    def in_memory(self) -> bool:
        """Whether a window is read without a file and without decoding."""
        return self._frames.in_memory

    @property
    def window_bytes(self) -> int:
        """Memory of a window."""
        return len(self._offsets) * self._frames.frame_bytes

    @property
    def as_bytes(self) -> bool:
        """Whether its windows are best moved as they are kept (:meth:`stored`): bytes that need no more than decoding."""
        return self._frames.as_bytes and self._unchanged and self.missing is None and self._as_it_is

    def stored(self, index: int) -> tuple[Tensor, Tensor]:
        """Window ``index`` as its frames are kept; :meth:`decode` makes of a batch of its parts what they are in a batch of
        windows."""
        return self._parts(torch.from_numpy(self._frames.stored(self._indices(index))))

    def decode(self, stored: Tensor) -> Tensor:
        """``(B, T, ...)`` of :meth:`stored`, on any device -> ``(B, T, C, H, W)`` float32."""
        return self._frames.decode(stored.flatten(0, 1)).unflatten(0, stored.shape[:2])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        window = torch.from_numpy(self._read(self._indices(index)))
        if self._augment is not None:
            window = self._augment(window)
        return self._parts(window)

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Several windows, as a loader asks for a batch: read at once where they are in memory."""
        if not (self.in_memory and self._unchanged):
            return [self[index] for index in indices]
        places = np.stack([self._indices(index) for index in indices])  # (B, T)
        windows = torch.from_numpy(self._read(places.ravel())).unflatten(0, places.shape)
        return [self._parts(window) for window in windows]

    def input_times(self, index: int) -> np.ndarray | None:
        """Times of the input frames of window ``index``: datetime64 ``(T_in,)``."""
        return None if self._times is None else self._times[self._indices(index)[: self._steps_in]]

    def target_times(self, index: int) -> np.ndarray | None:
        """Times of the target frames of window ``index``: datetime64 ``(T_out,)``."""
        return None if self._times is None else self._times[self._indices(index)[self._steps_in :]]

    def alone(self, index: int) -> "WindowDataset":
        """Window ``index`` with a copy of its frames, for keeping it without the others."""
        one, indices = copy(self), self._indices(index)
        one._frames, one._split, one._augment = ArrayFrames(self._frames.read(indices)), None, None
        one._anchors, one._offsets = np.arange(len(indices))[None], np.zeros_like(self._offsets)
        one._times = None if self._times is None else self._times[indices]
        return one

    def _parts(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """Input and target frames of a window."""
        return window[: self._steps_in], window[self._steps_in :]

    def _indices(self, index: int) -> np.ndarray:
        """Of the frames of a window."""
        return self._anchors[index] + self._offsets

    def frames(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Each frame of the split once, normalised: ``(n, C, H, W)`` and datetime64 ``(n,)`` or ``None``."""
        if self._split is None:
            self._split = np.unique(self._anchors[:, None] + self._offsets)
        chunk = chunk_length(self._frames.frame_bytes)
        for begin in range(0, len(self._split), chunk):
            indices = self._split[begin : begin + chunk]
            yield self._read(indices), None if self._times is None else self._times[indices]

    def keep(self, mean: np.ndarray, std: np.ndarray, cycle: Cycle | None) -> None:
        """Normalises with these statistics, and takes this cycle from the frames where they are anomalies."""
        self.mean, self.std = self.normalised_with = mean, std
        if cycle is not None and isinstance(self._frames, Anomalies):
            self._frames, self.cycle = self._frames.less_other(cycle), cycle

    def in_units(self, values: np.ndarray, times: np.ndarray | None, mean: Any = None, std: Any = None) -> np.ndarray:
        """Normalised ``(..., C, H, W)`` at ``times`` ``(...)`` in the data's unit, NaN at missing points.

        Args:
            mean, std: what brings a prediction back (default: the dataset's).
        """
        mean, std = (own if given is None else given for own, given in ((self.mean, mean), (self.std, std)))
        return restored(np.asarray(values), times, mean, std, self.cycle, self.missing)

    @property
    def _unchanged(self) -> bool:
        """Whether windows are given as they are read: without augmentation, and by no subclass in another way."""
        return self._augment is None and type(self).__getitem__ is WindowDataset.__getitem__

    @property
    def _as_it_is(self) -> bool:
        """Whether normalising changes nothing."""
        mean, std = self.normalised_with
        return isinstance(mean, float) and (mean, std) == (0.0, 1.0)

    def _read(self, indices) -> np.ndarray:
        mean, std = self.normalised_with
        values = self._frames.read(indices)
        values = values if self._as_it_is else (values - mean) / std
        # The mean, and so no news, for the network; losses and scores leave these points out.
        return values if self.missing is None else np.where(self.missing, np.float32(0), values)


def restored(
    values: np.ndarray, times: np.ndarray | None, mean: Any, std: Any, cycle: Cycle | None, missing: np.ndarray | None
) -> np.ndarray:
    """Normalised ``(..., C, H, W)`` at ``times`` ``(...)`` in the data's unit: the inverse of what a window's frames went
    through, with NaN at the ``missing`` points.

    Raises:
        ValueError: there is a ``cycle`` to add, and no times to know its part by.
    """
    values = values * std + mean
    if cycle is not None:
        if times is None:
            raise ValueError(
                "the model forecasts anomalies: the times of the frames are needed to add the climatology."
            )
        values = values + cycle.at(times)
    return values if missing is None else np.where(missing, np.nan, values)


def offsets(steps: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Of so many input frames and target frames that follow each other, from the last input frame."""
    return np.arange(1 - steps[0], 1), np.arange(1, steps[1] + 1)


def unbroken(segment: np.ndarray, idx_in: np.ndarray, idx_out: np.ndarray) -> np.ndarray:
    """Anchors of all windows that lie within one segment.

    Args:
        segment: id of the stretch without a gap that each frame belongs to, ``(N,)``.
    """
    anchors = np.arange(-idx_in[0], len(segment) - idx_out[-1])
    return anchors[segment[anchors + idx_in[0]] == segment[anchors + idx_out[-1]]]


def sliding(video: np.ndarray, length: int, step: np.ndarray, number: np.ndarray | None = None) -> np.ndarray:
    """First frames of windows within one video each, laid from the end of the data backwards, as OpenSTL does.

    Args:
        video: id of each frame's video, ``(N,)``.
        length: frames in a window.
        step: frames between the ends of two windows, for each frame that a window ends at, ``(N,)``.
        number: number of each frame in its video; a window's must be consecutive.
    """
    starts, last = [], len(video) - 1
    while last >= length - 1:
        first = last - length + 1
        if video[first] == video[last] and (number is None or number[last] - number[first] == length - 1):
            starts.append(first)
            last -= step[last]
        else:
            last -= 1
    return np.array(starts, dtype=np.int64)


class CropAndFlip:
    """OpenSTL's augmentation of a video: enlarge, cut a random window of the old size, flip left and right at random.

    Args:
        scale: old size over enlarged size; 1 only flips.
    """

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def __call__(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[-2:]
        if self.scale != 1:
            frames = torch.nn.functional.interpolate(frames, scale_factor=1 / self.scale, mode="bilinear")
            top, left = (
                int(torch.randint(0, large - small + 1, ())) for large, small in zip(frames.shape[-2:], (height, width))
            )
            frames = frames[..., top : top + height, left : left + width]
        return frames.flip(-1) if torch.rand(()) < 0.5 else frames
