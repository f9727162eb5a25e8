"""Every input, prediction and truth of a test as files, in the data's own unit: ``saved/inputs.npy``, ``preds.npy``,
``trues.npy``, as OpenSTL calls them."""

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from ..data.windows import restored
from ..files import flush_to_disk
from .data_module import ForecastData

FOLDER, NAMES = "saved", ("inputs", "preds", "trues")
_COPIED = 2**24  # bytes at a time


class RowFile:
    """A ``.npy`` file whose entries along the first axis are written in any order, by any number of processes.

    Args:
        shape: of the whole; float32.
        create: makes the file, and takes the room for it; the other processes open it afterwards.

    Raises:
        OSError: the disk has no room.
    """

    def __init__(self, path: Path, shape: Sequence[int], *, create: bool):
        self.path, self.shape, self._row = path, tuple(shape), 4 * math.prod(shape[1:])
        if create:
            with open(path, "wb") as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": self.shape}
                np.lib.format.write_array_header_1_0(file, header)
                size = file.tell() + self._row * shape[0]
                file.truncate(size)
                if hasattr(os, "posix_fallocate"):  # now, not in the middle of the test
                    os.posix_fallocate(file.fileno(), 0, size)
        self._begin = path.stat().st_size - self._row * shape[0]

    def write(self, places: Sequence[int], values: np.ndarray) -> None:
        """``values`` ``(n, ...)`` at ``places``, ascending."""
        with open(self.path, "r+b") as file:
            for place, value in zip(places, np.ascontiguousarray(values, dtype="<f4")):
                file.seek(self._begin + self._row * int(place))
                file.write(value.tobytes())

    def keep(self, places: np.ndarray) -> None:
        """The entries at ``places``, ascending, alone."""
        old, smaller = np.load(self.path, mmap_mode="r"), self.path.with_suffix(".kept")
        kept = RowFile(smaller, (len(places), *self.shape[1:]), create=True)
        at_once = max(1, _COPIED // self._row)
        for begin in range(0, len(places), at_once):
            kept.write(range(begin, len(places)), old[places[begin : begin + at_once]])
        os.replace(smaller, self.path)


class SavePredictions(Callback):
    """Writes what a test forecasts to ``folder/saved``, batch after batch, complete or not at all.

    ``inputs.npy`` ``(N, T_in, C, H, W)``, ``preds.npy`` and ``trues.npy`` ``(N, T_out, C, H, W)`` are float32, in the order of
    the test set and in the unit of the data, NaN where points are always missing. Processes write into the same files, so
    ``folder`` must be one that all of them see.

    Attributes:
        indices: the samples of the test set that were tested, ``(N,)``, once the test is over.
    """

    def __init__(self, folder: Path, data: ForecastData):
        self.place, self.data = folder / FOLDER, data
        self._partial = folder / f".{FOLDER}.partial"
        self._files: Mapping[str, RowFile] = {}
        self._tested: list[np.ndarray] = []
        self.indices = np.zeros(0, dtype=np.int64)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        x, y = (np.shape(part) for part in self.data.test_loader.dataset[0])
        count = len(self.data.test_loader.dataset)
        shapes = {"inputs": (count, *x), "preds": (count, *y), "trues": (count, *y)}
        if trainer.is_global_zero:
            shutil.rmtree(self._partial, ignore_errors=True)  # of a test that was killed
            self._partial.mkdir(parents=True)
            self._open(shapes, create=True)
        trainer.strategy.barrier()
        self._open(shapes, create=False)
        self._tested = []

    def _open(self, shapes: Mapping[str, Sequence[int]], *, create: bool) -> None:
        self._files = {
            name: RowFile(self._partial / f"{name}.npy", shape, create=create) for name, shape in shapes.items()
        }

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        x, y, indices = batch
        places = indices.cpu().numpy()
        before, after = self.times(places)
        for name, values, times in zip(NAMES, (x, outputs, y), (before, after, after)):
            self._files[name].write(places, self._in_units(values, times))
        self._tested.append(places)

    def times(self, indices: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Of the input and the target frames of some test samples, where the data have times."""
        dataset = self.data.test_loader.dataset
        if not hasattr(dataset, "target_times") or dataset.target_times(0) is None:
            return None, None
        before, after = (
            np.stack([times(int(i)) for i in indices]) for times in (dataset.input_times, dataset.target_times)
        )
        return before, after

    def _in_units(self, values: Tensor, times: np.ndarray | None) -> np.ndarray:
        dataset = self.data.test_loader.dataset
        cycle, missing = (getattr(dataset, key, None) for key in ("cycle", "missing"))
        mean, std = self.data.test_mean.numpy(), self.data.test_std.numpy()
        return restored(values.double().cpu().numpy(), times, mean, std, cycle, missing)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        tested = np.zeros(len(self.data.test_loader.dataset), dtype=bool)
        tested[np.concatenate(self._tested or [[]]).astype(int)] = True
        everywhere = trainer.strategy.reduce(
            torch.as_tensor(tested, dtype=torch.int32, device=pl_module.device), reduce_op="sum"
        )
        self.indices = np.flatnonzero(everywhere.cpu().numpy())
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            for file in self._files.values():
                if len(self.indices) < len(tested):  # incomplete batches were dropped, or few were asked for
                    file.keep(self.indices)
                flush_to_disk(file.path)
            shutil.rmtree(self.place, ignore_errors=True)  # of an earlier test of this run
            os.replace(self._partial, self.place)
