"""Files in, batches out: every dataset of the paper, a user's own data, and weather that can be made anywhere."""

from . import datasets  # registers them
from .frames import ImageFormat
from .registry import Dataset, get_dataset, list_datasets, load_data, make_entry, register_dataset
from .windows import WindowDataset

__all__ = [
    "Dataset",
    "ImageFormat",
    "WindowDataset",
    "datasets",
    "get_dataset",
    "list_datasets",
    "load_data",
    "make_entry",
    "register_dataset",
]
