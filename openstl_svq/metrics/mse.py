"""Mean squared error."""

from torch import Tensor

from .base import Block, FieldMetric, register_metric


class FrameError(FieldMetric):
    """Mean over samples and lead times of the sum over a frame, or of the mean over it with ``spatial_norm``."""

    maskable = True

    def pointwise(self, block: Block) -> Tensor:
        """``(B, T, C, H, W)``."""
        raise NotImplementedError(f"{type(self).__qualname__} must say what is summed over a frame, in pointwise()")

    def statistic(self, block: Block) -> Tensor:
        values = self.pointwise(block)
        return block.mean_over_points(values) if self.spatial_norm else values.sum((-2, -1))

    def score(self, mean: Tensor) -> Tensor:
        return (mean.mean(-1) if self.spatial_norm else mean.sum(-1)).mean(-1)


@register_metric("mse", "mean squared error")
class MSE(FrameError):
    r"""With the error e over samples n and lead times t, channels c and pixels ij,

    .. math:: \langle \sum_{cij} e^2 \rangle_{nt}, \quad \langle e^2 \rangle_{ntcij} \text{ with spatial\_norm}
    """

    unit_power, headline, rank, skill = 2, True, 1, "skill"

    def pointwise(self, block: Block) -> Tensor:
        return block.squared_error
