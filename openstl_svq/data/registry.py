"""One registry of datasets: what the rest of the package asks about a dataset is a field of its record."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch.utils.data import DataLoader

from ..naming import Registry
from ..protocol import DIFFERENCES, OPENSTL, STRICT, differences
from .formats import ARRAYS, VIDEOS, open_source
from .formats.images import ImageFormat, image_numbers
from .loaders import make_loaders
from .sources import Source
from .windows import WindowDataset

Entry = dict[str, Any]
_NOT_GIVEN: Any = None  # register_dataset says what a record lacks


def make_entry(in_shape: Sequence[int], aft_seq_length: int, metrics: Sequence[str], **more) -> Entry:
    """OpenSTL's entry of a dataset: what a run takes from it where neither a file nor the command line says otherwise.

    Args:
        in_shape: ``(T, C, H, W)`` of an input.
        aft_seq_length: frames to forecast.
        metrics: names of the scores.
        more: what else the dataset's loader reads from the configuration.
    """
    steps = {"pre_seq_length": in_shape[0], "aft_seq_length": aft_seq_length}
    return {"in_shape": list(in_shape), **steps, "total_length": sum(steps.values()), **more, "metrics": list(metrics)}


class LoadSplits(Protocol):
    """Training, validation and test windows of a dataset: ``load_splits(dataset, data_root, config, ...)``.

    ``config`` is the dataset's entry with a run's configuration over it, ``protocol`` one that the dataset knows.
    """

    def __call__(
        self, dataset: "Dataset", data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool
    ) -> Sequence[WindowDataset]: ...


def open_like_images(dataset: "Dataset", path: Path, config: Entry, /) -> Source:
    """The frames in an array, a folder of images or a video, made as the dataset's loader makes them of images."""
    shape = tuple(config["in_shape"][1:])
    if path.suffix.lower() in ARRAYS:
        # Bytes where the statistics are those of values in [0, 1] are pictures, which the loaders scale.
        return open_source(path, bytes_are_images=bool(np.all(np.asarray(config.get("test_std", 1)) <= 1)))
    if not path.is_dir() and path.suffix.lower() not in VIDEOS:
        raise ValueError(
            f"{path}: this model was trained on {dataset.name}; give .npy, .npz, a folder of images or a video."
        )
    if shape[0] not in (1, 3):
        raise ValueError(f"this model takes {shape[0]} channels, and images have 1 or 3: give .npy or .npz.")
    source = open_source(path, pick=lambda image: dataset.image_format.pick(image, shape), keep_counts=False)
    sequences = sorted({beginning for beginning, _ in image_numbers(source.paths) or ()})
    if len(sequences) > 1:
        raise ValueError(
            f"{path} holds {len(sequences)} sequences, {sequences[0]}... and {sequences[1]}...: give a folder with one."
        )
    return source


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    Attributes:
        name: what a user calls it by.
        description: one line for :func:`list_datasets`.
        entry: see :func:`make_entry`.
        load_splits: reads it.
        image_format: how its frames are made of images.
        open_to_forecast: opens a file or folder to forecast from, ``open_to_forecast(dataset, path, config)``, as the
            data were opened that a model with this configuration was trained on.
        full_sizes: windows for training and for test that OpenSTL makes of the full dataset with the entry's splits and
            lengths: the sizes of the paper's Table 9.
        makers: what makes a small one: by source (``synthetic``, ``gcm``; the first is the default) a function
            ``maker(root, *, seed=0, ...) -> paths``, whose further arguments are options of
            ``tools/make_sample_data.py``.
        is_field: whether its frames are a field on a grid, as weather is, and no images: scores are means over the grid
            then, not OpenSTL's sums over a frame.
        differences: those of :data:`~openstl_svq.protocol.DIFFERENCES` that its ``load_splits`` knows; none where there
            is no protocol but ``strict``.
        options: those of ``mask``, ``anomaly`` and ``region`` that ``load_splits`` reads.
        root: what lies where under ``data_root``, where that is not ``data_root`` itself.
    """

    name: str = ""
    description: str = ""
    entry: Entry = field(default_factory=dict)
    load_splits: LoadSplits = _NOT_GIVEN
    image_format: ImageFormat = field(default_factory=ImageFormat)
    open_to_forecast: Callable[["Dataset", Path, Entry], Source] = open_like_images
    full_sizes: tuple[int, int] | None = None
    makers: Mapping[str, Callable[..., list[Path]]] = field(default_factory=dict)
    is_field: bool = False
    differences: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    root: Callable[[Path], Path] = Path


OPTIONS = frozenset({"mask", "anomaly", "region"})
DATASETS: Registry[Dataset] = Registry("dataset", f"{__package__}.datasets")
_HOSTS: list[dict[str, Entry]] = []


def register_dataset(dataset: Dataset, *, override: bool = False) -> Dataset:
    """Makes a dataset available by name, in every host.

    Args:
        override: replace a dataset of the same name on purpose.

    Raises:
        ValueError: the name is taken, or the record lacks what a dataset needs.

    Example::

        register_dataset(Dataset("ocean", "sea surface temperature, daily", make_entry([8, 1, 64, 64], 8, ["mse"]),
                                 load_splits, is_field=True))
    """
    frame = inspect.currentframe()
    file = frame.f_back.f_code.co_filename if frame and frame.f_back else "?"
    if lacks := _what_it_lacks(dataset):
        raise ValueError(f"{file}: the dataset {getattr(dataset, 'name', dataset)!r} cannot be registered: {lacks}")
    of_host = any(dataset.name in entries for entries in _HOSTS)
    DATASETS.add(
        dataset.name, dataset, dataset.description, owner=file, held_by="OpenSTL" if of_host else "", override=override
    )
    for entries in _HOSTS:
        entries[dataset.name] = dataset.entry
    return dataset


def _what_it_lacks(dataset: Dataset) -> str | None:
    """What keeps ``dataset`` from being used, as a sentence."""
    if not isinstance(dataset, Dataset):
        return "give an openstl_svq.data.Dataset."
    if not dataset.name or not isinstance(dataset.name, str):
        return "its name must be a text."
    entry = dataset.entry
    missing = [key for key in make_entry([0], 0, []) if key not in entry]
    if missing:
        return f"its entry lacks {', '.join(missing)}: make it with make_entry."
    shape = entry["in_shape"]
    if len(shape) != 4 or not all(isinstance(n, int) and n > 0 for n in (*shape, entry["aft_seq_length"])):
        return f"in_shape must be (T, C, H, W) and aft_seq_length a number of frames, got {shape} and {entry['aft_seq_length']!r}."
    functions: dict[str, Any] = {key: getattr(dataset, key) for key in ("load_splits", "open_to_forecast", "root")}
    for what, function in {**functions, **dataset.makers}.items():
        if not callable(function):
            return f"{what} must be a function, got {function!r}."
    if strange := set(dataset.differences) - set(DIFFERENCES):
        return f"unknown differences {sorted(strange)}; there are {', '.join(DIFFERENCES)}."
    return None


def list_datasets() -> dict[str, str]:
    """Name -> one-line description of every registered dataset, sorted by name."""
    return DATASETS.descriptions()


def get_dataset(name: str) -> Dataset:
    """The record of a dataset; a ValueError that lists what exists where there is none."""
    return DATASETS[name]


def dataset_or_default(name: str) -> Dataset:
    """The record of a dataset, or for one that only OpenSTL has what holds of any images."""
    return DATASETS.get(name) or Dataset(name, "of OpenSTL alone", {}, _in_openstl_alone)


def _in_openstl_alone(dataset, data_root, config, /, *, protocol, use_augment):
    raise ValueError(f"only OpenSTL loads {dataset.name}.")


def follow(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Adds the entry of every dataset to a host's ``entries``, now and when one is registered; what is there stays."""
    for name in DATASETS:
        entries.setdefault(name, DATASETS[name].entry)
    _HOSTS.append(entries)
    return entries


