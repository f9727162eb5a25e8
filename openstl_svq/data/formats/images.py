"""Images: files of one frame each."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from ...files import refuse_special
from ..cache import fingerprint, kept_frames
from ..frames import Decode, Frames, chunk_length, from_images
from ..sources import Source

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")


class ImageFrames(Frames):
    """Frames in image files, decoded when they are read.

    Args:
        path_of: the file of the frame with a given index.
        count: number of frames.
        decode: image as an array ``(H, W)`` or ``(H, W, C)`` of bytes -> float32 ``(C, H, W)``.
        shape: of a decoded frame, ``(C, H, W)``.
    """

    def __init__(self, path_of: Callable[[int], str | Path], count: int, decode: Decode, shape: Sequence[int]):
        self._path_of, self._decode = path_of, decode
        self.shape = (count, *shape)

    def __len__(self):
        return self.shape[0]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """As :meth:`~openstl_svq.data.frames.Frames.read`.

        Raises:
            ValueError: an image is missing, damaged, or of another shape.
        """
        paths = [self._path_of(int(index)) for index in indices]
        return frames_of(map(read_image, paths), paths, self._decode, self.shape[1:])


def cached_images(paths: Sequence[Path], pick: Decode, decode: Decode, *, beside: Path, name: str) -> Frames:
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
            yield frames_of(map(read_image, part), part, pick, first.shape, np.uint8)

    key = [str(path.relative_to(beside)) for path in paths], fingerprint(paths)
    return kept_frames(blocks, shape, np.uint8, decode, beside=beside, name=name, key=key)


def frames_of(
    images: Iterable[np.ndarray], names: Sequence, decode: Decode, shape: tuple[int, ...], dtype: type = np.float32
) -> np.ndarray:
    """``images`` as frames ``(n, C, H, W)``; a ValueError names the first of another ``shape`` than ``(C, H, W)``."""
    frames: np.ndarray = np.empty((len(names), *shape), dtype=dtype)
    for k, image in enumerate(images):
        frame = decode(image)
        if frame.shape != shape:
            raise ValueError(f"{names[k]} gives a frame of shape {frame.shape}, the others {shape}; all must be alike.")
        frames[k] = frame
    return frames


def own_frame(image: np.ndarray) -> np.ndarray:
    """An image of bytes ``(H, W)`` or ``(H, W, 3)`` as a frame in [0, 1] with its own channels, 1 or 3."""
    return from_images(image.reshape(1, *image.shape[:2], -1))[0]


def plain_frame(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An image of bytes ``(H, W)`` or ``(H, W, 3)`` as a frame in [0, 1] with the 1 or 3 channels of ``shape``."""
    if shape[0] == 1 and image.ndim == 3:
        image = (image @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    image = image[..., None] if image.ndim == 2 else image
    return from_images(np.broadcast_to(image, (*image.shape[:2], shape[0]))[None])[0]


@dataclass(frozen=True)
class ImageFormat:
    """How a dataset's loader makes frames of images.

    Attributes:
        decode: ``decode(image, shape)``: bytes ``(H, W)`` or ``(H, W, 3)`` -> float32 ``(C, H, W)`` in [0, 1].
        stride: images from one frame to the next.
        blue_first: the channels are blue, green, red, as OpenCV reads them.
    """

    decode: Callable[[np.ndarray, Sequence[int]], np.ndarray] = plain_frame
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
    planes = resize_planes(image.reshape(*image.shape[:2], -1).transpose(2, 0, 1), size, mode)
    return planes.transpose(1, 2, 0).reshape(*size, *image.shape[2:])


def resize_planes(planes: np.ndarray, size: Sequence[int], mode: str) -> np.ndarray:
    """``planes`` (n, H, W) at ``size`` (h, w), as :func:`resize`."""
    planes = planes.astype(np.float32)
    if planes.shape[1:] == tuple(size):
        return planes
    stack = torch.from_numpy(planes)[:, None]
    return torch.nn.functional.interpolate(stack, size=tuple(size), mode=mode, align_corners=False)[:, 0].numpy()


def open_images(files: Sequence[Path], decode: Decode | None = None) -> Source:
    """The images in one or several folders, a series each, in the order of the numbers in their names.

    Args:
        decode: makes a frame of an image (default: :func:`own_frame`).
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
    decode = decode or own_frame
    frames = ImageFrames(files.__getitem__, len(files), decode, decode(read_image(files[0])).shape)
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
