"""SimVP with a quantizer."""

from ..host import SimVP
from ..models import SimVP_SVQ_Model
from .quantized import Quantized
from .registry import Method, register_method
from .simvp import check_downsampling, downsampling


class SimVP_SVQ(Quantized, SimVP):
    """SimVP with a quantizer (the SVQ paper's SimVP+SVQ)."""


# Training with MAE is what makes the weights sparse (Section 3.2); the host's methods keep OpenSTL's loss.
register_method(
    Method(
        "simvp_svq",
        SimVP_SVQ,
        SimVP_SVQ_Model,
        quantized=True,
        defaults={"loss": "mae"},
        multiple=downsampling,
        check=check_downsampling,
    )
)
