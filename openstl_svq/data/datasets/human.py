"""Human3.6M (http://vision.imar.ro/human3.6m): people in a room, every fifth frame of long videos."""

import os
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from ...files import reading
from .. import synthetic
from ..formats.images import ImageFormat, ImageFrames, plain_frame, resize
from ..frames import from_images
from ..registry import Dataset, Entry, make_entry, register_dataset
from ..sources import Source
from ..splits import train_and_test
from ..windows import CropAndFlip, WindowDataset, offsets


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool = False
) -> list[WindowDataset]:
    """Training, validation and test windows of ``human/images/*.jpg``, listed in ``human/train.txt`` and ``test.txt``.

    A line ``<beginning of the file names>,<first frame>`` is a window. Frames are in [0, 1], channels in OpenSTL's
    order: blue, green, red. ``strict`` validates on the last videos of the training list, ``openstl`` on the test list.
    """
    root = data_root / "human"
    for path in (root / "train.txt", root / "test.txt", root / "images"):
        if not path.exists():
            raise FileNotFoundError(
                f"human: no {path}. Put OpenSTL's images and lists there, name the parent of human "
                f"with data_root, or make a small set: python tools/make_sample_data.py -d human "
                f"--out {data_root}"
            )
    there = {f"images/{name}" for name in os.listdir(root / "images")}
    train, test = (_Windows(root, f"{split}.txt", config, there) for split in ("train", "test"))
    return train_and_test(
        train.dataset,
        test.dataset(np.arange(len(test.prefix))),
        group=train.prefix,
        start=train.first,
        length=train.length * IMAGES.stride,
        config=config,
        protocol=protocol,
        augment=CropAndFlip(0.975) if use_augment else None,
    )


class _Windows:
    """The windows of one list."""

    def __init__(self, root, list_name, config, there):
        self.root = root
        self.steps = config["pre_seq_length"], config["aft_seq_length"]
        self.length = sum(self.steps)
        self.shape = tuple(config["in_shape"][1:])
        if self.shape[0] != 3:
            raise ValueError(f"human is in colour: in_shape must have 3 channels, got {config['in_shape']}.")
        prefixes, first = [], []
        with reading(root / list_name):
            lines = (root / list_name).read_text().splitlines()
        for line_number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                prefix, begin = line.split(",")[:2]
                first.append(int(begin))
            except ValueError:
                raise ValueError(
                    f"{root / list_name}, line {line_number}: '<beginning of the file names>,<first "
                    f"frame>' is needed, got {line!r}."
                ) from None
            prefixes.append(prefix)
        if not prefixes:
            raise ValueError(f"{root / list_name} lists no windows.")
        self.names, self.prefix = np.unique(prefixes, return_inverse=True)
        self.first = np.array(first)
        for window in range(len(first)):
            for step in range(self.length):
                if (name := self._name(window * self.length + step)) not in there:
                    raise FileNotFoundError(
                        f"human: {root / list_name}, line {window + 1} needs {root / name}, which "
                        "is not there. Fetch the image, or take the line out of the list."
                    )

    def _name(self, index) -> str:
        """File of frame ``index`` of all windows laid one after the other."""
        window, step = divmod(index, self.length)
        return f"{self.names[self.prefix[window]]}{self.first[window] + step * IMAGES.stride:06d}.jpg"

    def _path(self, index) -> str:
        return os.path.join(self.root, self._name(index))

    def dataset(self, windows, augment=None) -> WindowDataset:
        frames = _Images(self._path, self.length * len(self.first), partial(_colour, shape=self.shape), self.shape)
        # Windows overlap; each image once.
        indices = (windows[:, None] * self.length + np.arange(self.length)).ravel()
        number = self.first[indices // self.length] + indices % self.length * IMAGES.stride
        _, once = np.unique(np.stack([self.prefix[indices // self.length], number]), axis=1, return_index=True)
        return WindowDataset(
            Source(frames, "human", blue_first=IMAGES.blue_first),
            windows * self.length + self.steps[0] - 1,
            *offsets(self.steps),
            augment=augment,
            split=indices[np.sort(once)],
        )


class _Images(ImageFrames):
    """With the channels turned round when decoded: whole planes move faster than the bytes of each pixel."""

    def decode(self, stored: Tensor) -> Tensor:
        return from_images(stored).flip(1)


def _colour(image, shape):
    if image.shape[:2] != tuple(shape[1:]):
        image = resize(image, shape[1:], "bicubic").round().clip(0, 255).astype(np.uint8)
    return plain_frame(image, shape)


IMAGES = ImageFormat(lambda image, shape: _colour(image, shape)[..., ::-1], stride=5, blue_first=True)


register_dataset(
    Dataset(
        "human",
        "Human3.6M: people in a room, 256 x 256 in colour, every fifth frame, 4 -> 4",
        make_entry([4, 3, 256, 256], 4, ["mse", "mae", "ssim", "psnr", "lpips"]),
        load_splits,
        image_format=IMAGES,
        full_sizes=(73_404, 8_582),
        makers={"synthetic": synthetic.human},
        differences=frozenset({"selection"}),
    )
)
