"""OpenSTL's ``metric``: scores of arrays that are in memory."""

from collections.abc import Sequence

import numpy as np
import torch

from openstl_svq.metrics import ForecastMetrics


def metric(
    pred: np.ndarray,
    true: np.ndarray,
    mean: np.ndarray | float | None = None,
    std: np.ndarray | float | None = None,
    metrics: Sequence[str] = ("mae", "mse"),
    clip_range: Sequence[float] = (0, 1),
    channel_names: Sequence[str] | None = None,
    spatial_norm: bool = False,
    return_log: bool = True,
) -> tuple[dict[str, float], str]:
    """Scores of ``pred`` against ``true``, both ``(B, T, C, H, W)``; see :class:`~openstl_svq.metrics.ForecastMetrics`.

    ``mean`` and ``std`` are applied only when both are given.

    Returns:
        The scores by name, and ``"name:value, name:value"`` of them (empty without ``return_log``).
    """
    scale = {"mean": mean, "std": std} if mean is not None and std is not None else {}
    scores = ForecastMetrics(
        metrics, spatial_norm=spatial_norm, channel_names=channel_names, clip_range=clip_range, **scale
    )
    scores.update(torch.as_tensor(np.asarray(pred)), torch.as_tensor(np.asarray(true)))
    results = scores.compute()
    return results, ", ".join(f"{name}:{value}" for name, value in results.items()) if return_log else ""
