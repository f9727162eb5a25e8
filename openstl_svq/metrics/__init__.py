"""Scores of forecasts in constant memory, and the reference forecasts to set them against."""

from .base import (
    Block,
    FieldMetric,
    ImageMetric,
    field_metrics,
    find_metric,
    headline_metrics,
    list_metrics,
    lower_is_better,
    register_metric,
)
from .forecast import ForecastMetrics
from .reference import Climatology, persistence
from .structural_similarity import ssim

__all__ = [
    "Block",
    "Climatology",
    "FieldMetric",
    "ForecastMetrics",
    "ImageMetric",
    "field_metrics",
    "find_metric",
    "headline_metrics",
    "list_metrics",
    "lower_is_better",
    "persistence",
    "register_metric",
    "ssim",
]
