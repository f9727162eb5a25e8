"""TaxiBJ (https://arxiv.org/abs/1610.00081): taxis in and out of 32 x 32 cells of Beijing, every half hour."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ...protocol import differences
from .. import synthetic
from ..frames import ArrayFrames
from ..registry import Dataset, Entry, make_entry, register_dataset
from ..windows import CropAndFlip, WindowDataset, hold_out_end


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment=False
) -> list[WindowDataset]:
    """Training, validation and test windows from ``taxibj/dataset.npz``, brought from [-1, 1] to [0, 1].

    ``strict`` validates on the end of the training windows, ``openstl`` on the test windows.
    """
    path = Path(data_root) / "taxibj" / "dataset.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"taxibj: no file {path}. Put OpenSTL's dataset.npz there, name its folder's parent "
            f"with data_root, or make a small set: python tools/make_sample_data.py -d taxibj "
            f"--out {data_root}"
        )
    steps = config["pre_seq_length"], config["aft_seq_length"]
    train, test = (_windows(path, split, steps, config["in_shape"]) for split in ("train", "test"))
    length = sum(steps)
    count = len(train) // length
    training = validation = None
    if "selection" not in differences(protocol):
        # Windows may be one step apart, so those that could share a step with the held-out end are left out.
        training, validation = hold_out_end(np.zeros(count), np.arange(count), length, config.get("val_fraction", 0.1))

    def dataset(frames, windows=None, augment=None):
        windows = np.arange(len(frames) // length) if windows is None else windows
        return WindowDataset(
            frames,
            length * windows + steps[0] - 1,
            np.arange(1 - steps[0], 1),
            np.arange(1, steps[1] + 1),
            data_name="taxibj",
            augment=augment,
            channels=[("inflow", None), ("outflow", None)],
        )

    augment = CropAndFlip() if use_augment else None
    test = dataset(test)
    return [dataset(train, training, augment), test if validation is None else dataset(train, validation), test]


def _windows(path, split, steps, in_shape) -> ArrayFrames:
    """All windows of a split, one after the other."""
    try:
        with np.load(path) as file:
            missing = [name for name in (f"X_{split}", f"Y_{split}") if name not in file]
            if missing:
                raise ValueError(f"{path} has no array {missing[0]}; it has {', '.join(file.files)}.")
            frames = None
            for name, begin, count in ((f"X_{split}", 0, steps[0]), (f"Y_{split}", steps[0], steps[1])):
                values = file[name]
                if values.ndim != 5 or values.shape[1:] != (count, *in_shape[1:]):
                    raise ValueError(
                        f"{path}: {name} has shape {values.shape}, {('N', count, *in_shape[1:])} is "
                        "needed; pre_seq_length, aft_seq_length and in_shape must be the file's."
                    )
                if frames is None:
                    frames = np.empty((len(values), sum(steps), *in_shape[1:]), dtype=np.float32)
                if len(values) != len(frames):
                    raise ValueError(f"{path}: X_{split} has {len(frames)} windows, Y_{split} {len(values)}.")
                for k in range(0, len(values), 1024):
                    block = values[k : k + 1024]
                    # Written so that NaN fails it.
                    if not np.abs(block).max(initial=0) <= 1 + 1e-6:
                        raise ValueError(f"{path}: {name} has values beyond [-1, 1] or NaN near window {k}.")
                    frames[k : k + 1024, begin : begin + count] = (block + 1) / 2
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): it may be cut off; fetch it again.") from error
    return ArrayFrames(frames.reshape(-1, *in_shape[1:]))


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
