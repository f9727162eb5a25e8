from ..models import MAU_Model
from .recurrent import SCHEDULED, UNREAD, RecurrentMethod


class MAU(RecurrentMethod):
    """Motion-aware unit, see :class:`~openstl_svq.host.builtin.models.MAU_Model`."""

    model_class = MAU_Model
    defaults = SCHEDULED
    config_keys = SCHEDULED.keys() | UNREAD
