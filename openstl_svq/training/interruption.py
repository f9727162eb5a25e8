"""Runs that stop in the middle of an epoch and go on from the batch, as if nothing had happened."""

import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

from .processes import Interrupted

# Ctrl-C, what `kill` and schedulers send, what `#SBATCH --signal=USR1@90` sends before SLURM takes a node away, and a
# terminal that closes. Not all are on Windows.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)]
_KEY = "mid_epoch"


class MidEpoch(Callback):
    """Saves ``path`` after a signal and every ``every_minutes``, and goes on from such a state bit for bit.

    A checkpoint in the middle of an epoch holds, beside what Lightning keeps, the batches done, the state of every
    process's random generators, and the sums behind the epoch's mean losses. After a signal the batch at hand is
    finished, the state saved, and the process ends with 128 + the signal's number; a second signal ends it at once.
    In the last batch of an epoch and in validation a signal waits for the checkpoint or batch that follows.

    Args:
        path: of the checkpoint, the run's ``last.ckpt``.
        every_minutes: 0 for none between epochs.
        samples_per_step: what an optimizer step takes in all processes together.
    """

    def __init__(self, path: Path, every_minutes: float, samples_per_step: int):
        self.path, self.every_minutes, self.samples_per_step = path, every_minutes, samples_per_step
        self.received: int | None = None
        self._handlers: dict[int, Any] = {}
        self._saving = False
        self._loaded: dict | None = None
        self._saved_at = time.monotonic()

    # signals

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_at = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
            self._handlers = {number: signal.signal(number, self._note) for number in wanted}
        if self._loaded is not None:
            _set_random_states(self._loaded["random"], trainer.global_rank)

    def _note(self, number: int, frame) -> None:
        # Also in the loader's workers, which a terminal or scheduler may send it to as well: they are needed to the end.
        self.received = number
        self._restore_handlers()  # the next one ends the program as it would without this class

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._restore_handlers()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.received:
            self._end(trainer)

    def _end(self, trainer: Trainer):
        # Lightning kills all processes, the first before its last words too, when a further one ends with a status.
        raise Interrupted(128 + (self.received or signal.SIGTERM) if trainer.is_global_zero else 0)

    # saving

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._loaded is not None:
            _add_sums(trainer, self._loaded["sums"])
            self._loaded = None
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or done >= trainer.num_training_batches:
            return  # gradients of half a step are not saved; at its end an epoch saves itself
        received = self._agreed(trainer, self.received is not None)
        minutes = (time.monotonic() - self._saved_at) / 60
        if received or (self.every_minutes and self._agreed(trainer, minutes >= self.every_minutes)):
            self._saving = True
            try:
                trainer.save_checkpoint(self.path)
            finally:
                self._saving = False
            self._saved_at = time.monotonic()
        if received:
            self._end(trainer)

    @staticmethod
    def _agreed(trainer: Trainer, wanted: bool) -> bool:
        """Whether any process wants to: a signal may reach one alone, and saving takes all of them."""
        return wanted if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(wanted, all=False)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        if self._saving:
            batches = trainer.fit_loop.epoch_loop.batch_progress.current.processed
            checkpoint[_KEY] = {
                "samples": batches // trainer.accumulate_grad_batches * self.samples_per_step,
                "random": _gathered(trainer, _random_states()),
                "sums": _gathered(trainer, _sums(trainer)),
            }

    # going on

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        state = checkpoint.get(_KEY)
        if state is None:
            return
        samples, step = state["samples"], self.samples_per_step
        if samples % step:
            raise ValueError(
                f"the checkpoint is from the middle of an epoch, after {samples} samples, which are no whole number "
                f"of steps of {step}. Resume it with the total batch size that it was trained with "
                "(--total_batch_size)."
            )
        batches = samples // step * trainer.accumulate_grad_batches
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        change = batches - progress["current"]["processed"]  # not zero with another number of processes
        for counts in (progress["current"], progress["total"]):
            for name in counts:
                counts[name] += change
        trainer.datamodule.skip(checkpoint["epoch"], batches)
        self._loaded = state


def _gathered(trainer: Trainer, value) -> list:
    """``value`` of every process."""
    if trainer.world_size == 1:
        return [value]
    values: list = [None] * trainer.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def _random_states() -> dict:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002, augmentations draw from it
    states = {"python": random.getstate(), "numpy": [name, keys.tolist(), *rest], "torch": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {})


def _set_random_states(states: list[dict], rank: int) -> None:
    """Those of the process ``rank``; with more processes than there were, the further ones keep their seeds."""
    if rank >= len(states):
        return
    state = states[rank]
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def _sums(trainer: Trainer) -> dict[str, tuple]:
    """What the means that ``self.log(..., on_epoch=True)`` promises have added up so far, by name."""
    return {
        name: (metric.value.detach().cpu(), metric.cumulated_batch_size.detach().cpu())
        for name, metric in trainer.fit_loop.epoch_loop._results.items()
        if metric.meta.on_epoch and metric.meta.is_mean_reduction
    }


def _add_sums(trainer: Trainer, sums: list[dict[str, tuple]]) -> None:
    """Those of all processes, in the first one: means over processes are of sums."""
    if trainer.global_rank:
        return
    for name, metric in trainer.fit_loop.epoch_loop._results.items():
        for saved in sums:
            if name in saved:
                value, count = saved[name]
                metric.value += value.to(metric.value.device)
                metric.cumulated_batch_size += count.to(metric.cumulated_batch_size.device)
