"""Arrays too large for memory, decoded once and kept on disk."""

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import DISK_FULL, flush_to_disk, replacing
from .frames import ArrayFrames, Decode, FileFrames, Frames, channel_statistics, chunk_length, in_chunks, per_channel

try:
    import fcntl
except ImportError:  # not on Windows; there, processes that start at once each build, and the last one's copy stays
    fcntl = None  # type: ignore[assignment]

ENVIRONMENT, FOLDER = "OPENSTL_SVQ_CACHE", ".openstl_svq_cache"
IN_MEMORY = 512 * 2**20
_VERSION = 1  # of the decoding: a higher one makes every copy anew


def fingerprint(paths: Iterable[Path]) -> list:
    """What tells whether source files have changed: name, size and time of each."""
    return [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in sorted(paths)]


def cache_frames(frames: Frames, *, beside: Path, name: str, key: object, memory_limit: int | None = None) -> Frames:
    """``frames`` where windows can be read from fast: in memory if they are few, else in a file on disk.

    Args:
        frames: slow to read.
        beside, name, key: of the file, see :func:`cached_file`.
        memory_limit: bytes of float32 up to which frames stay in memory (default: ``IN_MEMORY``).

    Raises:
        OSError: no folder can be written, or the disk is full.
    """

    def blocks():
        return (values for _, values in in_chunks(frames))

    return kept_frames(blocks, frames.shape, np.float32, beside=beside, name=name, key=key, memory_limit=memory_limit)


def kept_frames(
    blocks: Callable[[], Iterable[np.ndarray]],
    shape: Sequence[int],
    dtype: np.dtype | type,
    decode: Decode | None = None,
    *,
    memory_limit: int | None = None,
    **place: Any,
) -> ArrayFrames:
    """Frames of ``blocks()``, one after the other, in memory if they are few, else in a :func:`cached_file`.

    Args:
        shape, dtype: of all blocks together.
        decode: makes frames ``(n, C, H, W)`` of what is kept.
        memory_limit: bytes up to which they stay in memory (default: ``IN_MEMORY``).
        **place: ``beside``, ``name`` and ``key`` of the file.
    """
    limit = IN_MEMORY if memory_limit is None else memory_limit
    if math.prod(shape) * np.dtype(dtype).itemsize > limit:
        return CachedFrames(cached_file(blocks, shape, dtype, **place), decode)
    array = np.empty(shape, dtype=dtype)
    begin = 0
    for block in blocks():
        array[begin : begin + len(block)] = block
        begin += len(block)
    return ArrayFrames(array, decode)


class CachedFrames(FileFrames):
    """Frames in a :func:`cached_file`, each compared with its check sum whenever it is read.

    Raises:
        ValueError: a frame is not what was written.
    """

    def __init__(self, path: Path, decode: Decode | None = None):
        self._sums = _saved_sums(path)
        super().__init__(path, decode)

    def _at(self, indices) -> np.ndarray:
        values = super()._at(indices)
        if not np.array_equal(_sums(values), self._sums[indices]):
            raise ValueError(
                f"the cache {self.path} has changed on disk since this run began, or cannot be read reliably. Start "
                "the run again (--resume): the cache is then checked and built anew."
            )
        return values


def cached_file(
    blocks: Callable[[], Iterable[np.ndarray]],
    shape: Sequence[int],
    dtype: np.dtype | type,
    *,
    beside: Path,
    name: str,
    key: object,
) -> Path:
    """A ``.npy`` file of ``blocks()``, one after the other along the first axis.

    It is built unless a finished one for the same ``key`` exists, and appears under its name only when it is complete.
    Processes that start at once wait for the first one's. A check sum of each entry of the first axis follows the
    array: a file that is not what was written is built again.

    Args:
        shape, dtype: of the whole.
        beside: the data's folder; the file goes to ``.openstl_svq_cache`` in it, or where ``OPENSTL_SVQ_CACHE`` says,
            or to the user's cache folder if the first cannot be written.
        name: begins the file's name.
        key: everything that the content depends on, the sources' :func:`fingerprint` with it.

    Raises:
        OSError: no folder can be written, or the disk is full.
    """
    digest = hashlib.sha256(repr((_VERSION, key, tuple(shape), np.dtype(dtype).str)).encode()).hexdigest()[:20]
    folders = _folders(beside)
    for folder in folders:
        if _is_sound(folder / f"{name}-{digest}.npy", shape, dtype):
            return folder / f"{name}-{digest}.npy"
    path = _writable(folders) / f"{name}-{digest}.npy"
    with _locked(path.with_suffix(".lock")) as alone:
        if not _is_sound(path, shape, dtype):
            if path.exists():
                warnings.warn(
                    f"the cache {path} is damaged, or of an earlier version: it is built again.", stacklevel=2
                )
            if alone:  # then these are of processes that were killed
                for left in path.parent.glob(f"{glob.escape(path.stem)}.*.part"):
                    left.unlink(missing_ok=True)
            _build(path, blocks(), shape, dtype)
    return path


