import torch.nn.functional as F
from torch import Tensor

from ..models import E3DLSTM_Model
from .recurrent import RecurrentMethod


class E3DLSTM(RecurrentMethod):
    """E3D-LSTM, see :class:`~openstl_svq.host.builtin.models.E3DLSTM_Model`: the absolute error is added to the squared."""

    model_class = E3DLSTM_Model

    def loss(self, forecasts: Tensor, truth: Tensor, penalty: Tensor | None) -> Tensor:
        return super().loss(forecasts, truth, penalty) + F.l1_loss(forecasts, truth)
