"""TAU, of either host."""

from ..host import TAU, SimVP_Model
from .registry import Method, register_method
from .simvp import check_downsampling, downsampling

register_method(
    Method(
        "tau",
        TAU,
        SimVP_Model,
        defaults={"model_type": "tau", "alpha": 0.1},
        config_keys={"alpha"},
        multiple=downsampling,
        check=check_downsampling,
    )
)
