import warnings

import numpy as np

from ..naming import unknown
from ..protocol import OPENSTL, STRICT, differences
from .datasets import custom as dataloader_custom
from .datasets import human as dataloader_human
from .datasets import kitticaltech as dataloader_kitticaltech
from .datasets import kth as dataloader_kth
from .datasets import taxibj as dataloader_taxibj
from .datasets import weather as dataloader_weather
from .datasets.constants import FULL_SIZES, dataset_parameters
from .frames import ImageFormat
from .loaders import make_loaders

_LOADERS = {  # by the beginning of the name
    "weather": dataloader_weather,
    "taxibj": dataloader_taxibj,
    "kth": dataloader_kth,
    "kitticaltech": dataloader_kitticaltech,
    "human": dataloader_human,
    "custom": dataloader_custom,
}


def load_data(
    dataname,
    batch_size,
    val_batch_size,
    num_workers,
    data_root,
    *,
    protocol="strict",
    use_augment=False,
    drop_last=False,
    **config,
):
    """The loaders of a dataset's training, validation and test data.

    Args:
        dataname: one of ``dataset_parameters``.
        data_root: folder that holds the datasets in OpenSTL's layouts.
        protocol: ``strict``: validation on the validation split, the training data's statistics everywhere.
            ``openstl``: OpenSTL's behaviour to the last index, to compare with published numbers; it validates on the
            test set, and warns where the data are not the full dataset. ``strict+NAME+...``: some of the
            :data:`~openstl_svq.protocol.DIFFERENCES` between the two.
        use_augment: augment the training data as OpenSTL does.
        drop_last: drop an incomplete last batch of validation and test.
        **config: a run's configuration, of which the loaders read the keys of the dataset's entry (``in_shape``,
            ``pre_seq_length``, ``aft_seq_length``, ``data_name``, ``train_time``, ...) and
            ``val_fraction``, the share of the training data that ``strict`` validates on where a dataset has no
            validation data of its own. Samplers for several processes (OpenSTL's ``dist``) are the data module's
            matter.

    Returns:
        ``(train, validation, test)`` loaders over :class:`~.windows.WindowDataset`.

    Raises:
        ValueError: an unknown dataset or protocol; a difference that the dataset does not have; data that do not fit
            what is asked for.
        FileNotFoundError: no data where they should lie.
    """
    if dataname not in dataset_parameters:
        raise ValueError(unknown("dataset", dataname, dataset_parameters))
    taken, loader = differences(protocol), _loader(dataname)
    if loader is not dataloader_weather and protocol != OPENSTL:
        if weather_alone := taken - {"selection"}:
            raise ValueError(
                f"{dataname} has no difference {', '.join(sorted(weather_alone))} between the protocols: "
                f"{STRICT}, {OPENSTL} and {STRICT}+selection are what there is."
            )
        # Where to validate is all that differs there.
        protocol = OPENSTL if taken else STRICT
    config = {**dataset_parameters[dataname], **{k: v for k, v in config.items() if v is not None}}
    splits = loader.load_splits(dataname, data_root, config, protocol=protocol, use_augment=use_augment)
    if protocol == OPENSTL:
        warn_of_other_sizes(dataname, config, splits[0], splits[2])
    return make_loaders(
        *splits, batch_size=batch_size, val_batch_size=val_batch_size, num_workers=num_workers, drop_last=drop_last
    )


def image_format(dataname: str) -> ImageFormat:
    """How a dataset's frames are made of images: as its loader says, else by bringing the values to [0, 1]."""
    return getattr(_loader(dataname), "IMAGES", ImageFormat())


def warn_of_other_sizes(dataname: str, config: dict, train, test) -> None:
    """Warns where ``train`` and ``test`` have other sizes than OpenSTL's windows of the full dataset.

    Nothing is said where ``config`` asks for other splits or lengths than the dataset's entry, or none are known.
    """
    entry = dataset_parameters.get(dataname, {})
    asked = ("pre_seq_length", "aft_seq_length", "train_time", "test_time", "idx_in", "idx_out", "step")
    if dataname not in FULL_SIZES or not all(np.array_equal(config.get(key), entry.get(key)) for key in asked):
        return
    found, full = (len(train), len(test)), FULL_SIZES[dataname]
    if found != full:
        warnings.warn(
            f"{dataname}: {found[0]:,} windows to train and {found[1]:,} to test, where OpenSTL makes "
            f"{full[0]:,} and {full[1]:,} of the full dataset: scores on these data are not comparable with "
            "published ones.",
            stacklevel=3,
        )


def _loader(dataname):
    return next((module for start, module in _LOADERS.items() if dataname.startswith(start)), None)
