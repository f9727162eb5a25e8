import pytorch_lightning as pl
from torch.utils.data import DataLoader


class BaseDataModule(pl.LightningDataModule):
    """The three loaders of a run; ``test_mean`` and ``test_std`` bring test data back to their unit."""

    def __init__(self, train_loader: DataLoader, valid_loader: DataLoader, test_loader: DataLoader):
        super().__init__()
        self.train_loader = train_loader
        self.valid_loader = valid_loader
        self.test_loader = test_loader
        self.test_mean = test_loader.dataset.mean
        self.test_std = test_loader.dataset.std
        self.data_name = test_loader.dataset.data_name

    def train_dataloader(self):
        return self.train_loader

    def val_dataloader(self):
        return self.valid_loader

    def test_dataloader(self):
        return self.test_loader
