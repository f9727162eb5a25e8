"""Scores of forecasts in constant memory, and the reference forecasts to set them against."""

from .forecast import METRICS, ForecastMetrics
from .reference import Climatology, persistence
from .structural_similarity import ssim

__all__ = ["METRICS", "Climatology", "ForecastMetrics", "persistence", "ssim"]
