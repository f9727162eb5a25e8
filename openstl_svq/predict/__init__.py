"""Forecasts of a trained model in the data's own unit: of arrays, and from file to file."""

from .fields import Scores
from .files import forecast_file, write_predictions
from .forecaster import Forecaster
from .outputs import output_path

__all__ = ["Forecaster", "Scores", "forecast_file", "output_path", "write_predictions"]
