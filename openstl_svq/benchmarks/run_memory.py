"""Memory of a whole run, as the system counts it: over its epochs, and over test sets of two sizes."""

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

from .. import config as configuration
from ..training.experiment import Experiment
from . import Progress, register_benchmark
from .tables import Table, mebibytes

_STATUS = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of this process that lie in memory.

    Raises:
        ValueError: the system does not say so in ``/proc``.
    """
    if not _STATUS.is_file():
        raise ValueError("this benchmark reads /proc/self/statm, which this system does not have: run it on Linux.")
    return int(_STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Resident(Callback):
    """Keeps :func:`resident` after every epoch, and the most after a batch of the test."""

    def __init__(self):
        self.epochs: list[int] = []
        self.test = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs.append(resident())

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.test = max(self.test, resident())


@register_benchmark("run_memory", "memory of a run over its epochs, and of a test over a larger test set")
def run_memory_table(
    epochs: int = 12, windows: int = 200, times: int = 5, size: int = 64, *, progress: Progress = None
) -> Table:
    """A small SimVP+SVQ on series of ``size`` x ``size`` points, in this process: resident memory after epochs, and in tests.

    Args:
        epochs: of the training.
        windows: of the first test set.
        times: as many windows has the second one.
    """
    if epochs < 3:
        raise ValueError(f"epochs is {epochs}: take 3 or more, since memory settles in the first two.")
    before = resident()
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for count in (windows, times * windows):
            np.save(Path(folder, f"{count}.npy"), np.random.default_rng(0).random((2 * count, size, size), np.float32))

        def experiment(count: int, seen: Resident, **more) -> Experiment:
            words = (
                f"-d custom -m simvp_svq --data_root {folder}/{count}.npy --res_dir {folder}/runs --ex_name run --epoch "
                f"{epochs} --batch_size 8 --val_batch_size 8 --num_workers 0 --accelerator cpu --pre_seq_length 3 "
                f"--aft_seq_length 3 --logger csv --limit_train_batches 5 --cfg_options in_shape=[3,1,{size},{size}] "
                "hid_S=4 hid_T=8 N_S=2 N_T=2 quantizer_kwargs.codebook_size=100 split=[0.4,0.1,0.5]"
            )
            args = configuration.resolve(words.split())
            vars(args).update(more)
            return Experiment(args, callbacks=[seen])

        seen = Resident()
        if progress:
            progress(f"{epochs} epochs")
        experiment(windows, seen).train()
        rows += [
            {"when": f"training, after epoch {k}", "memory": seen.epochs[k - 1] - before}
            for k in (2, epochs // 2, epochs)
        ]
        for count in (windows, times * windows):
            if progress:
                progress(f"a test of {count} windows")
            seen = Resident()
            best = f"{folder}/runs/run/checkpoints/best.ckpt"
            experiment(count, seen, test=True, ckpt_path=best, ex_name=f"test{count}").test()
            rows.append({"when": f"test of {count:,} windows, at most", "memory": seen.test - before})
    return Table(
        {"when": "Memory", "memory": ("more than before the run", mebibytes)},
        rows,
        f"Resident memory of a run on frames of {size} x {size}",
        [
            f"The larger test set's inputs, truths and forecasts are {times * windows * 9 * size**2 * 4 / 2**20:,.0f} MiB."
        ],
    )
