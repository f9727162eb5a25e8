"""Where frames come from: one small interface, so that windows over them need no copy per dataset."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch


def from_images(images: np.ndarray) -> np.ndarray:
    """Images ``(n, H, W, C)`` of bytes, or of numbers in [0, 1], to ``(n, C, H, W)`` float32 in [0, 1]."""
    frames = images.transpose(0, 3, 1, 2).astype(np.float32)
    return frames / np.float32(255) if images.dtype == np.uint8 else frames


class ArrayFrames:
    """Frames in memory.

    Args:
        array: ``(N, C, H, W)``, or what ``decode`` makes that of.
    """

    def __init__(self, array: np.ndarray, decode: Callable[[np.ndarray], np.ndarray] | None = None):
        self._array, self._decode = array, decode
        self.shape = (len(array), *self.read(slice(0, 0)).shape[1:])

    def __len__(self):
        return self.shape[0]

    def read(self, indices) -> np.ndarray:
        """The frames at ``indices``: float32 ``(n, C, H, W)``, in the data's own unit."""
        values = self._at(indices)
        return values.astype(np.float32, copy=False) if self._decode is None else self._decode(values)

    def _at(self, indices) -> np.ndarray:
        """The frames as they are stored."""
        return self._stored()[indices]

    def _stored(self):
        return self._array


class FileFrames(ArrayFrames):
    """Frames in one ``.npy`` file that stays on disk.

    The file is mapped anew for each read: a map kept open would count every page ever touched as this process's
    memory, and would not survive being sent to a worker.

    Args:
        path: an array as :class:`ArrayFrames` takes it.
    """

    def __init__(self, path, decode: Callable[[np.ndarray], np.ndarray] | None = None):
        self.path = path
        super().__init__(self._stored(), decode)
        del self._array

    def _stored(self):
        return np.load(self.path, mmap_mode="r")


class ImageFrames:
    """Frames in image files, decoded when they are read.

    Args:
        path_of: the file of the frame with a given index.
        count: number of frames.
        decode: image as an array ``(H, W)`` or ``(H, W, C)`` of bytes -> float32 ``(C, H, W)``.
        shape: of a decoded frame, ``(C, H, W)``.
    """

    def __init__(self, path_of: Callable[[int], str], count: int, decode: Callable[[np.ndarray], np.ndarray], shape):
        self._path_of, self._decode = path_of, decode
        self.shape = (count, *shape)

    def __len__(self):
        return self.shape[0]

    def read(self, indices) -> np.ndarray:
        """As :meth:`ArrayFrames.read`.

        Raises:
            ValueError: an image is missing, damaged, or of another shape.
        """
        frames = np.empty((len(indices), *self.shape[1:]), dtype=np.float32)
        for k, index in enumerate(indices):
            path = self._path_of(index)
            frame = self._decode(read_image(path))
            if frame.shape != self.shape[1:]:
                raise ValueError(f"{path} gives a frame of shape {frame.shape}, the others {self.shape[1:]}.")
            frames[k] = frame
        return frames


def plain_frame(image: np.ndarray, shape) -> np.ndarray:
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

    decode: Callable[[np.ndarray, tuple[int, int, int]], np.ndarray] = plain_frame
    stride: int = 1
    blue_first: bool = False


def read_image(file) -> np.ndarray:
    """An image file (path or open file) as bytes ``(H, W)`` or ``(H, W, 3)``; transparency is left out.

    Raises:
        ValueError: there is no such file, it is damaged, or its values are no bytes.
    """
    with _opened(file) as image:
        return np.asarray(image if image.mode in ("L", "RGB") else image.convert(_mode(image, file)))


def image_shape(file) -> tuple[int, int, int]:
    """``(H, W, C)`` of what :func:`read_image` gives (C is 1 of grey), from the beginning of the file."""
    with _opened(file) as image:
        return image.height, image.width, 1 if _mode(image, file) == "L" else 3


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
        with Image.open(file) as image:
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                raise ValueError(
                    f"the image {file} has {image.n_frames} pages: give an image for each frame, or an "
                    "array (-d custom --data_root FILE.npy)."
                )
            yield image
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for some broken files
        raise ValueError(
            f"the image {file} cannot be read ({error}): it is missing or damaged; fetch it again."
        ) from error


def resize(image: np.ndarray, size, mode: str) -> np.ndarray:
    """``image`` (H, W) or (H, W, C) at ``size`` (h, w), float32, as OpenCV does ``bilinear`` or ``bicubic``."""
    if image.shape[:2] == tuple(size):
        return image.astype(np.float32)
    planes = torch.from_numpy(image.astype(np.float32)).reshape(*image.shape[:2], -1).permute(2, 0, 1)[None]
    planes = torch.nn.functional.interpolate(planes, size=tuple(size), mode=mode, align_corners=False)
    return planes[0].permute(1, 2, 0).reshape(*size, *image.shape[2:]).numpy()


_CHUNK_BYTES, _CHUNK_FRAMES = 64 * 2**20, 512


def chunk_length(frame_bytes: int) -> int:
    """How many frames are read at a time where all are read."""
    return max(1, min(_CHUNK_FRAMES, _CHUNK_BYTES // frame_bytes))


def in_chunks(frames) -> Iterator[tuple[int, np.ndarray]]:
    """All of ``frames`` in order, some at a time, each chunk with the index of its first frame."""
    chunk = chunk_length(4 * int(np.prod(frames.shape[1:])))
    for begin in range(0, len(frames), chunk):
        yield begin, frames.read(np.arange(begin, min(begin + chunk, len(frames))))


def channel_statistics(frames) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each channel over time and space: float32 ``(1, C, 1, 1)``.

    Summed in float64, chunk by chunk, each chunk about its own mean.
    """
    count, mean, squares = 0, 0.0, 0.0
    for _, values in in_chunks(frames):
        values = values.astype(np.float64)
        n = values.size // values.shape[1]
        chunk_mean = values.mean(axis=(0, 2, 3))
        chunk_squares = ((values - chunk_mean[:, None, None]) ** 2).sum(axis=(0, 2, 3))
        shift = chunk_mean - mean
        squares = squares + chunk_squares + shift**2 * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n
    std = np.sqrt(squares / count)
    return tuple(v.astype(np.float32).reshape(1, -1, 1, 1) for v in (mean, std))
