"""Loaders around datasets."""

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from .windows import WindowDataset

WORKERS = 4  # as OpenSTL's
_SMALL = 4 * 2**20  # bytes of a batch that is read in less time than it takes from one process to another


def make_loaders(
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    *,
    batch_size: int,
    val_batch_size: int,
    num_workers: int | None = 0,
    drop_last: bool = False,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Loaders as OpenSTL's: training shuffled without its incomplete last batch, validation and test in order.

    ``num_workers=0`` loads in the main process; ``None`` does so where that is faster, and else takes ``WORKERS``.
    """

    def loader(dataset: Dataset, batch_size: int, **settings: Any) -> DataLoader:
        workers = _workers(dataset, batch_size) if num_workers is None else num_workers
        settings |= {"num_workers": workers, "persistent_workers": workers > 0}
        return DataLoader(dataset, batch_size=batch_size, pin_memory=torch.cuda.is_available(), **settings)

    return (
        loader(train, batch_size, shuffle=True, drop_last=True),
        loader(validation, val_batch_size, shuffle=False, drop_last=drop_last),
        loader(test, val_batch_size, shuffle=False, drop_last=drop_last),
    )


def _workers(dataset: Dataset, batch_size: int) -> int:
    quick = isinstance(dataset, WindowDataset) and dataset.in_memory and batch_size * dataset.window_bytes <= _SMALL
    return 0 if quick else WORKERS
