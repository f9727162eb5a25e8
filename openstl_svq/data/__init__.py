"""Files in, batches out: every dataset of the paper, a user's own data, and weather that can be made anywhere."""

from . import datasets  # registers them
from .formats.images import ImageFormat
from .registry import Dataset, get_dataset, list_datasets, load_data, make_entry, register_dataset
from .sources import Source
from .windows import WindowDataset

__all__ = [
    "Dataset",
    "ImageFormat",
    "Source",
    "WindowDataset",
    "datasets",
    "get_dataset",
    "list_datasets",
    "load_data",
    "make_entry",
    "register_dataset",
]
