"""Data in the real OpenSTL: its own loaders, and the strict protocol."""

import copy

from torch.utils.data import DataLoader, Subset

from ..data.sample import SAMPLE_DATASETS, sample_root
from .builtin import datasets as builtin
from .builtin.datasets.utils import make_loaders


def load_data(dataname, batch_size, val_batch_size, num_workers, data_root, dist=False, *, protocol="strict",
              val_fraction=0.1, drop_last=False, **config) -> tuple[DataLoader, DataLoader, DataLoader]:
    """The loaders of a dataset's training, validation and test data.

    Args:
        protocol: ``openstl``: OpenSTL's loaders, with what they do. ``strict``: the same data in both hosts, from the
            built-in loaders; a dataset that only OpenSTL has keeps OpenSTL's, less the end of the training data.
        val_fraction: share of the training data that the strict protocol then holds out for validation.
        dist: accepted as in OpenSTL; samplers for several processes are the data module's matter.

    Raises:
        ValueError: an unknown dataset; data that do not fit what is asked for.
        FileNotFoundError: no data where they should lie.
    """
    from openstl.datasets import load_data as openstl_load_data

    common = {"batch_size": batch_size, "val_batch_size": val_batch_size, "num_workers": num_workers, "drop_last": drop_last}
    if protocol == "strict" and dataname in builtin.dataset_parameters:
        return builtin.load_data(dataname, data_root=data_root, protocol=protocol, val_fraction=val_fraction,
                                 **common, **config)
    if dataname in SAMPLE_DATASETS:
        data_root = sample_root(data_root)
    try:
        train, validation, test = openstl_load_data(dataname, data_root=str(data_root), **common, **config)
    except AssertionError as error:  # how OpenSTL refuses data, mostly without a message
        raise ValueError(f"OpenSTL cannot load {dataname} from {data_root}{f': {error}' if str(error) else ''}. Check the "
                         "folder's layout and --data_root.") from error
    for loader in (train, test):
        if loader.dataset.mean is None:  # human: frames in [0, 1], left as they are
            loader.dataset.mean, loader.dataset.std = 0.0, 1.0
    if protocol == "strict":
        return make_loaders(*_hold_out_end(train.dataset, val_fraction), test.dataset, **common)
    return train, test if validation is None else validation, test


def _hold_out_end(dataset, fraction: float):
    """``dataset`` without its last ``fraction``, and that end without augmentation."""
    end = len(dataset) - max(1, round(fraction * len(dataset)))
    plain = copy.copy(dataset)
    plain.use_augment = False
    return Subset(dataset, range(end)), Subset(plain, range(end, len(dataset)))
