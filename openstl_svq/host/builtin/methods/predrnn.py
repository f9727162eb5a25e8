from ..models import PredRNN_Model
from .recurrent import RecurrentMethod


class PredRNN(RecurrentMethod):
    """PredRNN, see :class:`~openstl_svq.host.builtin.models.PredRNN_Model`."""

    model_class = PredRNN_Model
