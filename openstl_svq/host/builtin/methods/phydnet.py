import random
from types import MappingProxyType

import torch
from torch import Tensor

from ..models import PhyDNet_Model
from ..modules import sampling
from .recurrent import RecurrentMethod


class PhyDNet(RecurrentMethod):
    """PhyDNet, see :class:`~openstl_svq.host.builtin.models.PhyDNet_Model`.

    The squared errors of the frames are summed over time, and the model's moment loss is added.
    """

    model_class = PhyDNet_Model
    defaults = config_keys = MappingProxyType({})  # no schedule of its steps

    def shown(self, batch: int, known: int, future: int) -> Tensor:
        """Teacher forcing: a whole batch is shown its targets with a probability that falls by 0.003 an epoch."""
        if random.random() < 1 - 0.003 * self.current_epoch:
            return torch.ones(batch, known + future - 1, dtype=torch.bool)
        return sampling.only_input(batch, known, future)

    def loss(self, forecasts: Tensor, truth: Tensor, penalty: Tensor) -> Tensor:
        return truth.shape[1] * super().loss(forecasts, truth, penalty) + penalty
