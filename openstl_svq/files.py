"""Files that are complete or absent."""

import errno
import glob
import os
import platform
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a system answers where no more can be written: the disk is full, or this user's share of it, or the file too large.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a name to write to; what was written takes the place of ``path`` when the block ends without an error.

    A full disk, an interruption or a power cut leaves the old file or the new one, nothing between. Folders are made
    as needed. What writers that were killed have left of the same file is removed.

    >>> with replacing("scores.txt") as partial:  # doctest: +SKIP
    ...     partial.write_text("1")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    begin, end = f".{path.stem}.{platform.node()}.", f".partial{path.suffix}"  # the ending tells some the format
    for left in path.parent.glob(f"{glob.escape(begin)}*{glob.escape(end)}"):
        process = left.name[len(begin) : -len(end)]
        if process.isdecimal() and not _is_alive(int(process)):
            left.unlink(missing_ok=True)
    partial = path.with_name(f"{begin}{os.getpid()}{end}")
    try:
        yield partial
        flush_to_disk(partial)
        os.replace(partial, path)
    except OSError as error:
        if error.errno in DISK_FULL and error.filename in (None, str(partial)):  # a write does not know where it goes
            raise OSError(error.errno, f"{path} could not be written: {error.strerror}. Make room for it") from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """A text file, complete or absent; see :func:`replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        pass
    return True


def flush_to_disk(path: str | os.PathLike) -> None:
    """Waits until the system has written ``path``: renamed before that, a file can be empty after a power cut."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def inside(folder: str | os.PathLike, name: str, what: str) -> Path:
    """``folder/name``, if that lies in ``folder``.

    Args:
        what: ``name`` is called in the message.

    Raises:
        ValueError: it lies elsewhere, or is ``folder`` itself.
    """
    folder = Path(os.path.abspath(folder))
    path = Path(os.path.abspath(folder / name))
    if folder not in path.parents:
        raise ValueError(f"{what} must name a folder inside {folder}, got {name!r}.")
    return path


def refuse_special(path: Path | str) -> os.stat_result:
    """What is known of ``path``; a ValueError if reading it could wait for ever, as from a pipe or a device."""
    about = os.stat(path)
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise ValueError(f"{path} is no file and no folder, but a pipe, a socket or a device.")
    return about


@contextmanager
def reading(what: Path | str) -> Iterator[None]:
    """Turns the errors that a damaged file or archive raises into a ValueError that names ``what`` is read.

    A path is refused at once where it is neither a file nor a folder.
    """
    if isinstance(what, Path):
        refuse_special(what)
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{what} cannot be read ({error}): it may be damaged or cut off, or hold objects instead of numbers. "
            "Fetch it again."
        ) from error
