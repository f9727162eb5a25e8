"""What this package adds to every method of either host: losses, noise, schedules, honest and streaming tests."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from timm.scheduler.scheduler import Scheduler as TimmScheduler
from torch import Tensor, nn

from ..acceleration import fuse_optimizer
from ..host import get_optim_scheduler
from ..losses import build_loss
from ..metrics import ForecastMetrics, persistence
from .plane import ZEROS, leave_out, make_periodic, pad_frames, padded
from .rates import scale_rate

# On a GPU, looking at the loss stops the queue of kernels; on a CPU it is free.
_FINITE_CHECK_INTERVAL = 50


class ForecastMethod:
    """Goes in front of a host's method (see :func:`extended`); reads ``loss``, ``noise_ratio``, ``protocol``, ``pad``,
    ``pad_mode``, and of the data ``missing``: points that loss and scores leave out, bool ``(C, H, W)``.

    The test scores the forecast, persistence and climatology in one pass over the test set, in constant memory.
    """

    own_loss = False  # whether the method computes its training loss from more than the network's forecasts

    def __init__(self, **args):
        super().__init__(**args)
        self._log_hyperparams = False  # config.py in the run folder has them; TensorBoard cannot take the statistics
        self.criterion = build_loss(args.get("loss") or "mse")
        self.criterion.register_forward_hook(self._note_that_the_loss_was_used)
        if args.get("pad_mode", ZEROS) != ZEROS:
            if not all(hasattr(self.model, part) for part in ("enc", "hid", "dec")):
                raise ValueError(f"pad_mode is for the methods of the SimVP family, and {type(self).__name__} is none.")
            make_periodic(self.model)
        if (missing := args.get("missing")) is not None:
            if self.own_loss:
                raise ValueError(self._cannot_mask())
            leave_out(self.model, missing)
            # The mean over points in the place of one in which those left out count as perfect.
            share = 1 - torch.as_tensor(missing).double().mean().item()
            self.criterion.register_forward_hook(lambda loss, inputs, output: output / share)
            self.points = torch.as_tensor(~torch.as_tensor(missing).bool()).flatten().nonzero()[:, 0]
            if hasattr(self, "diff_div_reg"):  # TAU's, over all points of a frame
                self.diff_div_reg = partial(_at_points, self.diff_div_reg, self.points)
        self.noise_ratio = check_noise_ratio(args.get("noise_ratio") or 0.0)
        self.test_scores: dict[str, ForecastMetrics] = {}

    def _cannot_mask(self) -> str:
        return (
            f"{type(self).__name__} learns from more than its forecasts, so mask cannot leave points out of its loss: fill "
            "the missing values in, and leave mask out."
        )

    def _build_model(self, **args):
        """The host's network; with ``pad``, a number, one for frames whose height and width are multiples of it."""
        size, multiple = tuple(args["in_shape"][2:]), int(args.get("pad") or 1)
        larger = padded(size, multiple)
        if size == larger:
            return super()._build_model(**args)
        if self.own_loss:
            raise ValueError(
                f"{type(self).__name__} cannot have its frames padded: cut them instead, and leave pad out."
            )
        if args.get("pad_mode", ZEROS) != ZEROS and size[1] != larger[1]:
            raise ValueError(
                f"pad_mode {args['pad_mode']} needs a width that is a multiple of {multiple}, got {size[1]}: padded columns "
                "would lie in its seam. Cut or interpolate the longitudes."
            )
        model = super()._build_model(**{**args, "in_shape": [*args["in_shape"][:2], *larger]})
        pad_frames(model, size, larger)
        return model

    # training

    fused_optimizer = False  # whether the optimizer is to be torch's fused form, where it has one

    def configure_optimizers(self) -> dict[str, Any]:
        """The host's optimizer and schedule, over the steps that this process really makes."""
        steps = self.trainer.estimated_stepping_batches // self.trainer.max_epochs
        # OpenSTL divides by the GPUs; `steps` is divided already.
        config = SimpleNamespace(**{**self.hparams, "gpus": [0]})
        optimizer, scheduler, by_epoch = get_optim_scheduler(config, self.hparams.epoch, self.model, steps)
        if self.fused_optimizer:
            fuse_optimizer(optimizer)
        for parameters, factor in getattr(self, "rate_factors", list)():
            scale_rate(optimizer, scheduler, parameters, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "epoch" if by_epoch else "step"},
        }

    def on_train_epoch_start(self) -> None:
        """timm's schedules give the rate of an epoch by its number, so an epoch after a resume has the right one too.

        (Lightning steps schedules after it has written the epoch's checkpoint. OpenSTL's schedule lags by one epoch.)
        """
        super().on_train_epoch_start()
        for scheduler in self._schedulers():
            if isinstance(scheduler, TimmScheduler):
                scheduler.step(epoch=self.current_epoch)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not isinstance(scheduler, TimmScheduler):
            super().lr_scheduler_step(scheduler, metric)

    def _schedulers(self) -> list:
        schedulers = self.lr_schedulers() or []
        return schedulers if isinstance(schedulers, list) else [schedulers]

    def _note_that_the_loss_was_used(self, *_):
        self._loss_was_used = True

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        if self.noise_ratio:
            batch_x = add_noise(batch_x, self.noise_ratio)
        self._loss_was_used = False
        loss = super().training_step((batch_x, batch_y), batch_idx)
        if not self._loss_was_used and self.hparams.get("missing") is not None and not hasattr(type(self), "points"):
            raise ValueError(self._cannot_mask())  # of the host's methods those that compute the loss in the network
        if not self._loss_was_used and not isinstance(self.criterion, nn.MSELoss):
            raise ValueError(
                f"{self.hparams.method} computes its training loss itself, so --loss {self.hparams.loss} "
                "has no effect on it: leave --loss out."
            )
        if loss.device.type == "cpu" or batch_idx % _FINITE_CHECK_INTERVAL == 0:
            self._check_finite("training loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        loss = self.criterion(self(batch_x, batch_y), batch_y)
        self._validated += torch.stack([loss.detach() * len(batch_x), loss.new_tensor(len(batch_x))])
        return loss

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        exact = torch.float32 if self.device.type == "mps" else torch.float64  # mps has no float64
        self._validated = torch.zeros(2, dtype=exact, device=self.device)  # sum of losses, samples

    def on_validation_epoch_end(self) -> None:
        """The mean over the samples of all processes, whatever the size of each one's batches and share.

        (Lightning's mean over processes rounds their mean number of samples down.)
        """
        super().on_validation_epoch_end()
        total, samples = self.trainer.strategy.reduce(self._validated, reduce_op="sum")
        loss = (total / samples).float()
        self._check_finite("validation loss", loss)
        self.log("val_loss", loss, prog_bar=True, sync_dist=True)

    def _check_finite(self, what: str, value: Tensor | None):
        """Raised before a checkpoint could be written, so the saved ones stay good."""
        if value is not None and not torch.isfinite(value).all():
            earlier = Path(self.hparams.save_dir, "checkpoints", "last.ckpt").is_file()
            raise FloatingPointError(
                f"the {what} is {value.item()} in epoch {self.current_epoch}, step {self.global_step}. Lower --lr (now "
                f"{self.hparams.lr}), bound the gradient with --clip_grad 1, or use --precision 32 if it was lower."
                + (" Checkpoints of earlier epochs are intact." if earlier else "")
            )

    # test

    def on_test_start(self) -> None:
        data = self.trainer.datamodule
        settings = data.metric_settings()
        names = ["model", "persistence"] + (["climatology"] if data.climatology is not None else [])
        self.test_scores = {name: ForecastMetrics(**settings, lead_times=True).to(self.device) for name in names}

    def test_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Adds a batch to the scores. Returns its forecasts, for callbacks."""
        batch_x, batch_y, indices = batch
        forecasts = {"model": self(batch_x, batch_y).float(), "persistence": persistence(batch_x, batch_y.shape[1])}
        climatology = None
        if "climatology" in self.test_scores:
            climatology = forecasts["climatology"] = self.trainer.datamodule.climatology_for(indices, batch_y)
        for name, forecast in forecasts.items():
            self.test_scores[name].update(forecast, batch_y, climatology)
        return forecasts["model"]

    def on_test_epoch_end(self) -> None:
        """Scores by name, on every process (``compute`` synchronises); the experiment writes them."""
        self.test_results = {name: scores.compute() for name, scores in self.test_scores.items()}
        self.test_scores = {}


def _at_points(penalty: Callable[..., Tensor], points: Tensor, *frames: Tensor, **settings) -> Tensor:
    """``penalty`` of frames ``(B, T, C, H, W)`` at some of their points alone."""
    return penalty(*(f.flatten(2)[..., points.to(f.device), None, None] for f in frames), **settings)  # (B, T, n, 1, 1)


def extended(method_class: type) -> type:
    """``method_class`` of either host with :class:`ForecastMethod` in front; itself if it has it already."""
    if issubclass(method_class, ForecastMethod):
        return method_class
    return type(
        method_class.__name__,
        (ForecastMethod, method_class),
        {name: getattr(method_class, name) for name in ("__doc__", "__module__", "__qualname__")},
    )


def check_noise_ratio(ratio: float) -> float:
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"noise_ratio is the share of the input that is disturbed, from 0 to 1; got {ratio}.")
    return float(ratio)


def add_noise(x: Tensor, ratio: float) -> Tensor:
    """Multiplies a share ``ratio`` of the elements of ``x``, drawn at random, by U(-2, 2) (Section 5.4 of the paper)."""
    count = round(ratio * x.numel())
    factors = torch.ones(x.numel(), dtype=x.dtype, device=x.device)
    disturbed = torch.randperm(x.numel(), device=x.device)[:count]
    factors[disturbed] = torch.empty(count, dtype=x.dtype, device=x.device).uniform_(-2, 2)
    return x * factors.view_as(x)
