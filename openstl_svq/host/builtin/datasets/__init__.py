from .base_data import BaseDataModule
from .dataloader import load_data
from .dataset_constant import dataset_parameters

__all__ = ["BaseDataModule", "dataset_parameters", "load_data"]
