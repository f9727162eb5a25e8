from ..models import ConvLSTM_Model
from .recurrent import RecurrentMethod


class ConvLSTM(RecurrentMethod):
    """ConvLSTM, see :class:`~openstl_svq.host.builtin.models.ConvLSTM_Model`."""

    model_class = ConvLSTM_Model
