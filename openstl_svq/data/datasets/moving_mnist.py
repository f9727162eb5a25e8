"""Moving MNIST (Srivastava et al. 2015, arXiv:1502.04681) and its variants: two digits that bounce off the borders."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...files import reading
from ...naming import choose
from ...protocol import differences
from ..formats.images import resize
from ..frames import Frames
from ..registry import Dataset, Entry, make_entry, register_dataset
from ..sources import Source
from ..splits import train_and_test
from ..windows import CropAndFlip, WindowDataset, offsets

SEQUENCES = 10_000  # an epoch of training
_DIGIT, _STEP = 28, 0.1  # pixels; the way that a digit goes in a frame, as a share of the room it has
_HOLE, _BLACK, _TURN = 24, 0.2, 0.2  # noise of input frames: side of a hole, share of black frames, deviation of a step
NOISES = ("perceptual", "missing", "dynamic")
_FOLDERS = {
    "mnist": "moving_mnist",
    "fmnist": "moving_fmnist",
    "mnist_cifar": "moving_mnist",
    "noisymmnist": "moving_mnist",
}
_TESTS = {"fmnist": "fmnist_test_seq.npy", "mnist_cifar": "mnist_cifar_test_seq.npy"}


class MovingDigits(Frames):
    """Sequences of two digits over black or a picture, one after the other; frame k is of sequence ``k // length``.

    Each digit starts anywhere in a direction drawn at random and turns back at the borders. Where digits overlap, the
    brighter counts.

    Args:
        digits: bytes ``(N, 28, 28)`` to draw from.
        steps: input and target frames of a sequence.
        size: height and width of a frame.
        count: sequences.
        backgrounds: bytes ``(N, h, w, 3)``, scaled to ``size``; frames then have three channels.
        noise: what disturbs the input frames, of ``NOISES``.
        seed: of sequences that stay the same; ``None`` draws them anew each time, from torch's generator.
    """

    as_bytes = True

    def __init__(
        self,
        digits: np.ndarray,
        steps: tuple[int, int],
        size: int,
        count: int,
        *,
        backgrounds: np.ndarray | None = None,
        noise: str | None = None,
        seed: int | None = None,
    ):
        self.digits, self.steps, self.size, self.backgrounds = digits, steps, size, backgrounds
        self.noise, self.seed, self.draws = noise, seed, seed is None
        self.shape = (count * sum(steps), 1 if backgrounds is None else 3, size, size)

    def stored(self, indices: np.ndarray) -> np.ndarray:
        sequences, at = np.divmod(np.asarray(indices), sum(self.steps))
        images = np.empty((len(indices), self.size, self.size, self.shape[1]), dtype=np.uint8)
        for sequence in np.unique(sequences):
            chosen = sequences == sequence
            images[chosen] = self._sequence(int(sequence))[at[chosen]]
        return images

    def _sequence(self, number: int) -> np.ndarray:
        """Bytes ``(T, H, W, C)``."""
        rng = np.random.default_rng(int(torch.randint(2**62, ())) if self.seed is None else [self.seed, number])
        known, length = self.steps[0], sum(self.steps)
        frames = np.zeros((length, self.size, self.size, self.shape[1]), dtype=np.uint8)
        if self.backgrounds is not None:
            picture = resize(self.backgrounds[rng.integers(len(self.backgrounds))], (self.size, self.size), "bicubic")
            frames[:] = picture.round().clip(0, 255)
        for _ in range(2):
            digit = self.digits[rng.integers(len(self.digits)), ..., None]
            if self.backgrounds is not None:
                digit = np.where(digit > 1, 255, digit)
            for frame, (row, column) in zip(frames, self._path(rng, length, known)):
                place = frame[row : row + _DIGIT, column : column + _DIGIT]
                np.maximum(place, digit, out=place)
        if self.noise == "perceptual":
            for frame, (row, column) in zip(frames[:known], rng.integers(self.size - _HOLE, size=(known, 2))):
                frame[row : row + _HOLE, column : column + _HOLE] = 0
        elif self.noise == "missing":
            frames[:known][rng.random(known) < _BLACK] = 0
        return frames

    def _path(self, rng: np.random.Generator, length: int, known: int) -> np.ndarray:
        """The upper left corner of a digit in each frame, ``(T, 2)``."""
        place, angle = rng.random(2), 2 * np.pi * rng.random()
        steps = np.tile(_STEP * np.array([np.sin(angle), np.cos(angle)]), (length, 1))
        if self.noise == "dynamic":
            steps[:known] += _STEP * rng.normal(0, _TURN, (known, 2))
        sign, path = np.ones(2), np.empty((length, 2))
        for k, step in enumerate(steps):
            place = place + sign * step
            sign = np.where((place <= 0) | (place >= 1), -sign, sign)
            place = path[k] = place.clip(0, 1)
        return ((self.size - _DIGIT) * path).astype(np.int64)


class _TestFile(Frames):
    """``(T, N, H, W)`` or ``(T, N, H, W, 3)`` bytes in a file, as sequence after sequence."""

    def __init__(self, path: Path, shape):
        self.path = path
        with reading(path):
            stored = np.load(path, mmap_mode="r").shape
        channels = stored[4] if len(stored) == 5 else 1
        if len(stored) not in (4, 5) or (channels, *stored[2:4]) != tuple(shape):
            raise ValueError(f"{path} has shape {stored}; (frames, sequences, {shape[1]}, {shape[2]}) is needed.")
        self.length = stored[0]
        self.shape = (stored[0] * stored[1], *shape)

    def stored(self, indices: np.ndarray) -> np.ndarray:
        sequence, step = np.divmod(np.asarray(indices), self.length)
        images = np.load(self.path, mmap_mode="r")[step, sequence]
        return images.reshape(len(images), *self.shape[2:], self.shape[1])


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool = False
) -> list[WindowDataset]:
    """Training sequences from digits, drawn anew each time; test sequences from OpenSTL's file of them.

    ``moving_mnist/train-images-idx3-ubyte.gz`` and ``mnist_test_seq.npy`` (``moving_fmnist`` of FashionMNIST;
    ``cifar10/`` of ``mmnist_cifar``). ``strict`` validates on sequences that stay the same, of the last
    ``val_fraction`` of the digits, which training then does not have; ``openstl`` on the test file.
    """
    kind = config["data_name"]
    folder = data_root / _FOLDERS[choose("data_name", kind, _FOLDERS)]
    steps, size = (config["pre_seq_length"], config["aft_seq_length"]), config["in_shape"][2]
    if size < _DIGIT or config["in_shape"][3] != size:
        raise ValueError(f"{dataset.name}: frames are squares of {_DIGIT} pixels and more, got {config['in_shape']}.")
    test = _TestFile(
        _there(dataset, folder / _TESTS.get(kind, "mnist_test_seq.npy"), data_root), config["in_shape"][1:]
    )
    if sum(steps) > test.length:
        raise ValueError(
            f"{test.path} has sequences of {test.length} frames, too short for --pre_seq_length {steps[0]} and "
            f"--aft_seq_length {steps[1]} together."
        )
    digits = _digits(_there(dataset, folder / "train-images-idx3-ubyte.gz", data_root))
    backgrounds = _cifar(data_root / "cifar10") if kind == "mnist_cifar" else None
    noise = choose("noise_type", config["noise_type"], NOISES) if "noise_type" in config else None
    held_out = max(1, round(config.get("val_fraction", 0.1) * len(digits)))
    make = partial(MovingDigits, steps=steps, size=size, backgrounds=backgrounds, noise=noise)

    def windows(frames: Frames, count: int, length: int, augment=None):
        at = np.arange(count) * length + steps[0] - 1
        return WindowDataset(Source(frames, dataset.name), at, *offsets(steps), augment=augment)

    selects = "selection" in differences(protocol)
    training = digits if selects else digits[:-held_out]
    fixed = make(digits[-held_out:], count=SEQUENCES // 10, seed=0)
    return train_and_test(
        lambda chosen, augment=None: windows(make(training, count=len(chosen)), len(chosen), sum(steps), augment),
        windows(test, test.shape[0] // test.length, test.length),
        group=np.zeros(SEQUENCES),
        start=np.arange(SEQUENCES),
        length=1,
        config=config,
        protocol=protocol,
        augment=CropAndFlip(0.94) if use_augment else None,
        validation=windows(fixed, SEQUENCES // 10, sum(steps)),
    )


def _there(dataset: Dataset, path: Path, data_root: Path) -> Path:
    if not path.is_file():
        made = f", or make a small set: python tools/make_sample_data.py -d {dataset.name} --out {data_root}"
        raise FileNotFoundError(
            f"{dataset.name}: no file {path}. Put OpenSTL's file there, or name the folder that holds "
            f"{path.parent.name} with --data_root{made if dataset.makers else ''}."
        )
    return path


def _digits(path: Path) -> np.ndarray:
    """The images of a file in MNIST's format: bytes ``(N, 28, 28)``."""
    with reading(path), gzip.open(path, "rb") as file:
        values = np.frombuffer(file.read(), np.uint8)
    head = values[:16].tobytes()
    magic, count, *shape = np.frombuffer(head, ">i4") if len(head) == 16 else np.zeros(4, int)
    if magic != 2051 or shape != [_DIGIT, _DIGIT] or len(values) != 16 + count * _DIGIT**2:
        raise ValueError(f"{path} is no file of {_DIGIT} x {_DIGIT} images in MNIST's format.")
    return values[16:].reshape(-1, _DIGIT, _DIGIT)


