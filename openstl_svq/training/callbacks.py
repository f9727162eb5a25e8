"""Lightning callbacks of a run."""

import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, TQDMProgressBar


class Patience(EarlyStopping):
    """Lightning's, but a resumed run waits as long as it is told now, not as it was told before."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "patience": self.patience})


class SeedEpoch(Callback):
    """Seeds every epoch by (seed, epoch, process), so that a resumed run draws what an uninterrupted one would."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl.seed_everything(
            (self.seed * 1_000_003 + trainer.current_epoch * 1_009 + trainer.global_rank) % 2**32,
            workers=False,
            verbose=False,
        )


def in_notebook() -> bool:
    """Whether output goes to a notebook's cell: a kernel runs here, which a program that has imported one does not."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config


class EpochBar(TQDMProgressBar):
    """Lightning's bar, with epochs counted from 1 and a line of losses that stays for each; the line alone without it."""

    def on_train_epoch_start(self, trainer: pl.Trainer, *args) -> None:
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Ends the bar's line: what is said of the error begins one of its own."""
        for bar in (self._val_progress_bar, self._test_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        return {"loss": metrics["train_loss_step"]} if "train_loss_step" in metrics else {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        losses = {k: float(v) for k, v in trainer.callback_metrics.items() if k in ("train_loss", "val_loss")}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        if trainer.is_global_zero:
            say = print if self.is_disabled else self.print  # a bar that is off prints nothing
            say(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
                + ", ".join(f"{k} {v:.6f}" for k, v in losses.items())
                + f", lr {rate:.2e}"
            )
