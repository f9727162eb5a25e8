"""Training of the recurrent forecasters: which frames a step sees, and the loss over all frames but the first."""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from openstl_svq.losses import log_train_loss
from openstl_svq.naming import accepted

from ..modules import sampling
from .base_method import Base_method

# OpenSTL's values.
SCHEDULED = {"scheduled_sampling": 1, "sampling_changing_rate": 2e-5, "sampling_stop_iter": 50_000}
REVERSE = {
    "reverse_scheduled_sampling": 0,
    "r_sampling_step_1": 25_000,
    "r_sampling_step_2": 50_000,
    "r_exp_alpha": 5_000,
}
# In OpenSTL's configuration files of all these methods, and read by nothing there or here.
UNREAD = {"sampling_start_value", "filter_size", "stride", "layer_norm"}


class RecurrentMethod(Base_method):
    """What the recurrent methods share. A subclass names its ``model_class``, and in ``defaults`` its schedules.

    The loss is the squared error of all frames but the first, those of the input too; see :meth:`loss`.
    """

    points: Tensor | None = None  # indices into the flattened C, H, W that losses are over; None for all
    defaults = SCHEDULED | REVERSE
    config_keys = defaults.keys() | UNREAD

    @classmethod
    def check(cls, config: dict) -> None:
        """Raises what the network would, before data are loaded."""
        with torch.device("meta"):
            cls.model_class(**accepted(cls.model_class, config))

    def forward(self, batch_x: Tensor, batch_y: Tensor | None = None, **kwargs) -> Tensor:
        """``(B, pre_seq_length, C, H, W)`` -> ``(B, aft_seq_length, C, H, W)``."""
        return self.model(batch_x)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        shown = self.shown(len(batch_x), batch_x.shape[1], batch_y.shape[1])
        forecasts, penalty = self.model(batch_x, batch_y, shown)
        truth = torch.cat([batch_x, batch_y], dim=1)[:, 1:]
        if self.points is not None:  # those that are not missing alone
            forecasts, truth = (frames.flatten(2)[..., self.points] for frames in (forecasts, truth))  # (B, T, n)
        return log_train_loss(self, self.loss(forecasts, truth, penalty), len(batch_x))

    def loss(self, forecasts: Tensor, truth: Tensor, penalty: Tensor | None) -> Tensor:
        return F.mse_loss(forecasts, truth)

    def _setting(self, key: str):
        return self.hparams.get(key, self.defaults.get(key))

    def shown(self, batch: int, known: int, future: int) -> Tensor:
        """The frames that this step shows to each sample, ``(B, known + future - 1)`` of bool."""
        if self._setting("reverse_scheduled_sampling"):
            return sampling.reverse_scheduled(
                self.global_step,
                batch,
                known,
                future,
                step_1=self._setting("r_sampling_step_1"),
                step_2=self._setting("r_sampling_step_2"),
                exp_alpha=self._setting("r_exp_alpha"),
            )
        if self._setting("scheduled_sampling"):
            return sampling.scheduled(
                self.global_step,
                batch,
                known,
                future,
                changing_rate=self._setting("sampling_changing_rate"),
                stop_iter=self._setting("sampling_stop_iter"),
            )
        return sampling.only_input(batch, known, future)

    def on_fit_start(self):
        super().on_fit_start()
        steps = self.trainer.estimated_stepping_batches
        if self._setting("reverse_scheduled_sampling"):
            first, last = self._setting("r_sampling_step_1"), self._setting("r_sampling_step_2")
            advice = f"r_sampling_step_1={first * steps // last}, r_sampling_step_2={steps}"
        elif self._setting("scheduled_sampling"):
            last = self._setting("sampling_stop_iter")
            advice = f"sampling_stop_iter={steps}, sampling_changing_rate={1 / steps:.3g}"
        else:
            return
        if last > steps:
            warnings.warn(
                f"the sampling schedule ends at step {last:,} and this run has {steps:,}: to its end the model trains on "
                f"true frames that no forecast has. For a schedule as long as the run: {advice}.",
                stacklevel=2,
            )
