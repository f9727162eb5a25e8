"""Where frames come from: one small interface, so that windows over them need no copy per dataset."""

from collections.abc import Iterator

import numpy as np


class ArrayFrames:
    """Frames in memory.

    Args:
        array: ``(N, C, H, W)``.
    """

    def __init__(self, array: np.ndarray):
        self.array = array
        self.shape = array.shape

    def __len__(self):
        return self.shape[0]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The frames at ``indices``: float32 ``(n, C, H, W)``, in the data's own unit."""
        return self.array[indices].astype(np.float32, copy=False)


class FileFrames:
    """Frames in one ``.npy`` file that stays on disk.

    The file is mapped anew for each read: a map kept open would count every page ever touched as this process's memory, and
    would not survive being sent to a worker.

    Args:
        path: an array ``(N, C, H, W)``.
    """

    def __init__(self, path):
        self.path = path
        self.shape = np.load(path, mmap_mode="r").shape

    def __len__(self):
        return self.shape[0]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """As :meth:`ArrayFrames.read`."""
        return np.load(self.path, mmap_mode="r")[indices].astype(np.float32, copy=False)


def in_chunks(frames, chunk: int = 512) -> Iterator[tuple[int, np.ndarray]]:
    """All of ``frames`` in order, at most ``chunk`` at a time, each chunk with the index of its first frame."""
    for begin in range(0, len(frames), chunk):
        yield begin, frames.read(np.arange(begin, min(begin + chunk, len(frames))))


def channel_statistics(frames) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each channel over time and space: float32 ``(1, C, 1, 1)``.

    Summed in float64, chunk by chunk, each chunk about its own mean.
    """
    count, mean, squares = 0, 0.0, 0.0
    for _, values in in_chunks(frames):
        values = values.astype(np.float64)
        n = values.size // values.shape[1]
        chunk_mean = values.mean(axis=(0, 2, 3))
        chunk_squares = ((values - chunk_mean[:, None, None]) ** 2).sum(axis=(0, 2, 3))
        shift = chunk_mean - mean
        squares = squares + chunk_squares + shift**2 * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n
    std = np.sqrt(squares / count)
    return tuple(v.astype(np.float32).reshape(1, -1, 1, 1) for v in (mean, std))
