from torch import Tensor

from ..models import PredRNNv2_Model
from .recurrent import RecurrentMethod


class PredRNNv2(RecurrentMethod):
    """PredRNN with decoupled memories: ``decouple_beta`` times the model's penalty is added to the loss."""

    model_class = PredRNNv2_Model
    defaults = RecurrentMethod.defaults | {"reverse_scheduled_sampling": 1, "decouple_beta": 0.1}
    config_keys = RecurrentMethod.config_keys | {"decouple_beta"}

    def loss(self, forecasts: Tensor, truth: Tensor, penalty: Tensor) -> Tensor:
        return super().loss(forecasts, truth, penalty) + self._setting("decouple_beta") * penalty