def _cifar(folder: Path) -> np.ndarray:
    """All pictures of CIFAR-10, whose pickles torchvision checks before it reads them: bytes ``(N, 32, 32, 3)``."""
    from torchvision.datasets import CIFAR10

    try:
        return np.concatenate([CIFAR10(folder, train=train).data for train in (True, False)])
    except RuntimeError as error:
        raise FileNotFoundError(
            f"mmnist_cifar: {folder} does not hold CIFAR-10, or it is damaged. Unpack "
            f"https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz there: {folder / 'cifar-10-batches-py'}."
        ) from error


def _synthetic(root, kind: str, *, seed=0, digits=200, sequences=20) -> list[Path]:
    """Rings and bars in place of digits, in the files that the loader reads."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:_DIGIT, :_DIGIT]
    away = np.hypot(y - 14, x - 14)
    radius, turn, ring = rng.uniform(5, 10, digits), rng.uniform(0, np.pi, digits), rng.random(digits) < 0.5
    across = [np.abs((y - 14) * np.cos(t) + (x - 14) * np.sin(t)) for t in turn]
    shapes = [np.abs(away - r) < 2 if o else (a < 2) & (away < 11) for r, a, o in zip(radius, across, ring)]
    images = 255 * np.array(shapes, dtype=np.uint8)
    folder = Path(root) / _FOLDERS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "train-images-idx3-ubyte.gz", folder / _TESTS.get(kind, "mnist_test_seq.npy")]
    head = np.array([2051, *images.shape], dtype=">i4").tobytes()
    paths[0].write_bytes(gzip.compress(head + images.tobytes(), mtime=0))
    moving = MovingDigits(images, (10, 10), 64, sequences, seed=seed)
    frames = (255 * moving.read(np.arange(len(moving)))).round().astype(np.uint8)
    np.save(paths[1], frames.reshape(sequences, 20, 64, 64).swapaxes(0, 1))
    return paths


for _name, _kind, _what in (
    ("mmnist", "mnist", "two digits"),
    ("mfmnist", "fmnist", "two pieces of clothing"),
    ("mmnist_cifar", "mnist_cifar", "two digits over a photograph"),
    ("noisymmnist", "noisymmnist", "two digits, disturbed in the input frames of training (noise_type)"),
):
    _more = {"noise_type": NOISES[0]} if _kind == "noisymmnist" else {}
    register_dataset(
        Dataset(
            _name,
            f"Moving MNIST: {_what}, 64 x 64, 10 -> 10",
            make_entry(
                [10, 3 if "cifar" in _name else 1, 64, 64], 10, ["mse", "mae", "ssim", "psnr"], data_name=_kind, **_more
            ),
            load_splits,
            makers={} if "cifar" in _name else {"synthetic": partial(_synthetic, kind=_kind)},
            differences=frozenset({"selection"}),
        )
    )
