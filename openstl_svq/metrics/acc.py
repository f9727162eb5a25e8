"""Anomaly correlation coefficient."""

import torch
from torch import Tensor

from .base import Block, FieldMetric, register_metric


@register_metric("acc", "anomaly correlation coefficient, weighted by latitude")
class ACC(FieldMetric):
    r"""With the anomalies p', o' of prediction and truth from a climatology and the weights of
    :class:`~openstl_svq.metrics.wrmse.WRMSE` (same source),

    .. math:: \left\langle \frac{\sum_{ij} w_i p' o'}{\sqrt{\sum_{ij} w_i p'^2 \sum_{ij} w_i o'^2}} \right\rangle_{ntc}

    with 0 where an anomaly is zero everywhere, as for the climatology itself.
    """

    lower_is_better, rank, needs, maskable = False, 5, frozenset({"lat", "climatology"}), True

    def statistic(self, block: Block) -> Tensor:
        p, t = (x.double() - block.climatology.double() for x in (block.pred, block.true))
        covariance, *variances = ((block.weights * x * y).sum((-2, -1)) for x, y in ((p, t), (p, p), (t, t)))
        norm = (variances[0] * variances[1]).sqrt()
        return torch.where(norm == 0, 0.0, covariance / norm)

    def score(self, mean: Tensor) -> Tensor:
        return mean.mean((-2, -1))
