"""Hickle files (.hkl), which are HDF5 beneath."""

import math
import re
from pathlib import Path

import numpy as np

from ...files import reading
from ...memory import refuse_too_large
from ..frames import Frames


class HickleImages(Frames):
    """Images in a hickle file of any version, which is HDF5 beneath; opened anew for each read."""

    def __init__(self, path: Path):
        self.path = path
        with _hdf5(path) as file:
            found = _datasets(file)
            if len(found) != 1 or len(found[0].shape) != 4:
                raise ValueError(f"{path} does not hold one array of images (N, H, W, 3).")
            self._name = found[0].name
            count, height, width, channels = found[0].shape
            self.shape, self.as_bytes = (count, channels, height, width), found[0].dtype == np.uint8

    def stored(self, indices: np.ndarray) -> np.ndarray:
        with _hdf5(self.path) as file:
            indices = np.asarray(indices)
            first = int(indices.min())
            rows = _rows(file[self._name], first, int(indices.max()) + 1, self.path)[indices - first]
            return rows if self.as_bytes else rows.astype(np.float32, copy=False)


def _rows(array, begin: int, end: int, path: Path) -> np.ndarray:
    size = array.dtype.itemsize * max(math.prod((end - begin, *array.shape[1:])), math.prod(array.chunks or ()))
    refuse_too_large(f"{path}: {end - begin} images of {array.shape[1:]}", size)
    with reading(path):
        return array[begin:end]


def hickle_strings(path: Path) -> list[str]:
    """The list of strings in a hickle file of any version."""
    with _hdf5(path) as file:
        found = _datasets(file)
        # One array of strings, a scalar for each, or, since hickle 4, an array (1, n) of characters for each.
        values = [
            v
            for one in found
            for v in ([one[()].tobytes()] if one.dtype == "S1" and one.ndim == 2 else np.atleast_1d(one[()]))
        ]
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _datasets(file) -> list:
    """The data arrays in a hickle file of any version, in the order of the numbers in their names."""
    import h5py

    found = []

    def visit(name, item):
        if name.startswith("data") and isinstance(item, h5py.Dataset):
            found.append(item)

    file.visititems(visit)
    return sorted(found, key=lambda item: [int(n) for n in re.findall(r"\d+", item.name)])


def _hdf5(path):
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} is read with h5py, which is not installed: pip install h5py.") from error
    with reading(path):
        return h5py.File(path, "r")
