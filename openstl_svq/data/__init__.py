"""Files in, batches out: every dataset of the paper, a user's own data, and weather that can be made anywhere."""

from .formats.images import ImageFormat
from .registry import DATASETS, Dataset, get_dataset, list_datasets, load_data, make_entry, register_dataset
from .sources import Source
from .windows import WindowDataset

DATASETS.load()

__all__ = [
    "Dataset",
    "ImageFormat",
    "Source",
    "WindowDataset",
    "get_dataset",
    "list_datasets",
    "load_data",
    "make_entry",
    "register_dataset",
]
