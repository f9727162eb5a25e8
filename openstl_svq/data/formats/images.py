"""Images: files of one frame each."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from ...files import refuse_special
from ..cache import fingerprint, kept_frames
from ..frames import Decode, Frames, chunk_length
from ..sources import Source

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
Pick = Callable[[np.ndarray], np.ndarray]  # an image, bytes (H, W) or (H, W, 3) -> what is kept of it


class ImageFrames(Frames):
    """Frames in image files, decoded when they are read.

    Args:
        path_of: the file of the frame with a given index.
        count: number of frames.
        pick: makes a frame ``(H, W, C)`` of an image.
        shape: of a frame, ``(C, H, W)``.
    """

    as_bytes = True

    def __init__(self, path_of: Callable[[int], str | Path], count: int, pick: Pick, shape: Sequence[int]):
        self._path_of, self._pick = path_of, pick
        self.shape = (count, *shape)

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """As :meth:`~openstl_svq.data.frames.Frames.stored`.

        Raises:
            ValueError: an image is missing, damaged, or of another shape.
        """
        paths = [self._path_of(int(index)) for index in indices]
        return picked(map(read_image, paths), paths, self._pick, channels_last(self.shape[1:]))


def cached_images(paths: Sequence[Path], pick: Pick, decode: Decode, *, beside: Path, name: str) -> Frames:
    """Frames in image files of one size, which are decoded once: kept in memory where they are few, else on disk.

    Args:
        paths: the files.
        pick: what is kept of an image: bytes ``(H, W)`` or ``(H, W, C)``.
        decode: what was kept of some images ``(n, ...)`` -> float32 ``(n, C, H, W)``.
        beside, name: of the file on disk, see :func:`~openstl_svq.data.cache.cached_file`.

    Raises:
        ValueError: an image is missing or damaged, or of another size than the first.
        OSError: no folder can be written, or the disk is full.
    """
    first = pick(read_image(paths[0]))
    shape, step = (len(paths), *first.shape), chunk_length(first.nbytes)

    def blocks():
        for begin in range(0, len(paths), step):
            part = paths[begin : begin + step]
            yield picked(map(read_image, part), part, pick, first.shape)

    key = [str(path.relative_to(beside)) for path in paths], fingerprint(paths)
    return kept_frames(blocks, shape, np.uint8, decode, beside=beside, name=name, key=key)


def picked(images: Iterable[np.ndarray], names: Sequence, pick: Pick, shape: tuple[int, ...]) -> np.ndarray:
    """What ``pick`` makes of ``images``, ``(n, *shape)``; a ValueError names the first that has another shape."""
    frames: list[np.ndarray] = []
    for name, image in zip(names, images):
        frames.append(pick(image))
        if frames[-1].shape != shape:
            given, others = (channels_first(size) if len(size) == 3 else size for size in (frames[-1].shape, shape))
            raise ValueError(f"{name} gives a frame of shape {given}, the others {others}; all must be alike.")
    return np.stack(frames)


def channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    """``(H, W, C)`` -> ``(C, H, W)``."""
    return (shape[2], *shape[:2])


def channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    """``(C, H, W)`` -> ``(H, W, C)``."""
    return (*shape[1:], shape[0])


def own_frame(image: np.ndarray) -> np.ndarray:
    """An image of bytes ``(H, W)`` or ``(H, W, 3)`` as a frame ``(H, W, C)`` with its own channels, 1 or 3."""
    return image.reshape(*image.shape[:2], -1)


def plain_frame(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An image of bytes ``(H, W)`` or ``(H, W, 3)`` as a frame ``(H, W, C)`` with the 1 or 3 channels of ``shape``."""
    if shape[0] == 1 and image.ndim == 3:
        image = (image @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    image = image[..., None] if image.ndim == 2 else image
    return np.broadcast_to(image, (*image.shape[:2], shape[0]))


@dataclass(frozen=True)
class ImageFormat:
    """How a dataset's loader makes frames of images.

    Attributes:
        pick: ``pick(image, shape)``: bytes ``(H, W)`` or ``(H, W, 3)`` -> a frame ``(H, W, C)``, bytes or numbers in
            [0, 1], for a dataset with frames of ``shape`` ``(C, H, W)``.
        stride: images from one frame to the next.
        blue_first: the channels are blue, green, red, as OpenCV reads them.
    """

    pick: Callable[[np.ndarray, Sequence[int]], np.ndarray] = plain_frame
    stride: int = 1
    blue_first: bool = False


def read_image(file: str | Path | BinaryIO) -> np.ndarray:
    """An image file (path or open file) as bytes ``(H, W)`` or ``(H, W, 3)``; transparency is left out.

    Raises:
        ValueError: there is no such file, it is damaged, or its values are no bytes.
    """
    with _opened(file) as image:
        if image.format != "PNG":
            return _bytes_of(image, file)
        image.verify()  # the check sums, which only this looks at; it cannot be read afterwards
    if not isinstance(file, (str, Path)):
        file.seek(0)
    with _opened(file) as image:
        return _bytes_of(image, file)


def _bytes_of(image, file) -> np.ndarray:
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert(_mode(image, file)))


