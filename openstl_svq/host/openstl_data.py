"""Data in the real OpenSTL: its own loaders, the strict protocol, and the datasets that it lacks."""

import copy
import warnings
from pathlib import Path

from torch.utils.data import DataLoader, Dataset, Subset

from ..data import list_datasets
from ..data import load_data as own_load_data
from ..data.loaders import make_loaders
from ..data.registry import dataset_or_default, refuse_options, warn_of_other_sizes
from ..protocol import OPENSTL, STRICT


def load_data(
    dataname: str,
    batch_size: int,
    val_batch_size: int,
    num_workers: int,
    data_root: str | Path,
    dist: bool = False,
    *,
    protocol: str = STRICT,
    val_fraction: float = 0.1,
    drop_last: bool = False,
    **config,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """The loaders of a dataset's training, validation and test data.

    Args:
        protocol: ``openstl``: OpenSTL's loaders, with what they do, of the datasets that it has. ``strict``, also with differences: the same data in
            both hosts, from the built-in loaders; a dataset that only OpenSTL has keeps OpenSTL's, less the end of the
            training data.
        val_fraction: share of the training data that the strict protocol then holds out for validation.
        dist: accepted as in OpenSTL; samplers for several processes are the data module's matter.

    Raises:
        ValueError: an unknown dataset; data that do not fit what is asked for.
        FileNotFoundError: no data where they should lie.
    """
    from openstl.datasets import dataset_parameters

    common = {
        "batch_size": batch_size,
        "val_batch_size": val_batch_size,
        "num_workers": num_workers,
        "drop_last": drop_last,
    }
    dataset = dataset_or_default(dataname)
    added = dataset_parameters.get(dataname) is dataset.entry  # by this package: OpenSTL has no such dataset
    if dataname in list_datasets() and (protocol != OPENSTL or added):
        return own_load_data(
            dataname, data_root=data_root, protocol=protocol, val_fraction=val_fraction, **common, **config
        )
    if protocol not in (STRICT, OPENSTL):
        raise ValueError(
            f"{dataname} is loaded by OpenSTL alone, which knows no single differences: --protocol "
            f"{STRICT} or {OPENSTL}."
        )
    refuse_options(dataset, config, frozenset())
    train, validation, test = _openstl_loaders(dataname, str(dataset.root(data_root)), **common, **config)
    for loader in (train, test):
        if loader.dataset.mean is None:  # human: frames in [0, 1], left as they are
            loader.dataset.mean, loader.dataset.std = 0.0, 1.0
    if protocol == OPENSTL:
        warn_of_other_sizes(dataname, config, train.dataset, test.dataset)
    if protocol == STRICT:
        return make_loaders(*_hold_out_end(train.dataset, val_fraction), test.dataset, **common)
    return train, test if validation is None else validation, test


def _openstl_loaders(dataname, data_root, **config):
    from openstl.datasets import load_data as openstl_load_data

    try:
        with warnings.catch_warnings():  # of xarray, about how the weather loader asks for the week
            warnings.filterwarnings("ignore", message=".*dt.week.*", category=FutureWarning)
            return openstl_load_data(dataname, data_root=data_root, **config)
    except AssertionError as error:  # how OpenSTL refuses data, mostly without a message
        reason = f": {error}" if str(error) else ""
        raise ValueError(
            f"OpenSTL cannot load {dataname} from {data_root}{reason}. Check the folder's layout and --data_root."
        ) from error


def _hold_out_end(dataset: Dataset, fraction: float) -> tuple[Subset, Subset]:
    """``dataset`` without its last ``fraction``, and that end without augmentation."""
    end = len(dataset) - max(1, round(fraction * len(dataset)))
    plain = copy.copy(dataset)
    plain.use_augment = False
    return Subset(dataset, range(end)), Subset(plain, range(end, len(dataset)))
