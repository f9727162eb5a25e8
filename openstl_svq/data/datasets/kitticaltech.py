"""KittiCaltech: trained on KITTI (https://doi.org/10.1177/0278364913491297), tested on Caltech Pedestrian."""

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ...files import reading
from ...protocol import differences
from .. import synthetic
from ..cache import CachedFrames, cached_file, fingerprint
from ..formats.hickle import HickleImages, hickle_strings
from ..formats.videos import seq_images, seq_offsets
from ..frames import FileFrames, from_images
from ..registry import Dataset, Entry, make_entry, register_dataset
from ..sources import Source
from ..splits import train_and_test
from ..windows import CropAndFlip, WindowDataset, offsets, sliding

_EVERY = 3  # frames of a Caltech video


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool = False
) -> list[WindowDataset]:
    """Training, validation and test windows, in [0, 1], from either of OpenSTL's layouts.

    ``kitti_hkl/X_<split>.hkl`` and ``sources_<split>.hkl`` with ``caltech/data_cache.npy`` and ``indices_cache.npy`` or
    ``caltech/<set>/*.seq``; or ``kitticaltech_npy/<split>_data.npy`` and ``<split>_idx.npy``. ``strict`` validates on
    KITTI's own validation drives (``X_val``), or on the end of the training windows where there are none; ``openstl``
    on the test windows. As in OpenSTL, frames are red first but for the test frames that come from ``caltech``.
    """
    root = data_root
    steps = config["pre_seq_length"], config["aft_seq_length"]
    length, shape = sum(steps), tuple(config["in_shape"][1:])
    validation, videos = None, False
    if (root / "kitti_hkl").is_dir():
        train = _kitti(root / "kitti_hkl", "train", length)
        if "selection" not in differences(protocol) and (root / "kitti_hkl" / "X_val.hkl").exists():
            validation = _kitti(root / "kitti_hkl", "val", length)
        test, videos = _caltech(root / "caltech", length, shape[1:]), True
        warnings.warn(
            "kitticaltech: KITTI's frames are red first and Caltech's blue first, as in OpenSTL and so in "
            "published scores: the network is tested on exchanged colours.",
            stacklevel=3,
        )
    elif (root / "kitticaltech_npy").is_dir():
        train, test = (_npy(root / "kitticaltech_npy", split) for split in ("train", "test"))
    else:
        raise FileNotFoundError(
            f"kitticaltech: neither {root / 'kitti_hkl'} nor {root / 'kitticaltech_npy'} exists. "
            "Put OpenSTL's files there, name their parent with data_root, or make a small set: "
            f"python tools/make_sample_data.py -d kitticaltech --out {data_root}"
        )
    for where, (frames, starts) in {"training": train, "test": test, "validation": validation or test}.items():
        if frames.shape[1:] != shape:
            raise ValueError(
                f"kitticaltech: the {where} frames have shape {frames.shape[1:]}, in_shape "
                f"{config['in_shape']} asks for {shape}."
            )
        if not len(starts) or starts.min() < 0 or starts.max() + length > len(frames):
            raise ValueError(
                f"kitticaltech: no window of {length} frames fits, or the windows' list does not fit the "
                f"{len(frames)} {where} frames (it may be of another length). Shorten pre_seq_length and "
                "aft_seq_length."
            )

    def windows(split, chosen=None, augment=None, blue_first=False):
        frames, starts = split
        anchors = (starts if chosen is None else starts[chosen]) + steps[0] - 1
        source = Source(frames, "kitticaltech", blue_first=blue_first)
        return WindowDataset(source, anchors, *offsets(steps), augment=augment)

    if "selection" not in differences(protocol) and validation is None:
        train = train[0], np.sort(train[1])  # the last are held out
    return train_and_test(
        partial(windows, train),
        windows(test, blue_first=videos),
        group=np.zeros(len(train[1])),
        start=train[1],
        length=length,
        config=config,
        protocol=protocol,
        augment=CropAndFlip(0.95) if use_augment else None,
        validation=windows(validation) if validation else None,
    )