def load_data(
    dataname: str,
    batch_size: int,
    val_batch_size: int,
    num_workers: int | None,
    data_root: str | Path,
    *,
    protocol: str = STRICT,
    use_augment: bool = False,
    drop_last: bool = False,
    **config,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """The loaders of a dataset's training, validation and test data.

    Args:
        dataname: one of :func:`list_datasets`.
        num_workers: loader processes; 0 loads in this one, and ``None`` takes OpenSTL's 4, or 0 where a batch is small and
            its frames lie in memory.
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
    dataset = get_dataset(dataname)
    taken = differences(protocol)
    _refuse_differences(dataset, taken)
    refuse_options(dataset, config, dataset.options)
    config = {**dataset.entry, **{k: v for k, v in config.items() if v is not None}}
    train, validation, test = dataset.load_splits(
        dataset, dataset.root(Path(data_root)), config, protocol=protocol, use_augment=use_augment
    )
    if taken and taken >= dataset.differences:
        warn_of_other_sizes(dataname, config, train, test)
    return make_loaders(
        train,
        validation,
        test,
        batch_size=batch_size,
        val_batch_size=val_batch_size,
        num_workers=num_workers,
        drop_last=drop_last,
    )


def refuse_options(dataset: Dataset, config: Mapping[str, Any], options: frozenset[str]) -> None:
    """A ValueError if ``config`` asks for what is not among ``options``, those that are read here."""
    if given := sorted(name for name in OPTIONS - options if config.get(name)):
        raise ValueError(
            f"{', '.join(given)}: the loader of {dataset.name} has no such option; it is for fields on a grid. Leave it out."
        )


def _refuse_differences(dataset: Dataset, taken: frozenset[str]) -> None:
    """A ValueError if a protocol's differences ``taken`` are not ``dataset``'s; ``openstl`` has all, and so whatever."""
    if taken and not dataset.differences:
        raise ValueError(
            f"{dataset.name} data are not in OpenSTL, so there is no protocol {OPENSTL} for them: set protocol to {STRICT}."
        )
    if taken != frozenset(DIFFERENCES) and (strange := taken - dataset.differences):
        known = ", ".join(f"{STRICT}+{name}" for name in sorted(dataset.differences))
        raise ValueError(
            f"{dataset.name} has no difference {', '.join(sorted(strange))} between the protocols: {STRICT}, {OPENSTL} and "
            f"{known} are what there is."
        )


def warn_of_other_sizes(dataname: str, config: Entry, train: Sized, test: Sized) -> None:
    """Warns where ``train`` and ``test`` have other sizes than OpenSTL's windows of the full dataset.

    Nothing is said where ``config`` asks for other splits or lengths than the dataset's entry, or none are known.
    """
    dataset = dataset_or_default(dataname)
    asked = ("pre_seq_length", "aft_seq_length", "train_time", "test_time", "idx_in", "idx_out", "step")
    if not dataset.full_sizes or not all(
        np.array_equal(np.asarray(config.get(k)), np.asarray(dataset.entry.get(k))) for k in asked
    ):
        return
    found, full = (len(train), len(test)), dataset.full_sizes
    if found != full:
        warnings.warn(
            f"{dataname}: {found[0]:,} windows to train and {found[1]:,} to test, where OpenSTL makes "
            f"{full[0]:,} and {full[1]:,} of the full dataset: scores on these data are not comparable with "
            "published ones.",
            stacklevel=3,
        )
