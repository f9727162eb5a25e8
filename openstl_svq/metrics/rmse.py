"""Root mean squared error."""

from torch import Tensor

from .base import register_metric
from .mse import MSE


@register_metric("rmse", "root mean squared error")
class RMSE(MSE):
    """The square root of the mse over the same samples, lead times and channels."""

    unit_power, headline, rank, skill = 1, False, 3, ""

    def score(self, mean: Tensor) -> Tensor:
        return super().score(mean).sqrt()
