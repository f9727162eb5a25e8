"""Where frames come from: one small interface, so that windows over them need no copy per dataset."""

import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Frames:
    """Frames in order.

    Attributes:
        shape: ``(N, C, H, W)``.
        draws: whether the same frames differ from read to read, drawn from torch's generator.
        in_memory: whether they are read without a file and without decoding.
        as_bytes: whether :meth:`stored` gives bytes, which move from process to process in a quarter of the time.
    """

    shape: tuple[int, ...]
    draws = False
    in_memory = False
    as_bytes = False

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def frame_bytes(self) -> int:
        """Memory of a frame that was read."""
        return 4 * math.prod(self.shape[1:])

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The frames at ``indices`` ``(n,)``: float32 ``(n, C, H, W)``, in the data's own unit."""
        return self.decode(torch.from_numpy(self.stored(indices))).numpy()

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """The same frames ``(n, ...)`` as they are kept."""
        raise NotImplementedError

    def decode(self, stored: Tensor) -> Tensor:
        """What :meth:`read` gives, of what :meth:`stored` gave, on the device where that is now."""
        return from_images(stored)


def from_images(images: Tensor) -> Tensor:
    """Images ``(n, H, W, C)`` of bytes, or of numbers in [0, 1], to ``(n, C, H, W)`` float32 in [0, 1]."""
    planes = images.permute(0, 3, 1, 2)
    if images.dtype != torch.uint8:
        return planes.float()
    return planes.contiguous().float() / 255  # moved as bytes: a third of the time


Decode = Callable[[Tensor], Tensor]


class ArrayFrames(Frames):
    """Frames in memory.

    Args:
        array: ``(N, C, H, W)``, or what ``decode`` makes that of.
    """

    def __init__(self, array: np.ndarray, decode: Decode | None = None):
        self._array, self._decode = array, decode
        self.in_memory = decode is None
        self.as_bytes = decode is not None and array.dtype == np.uint8
        self.shape = (len(array), *self.read(np.arange(0)).shape[1:])

    def stored(self, indices: np.ndarray) -> np.ndarray:
        values = self._at(indices)
        return values if self.as_bytes else values.astype(np.float32, copy=False)

    def decode(self, stored: Tensor) -> Tensor:
        return stored if self._decode is None else self._decode(stored)

    def _at(self, indices: np.ndarray) -> np.ndarray:
        """The frames as they lie in the array."""
        return self._array[indices]


class FileFrames(ArrayFrames):
    """Frames in one ``.npy`` file that stays on disk.

    The file is mapped anew for each read: a map kept open would count every page ever touched as this process's
    memory, and would not survive being sent to a worker.

    Args:
        path: an array as :class:`ArrayFrames` takes it, once seen through ``view``.
    """

    def __init__(self, path: Path, decode: Decode | None = None, view: Callable[[np.ndarray], np.ndarray] = np.asarray):
        self.path, self._view = path, view
        mapped = np.load(path, mmap_mode="r")
        # Known from now on: to read a file's header takes longer than a window's frames.
        self._layout: dict = {name: getattr(mapped, name) for name in ("shape", "dtype", "strides", "offset")}
        super().__init__(view(mapped), decode)
        del self._array
        self.in_memory = False

    def _at(self, indices: np.ndarray) -> np.ndarray:
        with open(self.path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            stored: np.ndarray = np.ndarray(buffer=content, **self._layout)
        except TypeError:
            raise ValueError(
                f"{self.path} has become shorter since it was opened: fetch or write it again, and start again (--resume)."
            ) from None
        return self._view(stored)[indices]


_CHUNK_BYTES, _CHUNK_FRAMES = 64 * 2**20, 512


def chunk_length(frame_bytes: int) -> int:
    """How many frames are read at a time where all are read."""
    return max(1, min(_CHUNK_FRAMES, _CHUNK_BYTES // frame_bytes))


def in_chunks(frames: Frames) -> Iterator[tuple[int, np.ndarray]]:
    """All of ``frames`` in order, some at a time, each chunk with the index of its first frame."""
    chunk = chunk_length(frames.frame_bytes)
    for begin in range(0, len(frames), chunk):
        yield begin, frames.read(np.arange(begin, min(begin + chunk, len(frames))))


def channel_statistics(frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each channel over time and space: float32 ``(1, C, 1, 1)``.

    Summed in float64, chunk by chunk, each chunk about its own mean; NaN, a missing point, is left out.
    """
    count, mean, squares = 0, np.zeros(frames.shape[1]), np.zeros(frames.shape[1])
    for _, values in in_chunks(frames):
        values = values.astype(np.float64)
        chunk_mean, n, add = values.mean(axis=(0, 2, 3)), values.size // values.shape[1], np.sum
        if np.isnan(chunk_mean).any():
            n, add = (~np.isnan(values)).sum(axis=(0, 2, 3)), np.nansum
            chunk_mean = add(values, axis=(0, 2, 3)) / n
        chunk_squares = add((values - chunk_mean[:, None, None]) ** 2, axis=(0, 2, 3))
        shift = chunk_mean - mean
        squares = squares + chunk_squares + shift**2 * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n
    std = np.sqrt(squares / count)
    return per_channel(mean), per_channel(std)


def per_channel(values: np.ndarray | Sequence[float]) -> np.ndarray:
    """A value of each channel as float32 ``(1, C, 1, 1)``."""
    return np.asarray(values, dtype=np.float32).reshape(1, -1, 1, 1)
