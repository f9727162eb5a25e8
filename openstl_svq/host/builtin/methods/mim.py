from ..models import MIM_Model
from .recurrent import RecurrentMethod


class MIM(RecurrentMethod):
    """Memory in Memory, see :class:`~openstl_svq.host.builtin.models.MIM_Model`. Every batch starts from an empty state."""

    model_class = MIM_Model
