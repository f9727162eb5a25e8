from .base_data import BaseDataModule
from .dataloader import image_format, load_data, warn_of_other_sizes
from .dataset_constant import dataset_parameters

__all__ = ["BaseDataModule", "dataset_parameters", "image_format", "load_data", "warn_of_other_sizes"]
