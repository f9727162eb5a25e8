"""KTH actions (https://ieeexplore.ieee.org/document/1334462): 25 people, six actions, as folders of grey frames."""

import os
import re
from functools import partial
from pathlib import Path

import numpy as np

from ...protocol import differences
from .. import synthetic
from ..formats.images import ImageFormat, cached_images, resize, resize_planes
from ..registry import Dataset, Entry, make_entry, register_dataset
from ..sources import Source
from ..splits import train_and_test
from ..windows import CropAndFlip, WindowDataset, offsets, sliding

_SLOW = ("boxing", "handclapping", "handwaving", "walking")
_FAST = ("jogging", "running")  # few frames each: their windows follow every three frames
_FOLDER = re.compile(r"person(\d\d)_")
_IMAGE = re.compile(r"image.(\d{4})")  # image-0001.jpg, image_0001.jpg
_TRAINING_PEOPLE = 16


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool = False
) -> list[WindowDataset]:
    """Training, validation and test windows from ``kth/<action>/person<NN>_.../image_<NNNN>.jpg``, in [0, 1].

    People 1-16 train, 17-25 test. ``strict`` validates on the last people of the training part, ``openstl`` on the test
    part. A window never spans a missing frame.
    """
    root = data_root / "kth"
    missing = [action for action in _SLOW + _FAST if not (root / action).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"kth: no folder {root / missing[0]}. Put OpenSTL's folders of frames there, name the "
            f"parent of kth with data_root, or make a small set: python "
            f"tools/make_sample_data.py -d kth --out {data_root}"
        )
    train = _Clips(root, range(1, _TRAINING_PEOPLE + 1), config)
    test = _Clips(root, range(_TRAINING_PEOPLE + 1, 26), config)
    starts = train.starts
    if "selection" not in differences(protocol):  # by person, the last of whom are then held out
        starts = starts[np.argsort(train.person[starts], kind="stable")]
    return train_and_test(
        lambda windows, augment=None: train.windows(starts[windows], augment),
        test.windows(test.starts),
        group=train.person[starts],
        start=starts,
        length=train.length,
        config=config,
        protocol=protocol,
        augment=CropAndFlip(0.95) if use_augment else None,
    )


class _Clips:
    """The frames of some people, and where windows begin in them."""

    def __init__(self, root, people, config):
        self.steps = config["pre_seq_length"], config["aft_seq_length"]
        self.length = sum(self.steps)
        self.shape = tuple(config["in_shape"][1:])
        if self.shape[0] != 1:
            raise ValueError(f"kth is grey: in_shape must have 1 channel, got {config['in_shape']}.")
        self.paths, video, number, step, person = [], [], [], [], []
        for action in _SLOW + _FAST:
            for folder in sorted(os.listdir(root / action)):
                match = _FOLDER.match(folder)
                if not match or int(match[1]) not in people:
                    continue
                images = [found for name in sorted(os.listdir(root / action / folder)) if (found := _IMAGE.match(name))]
                self.paths += [root / action / folder / found.string for found in images]
                number += [int(found[1]) for found in images]
                video += [f"{action}/{folder}"] * len(images)
                step += [3 if action in _FAST else self.length] * len(images)
                person += [int(match[1])] * len(images)
        self.person = np.array(person)
        self.starts = sliding(np.array(video), self.length, np.array(step), np.array(number))
        if not len(self.starts):
            raise ValueError(
                f"kth: people {people[0]}-{people[-1]} have {len(self.paths)} frames under {root} and no "
                f"{self.length} consecutive ones. Give longer clips, or shorter pre_seq_length and "
                "aft_seq_length."
            )

        frames = partial(_frames, shape=self.shape)
        self.source = Source(cached_images(self.paths, _plane, frames, beside=root, name="kth"), "kth")

    def windows(self, starts, augment=None) -> WindowDataset:
        return WindowDataset(self.source, starts + self.steps[0] - 1, *offsets(self.steps), augment=augment)


def _plane(image):
    return image if image.ndim == 2 else image[..., 0]


def _frames(planes, shape):
    return resize_planes(planes, shape[1:], "bilinear")[:, None] / 255


IMAGES = ImageFormat(lambda image, shape: resize(_plane(image), shape[1:], "bilinear")[..., None] / np.float32(255))


for _name, _steps, _full_sizes in (("kth", 20, (4_940, 3_030)), ("kth20", 20, (4_940, 3_030)), ("kth40", 40, None)):
    register_dataset(
        Dataset(
            _name,
            f"KTH actions: people in grey, 128 x 128, 10 -> {_steps}",
            make_entry([10, 1, 128, 128], _steps, ["mse", "mae", "ssim", "psnr", "lpips"]),
            load_splits,
            image_format=IMAGES,
            full_sizes=_full_sizes,
            makers={"synthetic": synthetic.kth},
            differences=frozenset({"selection"}),
        )
    )
