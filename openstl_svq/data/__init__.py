"""Files in, batches out: every dataset of the paper, a user's own data, and weather that can be made anywhere."""

from .datasets.constants import dataset_parameters
from .registry import image_format, load_data, warn_of_other_sizes

__all__ = ["dataset_parameters", "image_format", "load_data", "warn_of_other_sizes"]
