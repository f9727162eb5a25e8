"""Videos: every frame of a file."""

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...files import refuse_special
from ..cache import cached_file, fingerprint
from ..frames import Frames
from ..sources import Source
from .images import Pick, channels_first, channels_last, own_frame, picked, read_image

VIDEOS = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".webm")
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


class VideoFrames(Frames):
    """Frames of one or more videos, one after the other: quick only from one frame to the next.

    Args:
        counts: frames in each file.
        pick: makes a frame ``(H, W, C)`` of an image.
    """

    def __init__(self, files: Sequence[Path], counts: np.ndarray, pick: Pick):
        self._files, self._ends, self._pick = files, np.cumsum(counts), pick
        self.shape = (int(counts.sum()), *channels_first(pick(next(images_in(files[0]))).shape))
        self._upcoming: Iterator[np.ndarray] = iter(())
        self._place: int | None = None

    def stored(self, indices: np.ndarray) -> np.ndarray:
        first, end = int(indices.min()), int(indices.max()) + 1
        if self._place is None or first < self._place:  # a video is read from its start on
            self._upcoming, self._place = itertools.chain.from_iterable(map(images_in, self._files)), 0
        images = list(itertools.islice(self._upcoming, first - self._place, end - self._place))
        self._place = end
        names = [self._files[k] for k in np.searchsorted(self._ends, indices, side="right")]
        return picked((images[k] for k in indices - first), names, self._pick, channels_last(self.shape[1:]))


def open_videos(files: Sequence[Path], pick: Pick | None = None, *, beside: Path | None = None) -> Source:
    """The frames of one or more videos, each a series of its own.

    Args:
        pick: makes a frame of an image (default: :func:`~.images.own_frame`).
        beside: how many frames a video has is known only once it is decoded; keep that in the cache of this folder.
    """

    def counted():
        return (np.array([sum(1 for _ in images_in(path))]) for path in files)

    if beside is None:
        counts = np.concatenate(list(counted()))
    else:
        key = fingerprint(files)
        counts = np.load(cached_file(counted, (len(files),), np.int64, beside=beside, name="frame_counts", key=key))
    if not counts.all():
        raise ValueError(f"the video {files[int(np.argmin(counts))]} has no frames.")
    video = np.repeat(np.arange(len(files)), counts)
    return Source(VideoFrames(files, counts, pick or own_frame), video=video, paths=tuple(files))


def images_in(path: Path) -> Iterator[np.ndarray]:
    """The images of a video: bytes ``(H, W)`` or ``(H, W, 3)``."""
    import imageio.v3 as imageio

    refuse_special(path)
    try:
        for frame in imageio.imiter(path):
            yield frame if frame.ndim == 2 else frame[..., :3]
    except ImportError as error:
        raise ModuleNotFoundError(f'{path} needs a video reader: pip install "imageio[pyav]" ({error})') from error
    except (OSError, ValueError, RuntimeError, SyntaxError, LookupError, EOFError) as error:  # PIL of broken GIFs
        reason = (str(error) or type(error).__name__).splitlines()[0]  # ffmpeg's messages have dozens of lines
        raise ValueError(
            f'the video {path} cannot be read ({reason}): it may be damaged, or need pip install "imageio[pyav]".'
        ) from error


def _content(path: Path) -> bytes:
    refuse_special(path)
    return path.read_bytes()


def seq_offsets(path: Path) -> list[int]:
    """Where the JPEG images of a Norpix .seq video begin."""
    return [match.start() for match in re.finditer(re.escape(_JPEG), _content(path))]


def seq_images(path: Path, every: int) -> Iterator[np.ndarray]:
    """The last of each ``every`` images of a Norpix .seq video: bytes ``(H, W, 3)``."""
    data, offsets = _content(path), seq_offsets(path)
    for number in range(every - 1, len(offsets) // every * every, every):
        yield read_image(io.BytesIO(data[offsets[number] :]))
