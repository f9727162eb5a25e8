"""Arrays: ``.npy`` and ``.npz``."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...files import reading
from ...memory import refuse_too_large
from ...naming import choose
from ..frames import ArrayFrames, FileFrames, Frames, from_images
from ..sources import Source
from ..times import times_or_numbers

ARRAYS = (".npy", ".npz")


def open_array(path: Path, data_name: str | Sequence[str] | None = None, *, bytes_are_images: bool = True) -> Source:
    """The frames in ``path``: ``(T, H, W)``, ``(T, C, H, W)`` or ``(N, T, C, H, W)``; images ``(T, H, W, 3)``.

    Args:
        data_name: the array in an ``.npz``; needed where there are several, and none is called ``frames``. One called
            ``time`` or ``times`` says when the frames are.
        bytes_are_images: bring bytes to [0, 1]; else they are numbers as others are.

    Raises:
        ValueError: no array, damaged, or without what is asked for.
    """
    times, name = None, None
    with reading(path):
        content = np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None)
    if isinstance(content, np.ndarray):
        array = content
    else:
        names = [name for name in content.files if name not in ("time", "times")]
        if data_name is None and len(names) != 1 and "frames" not in names:
            raise ValueError(
                f"data_name is not given, and {path} has the arrays {', '.join(names)}: say which one, or call it frames."
            )
        name = choose("array", data_name or ("frames" if "frames" in names else names[0]), names)
        array = read_member(content, name, path)
        for key in {"time", "times"} & set(content.files):
            times = read_member(content, key, path)
        if times is not None and times.dtype.kind != "M":
            raise ValueError(
                f"{path}: its times must be datetime64, got {times.dtype}. Convert them, or leave them out."
            )
    return source_of_array(array, path, name, times=times, bytes_are_images=bytes_are_images, file=name is None)


def source_of_array(
    array: np.ndarray,
    where: Path | str = "the array",
    name: str | None = None,
    *,
    times: np.ndarray | None = None,
    bytes_are_images: bool = True,
    file: bool = False,
) -> Source:
    """The frames in ``array``, of the shapes that :func:`open_array` takes.

    Args:
        where: begins messages.
        file: ``array`` is mapped from the file ``where``, and is to stay there.
    """
    images = bytes_are_images and array.dtype == np.uint8
    view = _image_view if images else _number_view
    shape = view(array).shape
    if len(shape) != 4 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{where} holds {array.dtype} of shape {array.shape}; numbers (T, H, W), (T, C, H, W) or (N, "
            "T, C, H, W), or images (T, H, W, 3) are needed."
        )
    if times is not None and times.shape != shape[:1]:
        raise ValueError(f"{where} has {shape[0]} frames and times of shape {times.shape}.")
    decode = from_images if images else None
    frames: Frames = FileFrames(Path(where), decode, view) if file else ArrayFrames(view(array), decode)
    video = np.repeat(np.arange(len(array)), array.shape[1]) if array.ndim == 5 else None
    paths = (where,) if isinstance(where, Path) else ()
    return Source(frames, name, **times_or_numbers(times, where), video=video, field=not images, paths=paths)


def read_member(content: Any, name: str, path: Path) -> np.ndarray:
    """The array ``name`` of the open archive ``content``, which only now is read.

    Raises:
        ValueError: it is damaged, or unpacks to more than memory holds.
    """
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(f"{name}.npy").file_size
    refuse_too_large(f"{path}: the array {name}", size, " Save it as an .npy, which is read from disk piece by piece.")
    with reading(f"{path}: the array {name}"):
        return content[name]


def _number_view(array: np.ndarray) -> np.ndarray:
    """As ``(frames, C, H, W)``."""
    array = array.reshape(-1, *array.shape[2:]) if array.ndim == 5 else array
    return array[:, None] if array.ndim == 3 else array


def _image_view(array: np.ndarray) -> np.ndarray:
    """As ``(frames, H, W, C)``, as which images may be stored already."""
    if array.ndim == 4 and array.shape[-1] in (1, 3):
        return array
    array = _number_view(array)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
