"""Loaders around datasets."""

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset


def make_loaders(
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    *,
    batch_size: int,
    val_batch_size: int,
    num_workers: int = 0,
    drop_last: bool = False,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Loaders as OpenSTL's: training shuffled without its incomplete last batch, validation and test in order.

    ``num_workers=0`` loads in the main process.
    """
    shared: dict[str, Any] = {
        "num_workers": num_workers,
        "persistent_workers": num_workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
    return (
        DataLoader(train, batch_size=batch_size, shuffle=True, drop_last=True, **shared),
        DataLoader(validation, batch_size=val_batch_size, shuffle=False, drop_last=drop_last, **shared),
        DataLoader(test, batch_size=val_batch_size, shuffle=False, drop_last=drop_last, **shared),
    )
