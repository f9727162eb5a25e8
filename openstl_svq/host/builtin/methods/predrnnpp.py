from ..models import PredRNNpp_Model
from .recurrent import RecurrentMethod


class PredRNNpp(RecurrentMethod):
    """PredRNN++, see :class:`~openstl_svq.host.builtin.models.PredRNNpp_Model`."""

    model_class = PredRNNpp_Model
