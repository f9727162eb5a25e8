"""One file for each kind of file; :func:`open_source` finds the one."""

import glob
from collections.abc import Sequence
from pathlib import Path

from ...files import refuse_special
from ..sources import Source
from .arrays import ARRAYS, open_array
from .folders import files_in
from .images import IMAGES, Pick, open_images
from .stores import STORES, open_store
from .videos import VIDEOS, open_videos

__all__ = ["ARRAYS", "IMAGES", "STORES", "VIDEOS", "exists", "open_source"]


def exists(path: Path) -> bool:
    """Whether there is such a file or folder, or a file that fits a pattern such as ``sst_*.nc``."""
    return path.exists() or bool(matching(path))


def matching(pattern: Path) -> list[Path]:
    """The files that fit a pattern with ``*``, ``?`` or ``[...]``, sorted."""
    return [Path(name) for name in sorted(glob.glob(str(pattern)))] if glob.has_magic(str(pattern)) else []


def open_source(
    path: Path,
    data_name: str | Sequence[str] | None = None,
    *,
    level: Sequence[float] | None = None,
    pick: Pick | None = None,
    bytes_are_images: bool = True,
    keep_counts: bool = True,
) -> Source:
    """The frames in ``path``: an array, a store, a video, a folder of images, of videos or of NetCDF files, or the NetCDF
    files that fit a pattern.

    Args:
        data_name: the array in an ``.npz``, or the variables of a store; needed where there are several, and no array
            ``frames``.
        level: values of the levels of a store's variables to take (default: all).
        pick: makes a frame ``(H, W, C)`` of an image of bytes ``(H, W)`` or ``(H, W, 3)`` (default: as it is).
        bytes_are_images: whether an array of bytes is one of images.
        keep_counts: the number of frames in a video is known only once it is decoded; keep it in the cache.

    Raises:
        ValueError: of no such kind, damaged, or without what is asked for.
        ModuleNotFoundError: what reads such a file is not installed.
    """
    if path.exists():
        refuse_special(path)
    elif files := matching(path):
        if any(file.suffix.lower() not in STORES[:2] for file in files):
            raise ValueError(f"{path} fits {files[0].name} and others; of several files, NetCDF alone is read.")
        return open_store(path, data_name, level=level, files=files)
    suffix = path.suffix.lower()
    if level is not None and suffix not in STORES and not path.is_dir():
        raise ValueError(f"{path} has no levels; level={list(level)} is for NetCDF and Zarr. Leave it out.")
    if suffix in ARRAYS:
        return open_array(path, data_name, bytes_are_images=bytes_are_images)
    if suffix in STORES:
        return open_store(path, data_name, level=level)
    beside = path.parent if keep_counts else None
    if suffix in VIDEOS and path.is_file():
        return open_videos([path], pick, beside=beside)
    if not path.is_dir():
        raise ValueError(
            f"{path} is of no kind that is read: give an .npy, .npz, .nc or .zarr, a video, or a folder of "
            f"images ({', '.join(IMAGES)}), videos ({', '.join(VIDEOS)}) or NetCDF files."
        )
    read = {"images": IMAGES, "videos": VIDEOS, "NetCDF files": STORES[:2]}
    files = [p for p in files_in(path) if p.suffix.lower() in sum(read.values(), ())]
    kinds = [kind for kind, endings in read.items() if any(p.suffix.lower() in endings for p in files)]
    if len(kinds) != 1:
        raise ValueError(
            f"{path} holds {'both ' + ' and '.join(kinds) if kinds else 'neither images nor videos, and no NetCDF files'}; "
            f"give a folder of images ({', '.join(IMAGES)}), of folders of images, of videos ({', '.join(VIDEOS)}), or of "
            f"NetCDF files ({', '.join(STORES[:2])})."
        )
    if kinds == ["NetCDF files"]:
        return open_store(path, data_name, level=level, files=files)
    if level is not None:
        raise ValueError(f"{path} has no levels; level={list(level)} is for NetCDF and Zarr. Leave it out.")
    return open_videos(files, pick, beside=beside) if kinds == ["videos"] else open_images(files, pick)