def _npy(folder, split):
    data, indices = folder / f"{split}_data.npy", folder / f"{split}_idx.npy"
    for path in (data, indices):
        if not path.exists():
            raise FileNotFoundError(f"kitticaltech: no file {path}.")
    return _images(data), _indices(indices)


def _indices(path) -> np.ndarray:
    with reading(path):
        return np.load(path).astype(np.int64)


def _images(path) -> FileFrames:
    with reading(path):
        stored = np.load(path, mmap_mode="r")
    if stored.ndim != 4 or stored.shape[-1] not in (1, 3):
        raise ValueError(f"{path} has shape {stored.shape}; images (N, H, W, 3) are needed.")
    if stored.dtype != np.uint8 and stored.dtype.kind != "f":
        raise ValueError(f"{path} holds {stored.dtype}; bytes, or numbers in [0, 1] are needed.")
    for k in (0, len(stored) // 2, len(stored) - 1) if stored.dtype != np.uint8 else ():
        if not (stored[k].min() >= 0 and stored[k].max() <= 1):
            raise ValueError(
                f"{path}: image {k} has values from {stored[k].min():g} to {stored[k].max():g}; numbers "
                "in [0, 1], or bytes are needed."
            )
    return FileFrames(path, from_images)


def _kitti(folder, split, length):
    """Frames of a split, and non-overlapping windows within its drives."""
    frames = folder / f"X_{split}.hkl"
    sources = hickle_strings(folder / f"sources_{split}.hkl")
    images = HickleImages(frames)
    if len(sources) != len(images):
        raise ValueError(f"{frames} has {len(images)} frames, {folder / f'sources_{split}.hkl'} names {len(sources)}.")
    return images, sliding(np.array(sources), length, np.full(len(sources), length))


def _caltech(folder, length, size):
    """Test frames and windows: OpenSTL's own cache, or the videos, decoded once into ours."""
    if not folder.is_dir():
        raise FileNotFoundError(f"kitticaltech: no folder {folder} with Caltech's videos or data_cache.npy.")
    if (folder / "data_cache.npy").exists():
        indices = folder / "indices_cache.npy"
        if not indices.exists():
            raise FileNotFoundError(f"kitticaltech: {folder} has data_cache.npy and no indices_cache.npy.")
        return _images(folder / "data_cache.npy"), _indices(indices)
    videos = sorted(folder.glob("*/*.seq"))
    if not videos:
        raise FileNotFoundError(f"kitticaltech: no {folder}/<set>/*.seq and no data_cache.npy there.")
    place = {"beside": folder.parent, "key": fingerprint(videos)}
    counts = np.load(
        cached_file(
            lambda: (np.array([len(seq_offsets(video)) // _EVERY]) for video in videos),
            (len(videos),),
            np.int64,
            name="caltech_counts",
            **place,
        )
    )
    path = cached_file(
        lambda: (frame for video in videos for frame in _decode(video, size)),
        (counts.sum(), *size, 3),
        np.uint8,
        name="caltech",
        **place,
    )
    video = np.repeat(np.arange(len(videos)), counts)
    return CachedFrames(path, from_images), sliding(video, length, np.full(len(video), length))


def _decode(path, size) -> Iterator[np.ndarray]:
    """Every third frame, scaled to ``size``'s height and cut to its width: bytes ``(1, H, W, 3)``, blue, green, red."""
    try:
        from skimage.transform import resize
    except ImportError as error:
        raise ImportError("Caltech's films need scikit-image: pip install 'openstl_svq[images]'") from error

    for image in seq_images(path, _EVERY):
        image = image[..., ::-1]
        width = round(size[0] / image.shape[0] * image.shape[1])
        image = resize(image, (size[0], width), preserve_range=True)
        left = (width - size[1]) // 2
        yield image[None, :, left : left + size[1]].astype(np.uint8)


register_dataset(
    Dataset(
        "kitticaltech",
        "KittiCaltech: the view from a car, 128 x 160 in colour, 10 -> 1",
        make_entry([10, 3, 128, 160], 1, ["mse", "mae", "ssim", "psnr", "lpips"]),
        load_splits,
        full_sizes=(3_160, 3_095),
        makers={"synthetic": synthetic.kitticaltech},
        differences=frozenset({"selection"}),
    )
)
