"""Mean absolute error."""

from torch import Tensor

from .base import Block, register_metric
from .mse import FrameError


@register_metric("mae", "mean absolute error")
class MAE(FrameError):
    r"""As :class:`~openstl_svq.metrics.mse.MSE`, of \|e\|."""

    unit_power, headline, rank = 1, True, 2

    def pointwise(self, block: Block) -> Tensor:
        return block.error.abs()
