"""TaxiBJ (https://arxiv.org/abs/1610.00081): taxis in and out of 32 x 32 cells of Beijing, every half hour."""

from functools import partial
from pathlib import Path

import numpy as np

from ...files import reading
from .. import synthetic
from ..formats.arrays import read_member
from ..frames import ArrayFrames
from ..registry import Dataset, Entry, make_entry, register_dataset
from ..sources import Source
from ..splits import train_and_test
from ..windows import CropAndFlip, WindowDataset, offsets


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool = False
) -> list[WindowDataset]:
    """Training, validation and test windows from ``taxibj/dataset.npz``, brought from [-1, 1] to [0, 1].

    ``strict`` validates on the end of the training windows, ``openstl`` on the test windows.
    """
    path = data_root / "taxibj" / "dataset.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"taxibj: no file {path}. Put OpenSTL's dataset.npz there, name its folder's parent "
            f"with data_root, or make a small set: python tools/make_sample_data.py -d taxibj "
            f"--out {data_root}"
        )
    steps = config["pre_seq_length"], config["aft_seq_length"]
    train, test = (_windows(path, split, steps, config["in_shape"]) for split in ("train", "test"))
    count, tested = (len(source.frames) // sum(steps) for source in (train, test))

    def windows(source, chosen, augment=None):
        return WindowDataset(source, sum(steps) * chosen + steps[0] - 1, *offsets(steps), augment=augment)

    return train_and_test(
        partial(windows, train),
        windows(test, np.arange(tested)),
        group=np.zeros(count),
        start=np.arange(count),  # windows may be one step apart, so those that could share a step are left out
        length=sum(steps),
        config=config,
        protocol=protocol,
        augment=CropAndFlip() if use_augment else None,
    )


def _windows(path, split, steps, in_shape) -> Source:
    """All windows of a split, one after the other."""
    with reading(path):
        file = np.load(path)
    frames = np.empty(0)
    for name, begin, count in ((f"X_{split}", 0, steps[0]), (f"Y_{split}", steps[0], steps[1])):
        if name not in file:
            raise ValueError(f"{path} has no array {name}; it has {', '.join(file.files)}.")
        values = read_member(file, name, path)
        if begin == 0:
            frames = np.empty((len(values), sum(steps), *in_shape[1:]), dtype=np.float32)
        if values.ndim != 5 or values.shape[1:] != (count, *in_shape[1:]):
            raise ValueError(
                f"{path}: {name} has shape {values.shape}, {('N', count, *in_shape[1:])} is "
                "needed; pre_seq_length, aft_seq_length and in_shape must be the file's."
            )
        if len(values) != len(frames):
            raise ValueError(f"{path}: X_{split} has {len(frames)} windows, Y_{split} {len(values)}.")
        for k in range(0, len(values), 1024):
            block = values[k : k + 1024]
            # Written so that NaN fails it.
            if not np.abs(block).max(initial=0) <= 1 + 1e-6:
                raise ValueError(f"{path}: {name} has values beyond [-1, 1] or NaN near window {k}.")
            frames[k : k + 1024, begin : begin + count] = (block + 1) / 2
    channels = [("inflow", None), ("outflow", None)]
    return Source(ArrayFrames(frames.reshape(-1, *in_shape[1:])), "taxibj", channels=channels)


register_dataset(
    Dataset(
        "taxibj",
        "TaxiBJ: taxis in and out of 32 x 32 cells of Beijing, half-hourly, 4 -> 4",
        make_entry([4, 2, 32, 32], 4, ["mse", "mae", "ssim", "psnr"]),
        load_splits,
        full_sizes=(20_461, 500),
        makers={"synthetic": synthetic.taxibj},
        differences=frozenset({"selection"}),
    )
)
