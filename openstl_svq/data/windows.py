"""Windows over frames: input and target of one forecast. Every dataset of this host is one of these."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .frames import chunk_length


class WindowDataset(Dataset):
    """Pairs of input and target frames, normalised: ``(T_in, C, H, W), (T_out, C, H, W)`` float32.

    Args:
        frames: with ``read(indices) -> (n, C, H, W)`` and ``shape`` (see :mod:`.frames`).
        anchors: index of the frame that each window's offsets count from.
        idx_in, idx_out: offsets of the input and target frames.
        data_name: name of the dataset or variable; a list of names for several variables.
        mean, std: what turns a prediction back into the data's unit, ``(1, C, 1, 1)`` or numbers.
        normalise: (mean, std) that the data are normalised with, where OpenSTL's differ from ``mean`` and ``std``.
        times: datetime64 of each frame, or ``None``.
        split: indices of all frames of this split (default: those in some window).
        units, lat, lon: of the data, or ``None``.
        channels: name and unit (or ``None``) of each channel, if they are known.
        blue_first: the channels are blue, green, red.
        field: the frames are a field on a grid, not images: scores are means over it, not OpenSTL's sums.
        augment: changes the frames of a window together, ``(T, C, H, W) -> (T, C, H, W)``.
    """

    def __init__(
        self,
        frames,
        anchors,
        idx_in,
        idx_out,
        *,
        data_name,
        mean=0.0,
        std=1.0,
        normalise=None,
        times=None,
        split=None,
        units=None,
        lat=None,
        lon=None,
        channels: list[tuple[str, str | None]] | None = None,
        blue_first=False,
        field=False,
        augment: Callable[[Tensor], Tensor] | None = None,
    ):
        self._frames = frames
        self._anchors = np.asarray(anchors, dtype=np.int64)
        self._offsets = np.concatenate([idx_in, idx_out]).astype(np.int64)
        self._steps_in = len(idx_in)
        self._times = times
        self._split = split
        self.normalised_with = (mean, std) if normalise is None else normalise
        self._augment = augment
        self.data_name, self.mean, self.std = data_name, mean, std
        self.units, self.lat, self.lon = units, lat, lon
        self.channels, self.blue_first, self.field = channels, blue_first, field

    def __len__(self):
        return len(self._anchors)

    def __getitem__(self, index) -> tuple[Tensor, Tensor]:
        window = torch.from_numpy(self._read(self._anchors[index] + self._offsets))
        if self._augment is not None:
            window = self._augment(window)
        return window[: self._steps_in], window[self._steps_in :]

    def input_times(self, index) -> np.ndarray | None:
        """Times of the input frames of window ``index``: datetime64 ``(T_in,)``."""
        return None if self._times is None else self._times[self._anchors[index] + self._offsets[: self._steps_in]]

    def target_times(self, index) -> np.ndarray | None:
        """Times of the target frames of window ``index``: datetime64 ``(T_out,)``."""
        return None if self._times is None else self._times[self._anchors[index] + self._offsets[self._steps_in :]]

    def frames(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Each frame of the split once, normalised: ``(n, C, H, W)`` and datetime64 ``(n,)`` or ``None``."""
        if self._split is None:
            self._split = np.unique(self._anchors[:, None] + self._offsets)
        chunk = chunk_length(4 * int(np.prod(self._frames.shape[1:])))
        for begin in range(0, len(self._split), chunk):
            indices = self._split[begin : begin + chunk]
            yield self._read(indices), None if self._times is None else self._times[indices]

    def _read(self, indices) -> np.ndarray:
        mean, std = self.normalised_with
        values = self._frames.read(indices)
        return values if isinstance(mean, float) and (mean, std) == (0.0, 1.0) else (values - mean) / std


def unbroken(segment: np.ndarray, idx_in, idx_out) -> np.ndarray:
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


def hold_out_end(group: np.ndarray, start: np.ndarray, length: int, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Which windows to train on, and which to validate on: the last ``fraction``, that shares nothing with the rest.

    Args:
        group: what must not be on both sides (a video, a person), for each window, ``(N,)``; the last ones that appear
            go to validation.
        start: first frame of each window, ``(N,)``; within a single group, windows that reach into the validation part
            are left out.
        length: frames in a window.

    Raises:
        ValueError: too few windows to part.
    """
    count = len(group)
    cut = count - max(1, round(fraction * count))
    _, appears, member = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(appears[member], kind="stable")
    borders = np.flatnonzero(np.diff(member[order])) + 1
    if len(borders):
        cut = borders[np.abs(borders - cut).argmin()]
        training = order[:cut]
    else:
        training = np.flatnonzero(start + length <= start[cut])
    if not len(training):
        raise ValueError(
            f"{count} training windows are too few to hold out {fraction:g} of them for validation: give "
            "more data or a smaller val_fraction (protocol openstl validates on the test data)."
        )
    return training, order[cut:]


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