def cached_statistics(
    frames: Frames, of: Callable = channel_statistics, part_of: Frames | None = None, key: object = None
) -> tuple[np.ndarray, np.ndarray]:
    """``of(frames)``, two arrays ``(1, C, 1, 1)``, kept beside frames that lie in a cache.

    Args:
        part_of: all frames, where ``frames`` are some of them, told from others by ``key``.
    """
    stored = frames if part_of is None else part_of
    if not isinstance(stored, FileFrames):
        return of(frames)
    beside = Path(stored.path)
    digest = "" if key is None else "-" + hashlib.sha256(repr((of.__name__, key)).encode()).hexdigest()[:12]
    path = beside.with_name(f"{beside.stem}{digest}.json")
    saved = _saved_statistics(path)
    if saved is None:
        saved = [v.ravel().tolist() for v in of(frames)]
        # A cache that has become read-only: computed again next time.
        with contextlib.suppress(OSError), replacing(path) as partial:
            partial.write_text(json.dumps({"statistics": saved, "crc32": zlib.crc32(json.dumps(saved).encode())}))
    return per_channel(saved[0]), per_channel(saved[1])


def _saved_statistics(path: Path) -> list | None:
    """What :func:`cached_statistics` has kept, or ``None`` where there is nothing that can be relied on."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        saved, crc = record["statistics"], record["crc32"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return saved if zlib.crc32(json.dumps(saved).encode()) == crc else None


def _sums(values: np.ndarray) -> np.ndarray:
    """CRC-32 of each entry of the first axis: uint32 ``(n,)``."""
    return np.array([zlib.crc32(np.ascontiguousarray(value).data) for value in values], dtype="<u4")


def _saved_sums(path) -> np.ndarray:
    """The check sums behind the array in ``path``."""
    count = len(np.load(path, mmap_mode="r"))
    with open(path, "rb") as file:
        file.seek(-4 * count, os.SEEK_END)
        return np.frombuffer(file.read(), dtype="<u4")


def _is_sound(path: Path, shape, dtype) -> bool:
    """Whether ``path`` holds such an array, byte for byte as it was written."""
    try:
        stored = np.load(path, mmap_mode="r")
        size = stored.offset + stored.nbytes + 4 * len(stored)
        if stored.shape != tuple(shape) or stored.dtype != dtype or path.stat().st_size != size:
            return False
        sums = _saved_sums(path)
        step = chunk_length(max(1, stored.nbytes // max(1, len(stored))))
        return all(np.array_equal(_sums(stored[k : k + step]), sums[k : k + step]) for k in range(0, len(stored), step))
    except (OSError, ValueError, EOFError, AttributeError):  # not there, cut off, or no array
        return False


def _folders(beside) -> list[Path]:
    named = [Path(os.environ[ENVIRONMENT])] if os.environ.get(ENVIRONMENT) else []
    # expanduser leaves "~" where there is no home: then a folder of that name, as the last of three, is no harm.
    user = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "openstl_svq"
    return [*named, Path(beside) / FOLDER, user]


def _writable(folders: list[Path]) -> Path:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    raise OSError(
        f"none of {', '.join(map(str, folders))} can be written, and the data are too large for memory: name "
        f"a folder with room in the environment variable {ENVIRONMENT}."
    )


@contextlib.contextmanager
def _locked(path: Path):
    """Held by one process at a time, which is told so.

    A file system that has no locks lets all through, which costs time alone.
    """
    with open(path, "w") as file:
        alone = False
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                alone = True
            except OSError as error:
                warnings.warn(
                    f"{path.parent} cannot be locked ({error}): each process builds the cache by itself.", stacklevel=2
                )
        yield alone


def _build(path: Path, blocks: Iterable[np.ndarray], shape, dtype):
    part = path.with_suffix(f".{os.getpid()}.part")
    dtype = np.dtype(dtype)
    needed = dtype.itemsize * math.prod(int(n) for n in shape)
    try:
        if needed > shutil.disk_usage(path.parent).free:  # better said before than after the disk is full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with open(part, "wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": dtype.str, "fortran_order": False, "shape": tuple(int(n) for n in shape)}
            )
            size = file.tell() + needed
            sums = []
            for block in blocks:
                block = np.ascontiguousarray(block, dtype=dtype)
                file.write(block.data)
                sums.append(_sums(block))
            if file.tell() != size:
                raise ValueError(f"the data that {path.name} is made of changed while they were read: start again.")
            file.write(b"".join(map(bytes, sums)))
        flush_to_disk(part)
        os.replace(part, path)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        raise OSError(
            error.errno,
            f"{path.parent} has no room for {1e-9 * needed:.1f} GB of decoded data ({1e-9 * free:.1f} GB are free): make "
            f"room, or name another folder in the environment variable {ENVIRONMENT}",
        ) from error
    finally:
        part.unlink(missing_ok=True)
