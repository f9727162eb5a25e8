"""One file for each kind of file; :func:`open_source` finds the one."""

from collections.abc import Sequence
from pathlib import Path

from ...files import refuse_special
from ..frames import Decode
from ..sources import Source
from .arrays import ARRAYS, open_array
from .folders import files_in
from .images import IMAGES, open_images
from .stores import STORES, open_store
from .videos import VIDEOS, open_videos

__all__ = ["ARRAYS", "IMAGES", "STORES", "VIDEOS", "open_source"]


def open_source(
    path: Path,
    data_name: str | Sequence[str] | None = None,
    *,
    decode: Decode | None = None,
    bytes_are_images: bool = True,
    keep_counts: bool = True,
) -> Source:
    """The frames in ``path``: an array, a store, a video, or a folder of images or videos.

    Args:
        data_name: the array in an ``.npz``, or the variables of a store; needed where there are several, and no array
            ``frames``.
        decode: makes a frame ``(C, H, W)`` of an image of bytes ``(H, W)`` or ``(H, W, 3)`` (default: as it is).
        bytes_are_images: whether an array of bytes is one of images.
        keep_counts: the number of frames in a video is known only once it is decoded; keep it in the cache.

    Raises:
        ValueError: of no such kind, damaged, or without what is asked for.
        ModuleNotFoundError: what reads such a file is not installed.
    """
    if path.exists():
        refuse_special(path)
    suffix = path.suffix.lower()
    if suffix in ARRAYS:
        return open_array(path, data_name, bytes_are_images=bytes_are_images)
    if suffix in STORES:
        return open_store(path, data_name)
    beside = path.parent if keep_counts else None
    if suffix in VIDEOS and path.is_file():
        return open_videos([path], decode, beside=beside)
    if not path.is_dir():
        raise ValueError(
            f"{path} is of no kind that is read: give an .npy, .npz, .nc or .zarr, a video, or a folder of "
            f"images ({', '.join(IMAGES)}) or videos ({', '.join(VIDEOS)})."
        )
    files = [p for p in files_in(path) if p.suffix.lower() in IMAGES + VIDEOS]
    kinds = {p.suffix.lower() in VIDEOS for p in files}
    if not files or len(kinds) > 1:
        raise ValueError(
            f"{path} holds {'both images and videos' if files else 'neither images nor videos'}; give a "
            f"folder of images ({', '.join(IMAGES)}), of folders of images, or of videos "
            f"({', '.join(VIDEOS)})."
        )
    return open_videos(files, decode, beside=beside) if kinds.pop() else open_images(files, decode)
