"""PredNet as a method."""

import torch
from torch import Tensor

from ..host import Base_method
from ..losses import log_train_loss
from ..models.prednet import PredNet_Model
from ..naming import accepted, choose
from .pixels import check_pixel_range
from .registry import Method, builds, register_method

# What a layer's errors weigh in the loss: those of the first, and those of the others (Section 3 of the paper).
WEIGHT_MODES = {"L_0": (1.0, 0.0), "L_all": (1.0, 0.1)}


class PredNet(Base_method):
    """PredNet (Lotter et al. 2017): learns from the errors of its one-step forecasts, all frames known to it in turn.

    The training loss is Eq. (5) of the paper: the mean errors of the layers, weighted by ``weight_mode``, over all steps
    but the first, for which nothing has been seen.
    """

    own_loss = True

    def _build_model(self, **args) -> PredNet_Model:
        return PredNet_Model(**accepted(PredNet_Model, args))

    def on_fit_start(self):
        super().on_fit_start()
        check_pixel_range(self)

    def forward(self, batch_x: Tensor, batch_y: Tensor | None = None, **kwargs) -> Tensor:
        """``(B, pre_seq_length, C, H, W)`` -> ``(B, aft_seq_length, C, H, W)``."""
        return self.model(batch_x)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        batch_x, batch_y = batch
        errors = self.model.errors(torch.cat([batch_x, batch_y], dim=1))[:, 1:].mean((0, 1))  # (layers)
        first, others = WEIGHT_MODES[self.hparams.weight_mode]
        loss = first * errors[0] + others * errors[1:].sum()
        return log_train_loss(self, loss, len(batch_x))


def _check(config: dict) -> None:
    choose("weight_mode", config["weight_mode"], WEIGHT_MODES)
    builds(PredNet_Model)(config)


register_method(
    Method(
        "prednet", PredNet, PredNet_Model, config_keys={"weight_mode"}, defaults={"weight_mode": "L_0"}, check=_check
    )
)