def _mode(image, file) -> str:
    if image.mode.startswith(("I", "F")):  # PIL would cut such values to 0..255
        kind = "floating-point" if image.mode == "F" else "16-bit or 32-bit"
        raise ValueError(
            f"the image {file} has {kind} values, and images are bytes here. Scale it to 8 bits, or give "
            "the numbers as an array: -d custom --data_root FILE.npy."
        )
    return "L" if image.mode in ("1", "L", "LA", "La") else "RGB"


@contextmanager
def _opened(file):
    from PIL import Image

    try:
        if isinstance(file, (str, Path)):
            refuse_special(file)
        with Image.open(file) as image:
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                raise ValueError(
                    f"the image {file} has {image.n_frames} pages: give an image for each frame, or an "
                    "array (-d custom --data_root FILE.npy)."
                )
            yield image
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # PIL raises SyntaxError for broken files
        raise ValueError(
            f"the image {file} cannot be read ({error}): it is missing or damaged; fetch it again."
        ) from error


def resize(image: np.ndarray, size: Sequence[int], mode: str) -> np.ndarray:
    """``image`` (H, W) or (H, W, C) at ``size`` (h, w), float32, as OpenCV does ``bilinear`` or ``bicubic``."""
    planes = torch.from_numpy(image.reshape(*image.shape[:2], -1).transpose(2, 0, 1).astype(np.float32))
    return resize_planes(planes, size, mode).numpy().transpose(1, 2, 0).reshape(*size, *image.shape[2:])


def resize_planes(planes: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """``planes`` (n, H, W) at ``size`` (h, w), float32, as :func:`resize`."""
    planes = planes.float()
    if planes.shape[1:] == tuple(size):
        return planes
    return torch.nn.functional.interpolate(planes[:, None], size=tuple(size), mode=mode, align_corners=False)[:, 0]


def open_images(files: Sequence[Path], pick: Pick | None = None) -> Source:
    """The images in one or several folders, a series each, in the order of the numbers in their names.

    Args:
        pick: makes a frame ``(H, W, C)`` of an image (default: :func:`own_frame`).
    """
    folders = sorted({p.parent for p in files})
    for folder in folders:
        inside = next((p for p in folders if folder in p.parents), None)
        if inside:
            stray = next(p for p in files if p.parent == folder)
            raise ValueError(
                f"{stray} lies beside the folder of images {inside}: give one folder of images, or "
                "folders of images alone."
            )
    files = sorted(files, key=lambda p: (str(p.parent), _natural(p.stem)))
    pick = pick or own_frame
    frames = ImageFrames(files.__getitem__, len(files), pick, channels_first(pick(read_image(files[0])).shape))
    video = np.unique([str(p.parent) for p in files], return_inverse=True)[1]
    named = image_numbers(files)
    # Dates, for one, have a beginning of their own for each month: no frame is missing where it changes.
    alike = named is not None and len({(k, beginning) for k, (beginning, _) in zip(video, named)}) == video[-1] + 1
    numbers = np.array([number for _, number in named]) if named and alike else None
    return Source(frames, video=video, numbers=numbers, paths=tuple(files))


def image_numbers(files: Sequence[Path]) -> list[tuple[str, int]] | None:
    """What stands about the last number in each name, and that number; ``None`` where not every name has one."""
    found = [match for path in files if (match := re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem))]
    if len(found) < len(files):
        return None
    return [(f"{match[1]}*{match[3]}" if match[3] else match[1], int(match[2])) for match in found]


def _natural(name: str) -> list:
    """Sorts numbers in names as numbers: image-9 before image-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
