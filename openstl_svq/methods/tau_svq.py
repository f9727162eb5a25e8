"""TAU with a quantizer."""

from torch import Tensor

from ..host import TAU
from ..models import SimVP_SVQ_Model
from .quantized import Quantized
from .registry import Method, register_method
from .simvp import check_downsampling, downsampling


class TAU_SVQ(Quantized, TAU):
    """TAU with a quantizer: SimVP_SVQ with TAU's loss on the frame differences."""

    def _prediction_loss(self, prediction: Tensor, batch_y: Tensor) -> Tensor:
        return self.criterion(prediction, batch_y) + self.hparams.alpha * self.diff_div_reg(prediction, batch_y)


register_method(
    Method(
        "tau_svq",
        TAU_SVQ,
        SimVP_SVQ_Model,
        quantized=True,
        defaults={"loss": "mae", "model_type": "tau", "alpha": 0.1},
        config_keys={"alpha"},
        multiple=downsampling,
        check=check_downsampling,
    )
)
