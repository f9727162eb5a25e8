"""Root mean squared error weighted by area."""

from torch import Tensor

from .base import Block, FieldMetric, register_metric


@register_metric("wrmse", "root mean squared error, weighted by latitude")
class WRMSE(FieldMetric):
    r"""With :math:`w_i = \cos\phi_i / \langle\cos\phi\rangle` (Rasp et al. 2024, "WeatherBench 2",
    doi:10.1029/2023MS004019),

    .. math:: \sqrt{\langle w_i e^2 \rangle_{ntcij}}
    """

    unit_power, rank, needs, maskable = 1, 4, frozenset({"lat"}), True

    def statistic(self, block: Block) -> Tensor:
        return block.mean_over_points(block.squared_error, block.weights)

    def score(self, mean: Tensor) -> Tensor:
        return mean.mean((-2, -1)).sqrt()
