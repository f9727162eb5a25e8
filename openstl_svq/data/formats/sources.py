"""What holds a user's own data: an array, a NetCDF or Zarr store, images, or videos."""

import itertools
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...naming import choose
from ..cache import CachedFrames, at_hand, cached_file, fingerprint
from ..frames import ArrayFrames, chunk_length, from_images, image_shape, read_image
from .weather_files import open_netcdf

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
VIDEOS = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".webm")


class Source:
    """Where frames are, and what is known of them.

    Args:
        read: ``read(begin, end)`` gives these frames: numbers ``(n, C, H, W)``, or bytes ``(n, H, W, C)``.
        images: whether they are bytes.
        shape: ``(N, C, H, W)`` of all frames.
        name: of the variable, or a list of several.
        times: datetime64 ``(N,)``, increasing, or ``None``.
        numbers: that tell gaps where there are no times, such as those in the names of images, ``(N,)``, increasing
            within a series, or ``None``.
        video: which series each frame belongs to, ``(N,)``; by default there is one.
        units, lat, lon: of the data, or ``None``.
        channels: name and unit of each channel, if they are known.
        paths: all files.
    """

    def __init__(
        self,
        read,
        shape,
        *,
        images=False,
        name=None,
        times=None,
        numbers=None,
        video=None,
        units=None,
        lat=None,
        lon=None,
        channels=None,
        paths=(),
    ):
        self._read, self.shape, self.images, self.name = read, tuple(int(n) for n in shape), images, name
        self.times, self.numbers = times, numbers
        self.video = np.zeros(shape[0], dtype=np.int64) if video is None else video
        self.units, self.lat, self.lon, self.channels, self.paths = units, lat, lon, channels, paths
        self.cut = (slice(None), slice(None))

    def crop(self, size):
        """Keeps ``size`` (height, width) out of the middle of each frame; ``None`` keeps all."""
        if size is None:
            return
        count, channels, *full = self.shape
        whole = isinstance(size, (list, tuple)) and all(type(n) is int for n in size)
        if not whole or len(size) != 2 or not all(0 < small <= large for small, large in zip(size, full)):
            raise ValueError(f"crop must be a height and a width up to {full[0]} x {full[1]}, got {size!r}.")
        begin = [(large - small) // 2 for small, large in zip(size, full)]
        self.cut = tuple(slice(b, b + s) for b, s in zip(begin, size))
        self.shape = (count, channels, *size)
        self.lat, self.lon = (None if v is None else v[c] for v, c in zip((self.lat, self.lon), self.cut))

    @property
    def stretch(self) -> np.ndarray:
        """Which stretch without a gap each frame belongs to, ``(N,)``."""
        place = self.numbers if self.times is None else self.times
        border = np.diff(self.video) != 0
        if place is not None and not border.all():
            # Months and years differ in length, so what is half as long again as the usual interval is a gap, and what
            # is as much shorter another interval.
            apart = np.diff(place)
            apart = apart.astype(np.int64) if apart.dtype.kind == "m" else apart
            usual = np.median(apart[~border])
            border |= (apart > 1.5 * usual) | (1.5 * apart < usual)
        return np.concatenate([[0], np.cumsum(border)])

    def stored(self, begin: int, end: int) -> np.ndarray:
        """Frames as they are stored, once cropped: numbers ``(n, C, H, W)``, or bytes ``(n, H, W, C)`` of images."""
        rows, columns = self.cut
        values = self._read(begin, end)
        return values[:, rows, columns] if self.images else values[..., rows, columns]

    def decoded(self, begin: int, end: int) -> np.ndarray:
        """Frames ``(n, C, H, W)`` float32, images in [0, 1]."""
        values = self.stored(begin, end)
        return from_images(values) if self.images else np.asarray(values, dtype=np.float32)

    def frames(self, path: Path) -> ArrayFrames:
        """The frames where windows are read from fast; numbers that are not finite are an error."""
        key = (str(path.resolve()), self.name, str(self.cut), fingerprint(self.paths))
        if self.images:
            count, channels, *size = self.shape
            step = chunk_length(channels * size[0] * size[1])
            file = cached_file(
                lambda: (self.stored(k, min(k + step, count)) for k in range(0, count, step)),
                (count, *size, channels),
                np.uint8,
                beside=path.parent,
                name=path.stem,
                key=key,
            )
            return CachedFrames(file, from_images)
        return at_hand(_Checked(self, path), beside=path.parent, name=path.stem, key=key)


class _Checked(ArrayFrames):
    """A source's frames as numbers, each looked at once."""

    def __init__(self, source, path):
        self.source, self.path, self.shape = source, path, source.shape

    def read(self, indices):
        first = int(indices[0])
        values = self.source.decoded(first, int(indices[-1]) + 1)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, channel, i, j = bad[0]
            when = "" if self.source.times is None else f" ({self.source.times[first + frame]})"
            raise ValueError(
                f"{self.path}: frame {first + frame}{when} has NaN, a fill value or infinity, the first "
                f"in channel {channel} at row {i}, column {j}. Fill them in, or take those frames out."
            )
        return values


def open_source(path: Path, data_name: str | list[str] | None = None, *, keep_counts: bool = True) -> Source:
    """The frames in ``path``: ``.npy``, ``.npz``, ``.nc``, ``.zarr``, a video, or a folder of images or videos.

    Args:
        data_name: the array in an ``.npz``, or the variables of a store; needed where there are several, and no array
            ``frames``.
        keep_counts: the number of frames in a video is known only once it is decoded; keep it in the cache.

    Raises:
        ValueError: of no such kind, damaged, or without what is asked for.
        ModuleNotFoundError: what reads such a file is not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _from_array(_loaded(path), path, again=lambda: np.load(path, mmap_mode="r"))
    if suffix == ".npz":
        file = _loaded(path)
        names = [name for name in file.files if name not in ("time", "times")]
        if data_name is None and len(names) != 1 and "frames" not in names:
            raise ValueError(
                f"{path} has the arrays {', '.join(names)}: say which one with data_name, or call it frames."
            )
        name = choose("array", data_name or ("frames" if "frames" in names else names[0]), names)
        times = next((_array_in(file, key, path) for key in ("time", "times") if key in file.files), None)
        if times is not None and times.dtype.kind != "M":
            raise ValueError(
                f"{path}: its times must be datetime64, got {times.dtype}. Convert them, or leave them out."
            )
        return _from_array(_array_in(file, name, path), path, name, times)
    if suffix in (".nc", ".nc4", ".zarr"):
        return _from_store(path, data_name)
    if path.is_dir():
        return _from_folder(path, keep_counts)
    if suffix in VIDEOS:
        return _from_videos([path], path.parent if keep_counts else None)
    raise ValueError(
        f"{path} is of no kind that is read: give an .npy, .npz, .nc or .zarr, a video, or a folder of "
        f"images ({', '.join(IMAGES)}) or videos ({', '.join(VIDEOS)})."
    )


def _loaded(path):
    try:
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): it may be cut off, or hold objects instead of numbers."
        ) from error


def _array_in(file, name: str, path) -> np.ndarray:
    """An array of an .npz, which is only now read."""
    try:
        return file[name]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: the array {name} cannot be read ({error}): the file may be damaged, or hold objects "
            "instead of numbers."
        ) from error


def _as_frames(array: np.ndarray) -> np.ndarray:
    """``(T, H, W)``, ``(T, C, H, W)`` or ``(N, T, C, H, W)`` as ``(frames, C, H, W)``; images ``(frames, H, W, C)``."""
    if array.ndim == 5:
        array = array.reshape(-1, *array.shape[2:])
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.dtype == np.uint8 and array.shape[-1] not in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    return array


def _from_array(array, path, name=None, times=None, again: Callable[[], np.ndarray] | None = None) -> Source:
    """``again`` opens a file anew: a map kept open would count every page ever touched as this process's memory."""
    video = np.repeat(np.arange(len(array)), array.shape[1]) if array.ndim == 5 else None
    array = _as_frames(array)
    if array.ndim != 4 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{path} holds {array.dtype} of shape {array.shape}; numbers (T, H, W), (T, C, H, W) or (N, "
            "T, C, H, W), or images (T, H, W, 3) are needed."
        )
    images = array.dtype == np.uint8
    if times is not None and len(times) != len(array):
        raise ValueError(f"{path} has {len(array)} frames and {len(times)} times.")
    shape = (len(array), array.shape[3], *array.shape[1:3]) if images else array.shape

    def read(begin, end):
        return array[begin:end] if again is None else np.array(_as_frames(again())[begin:end])

    if again is not None:
        del array
    return Source(read, shape, images=images, name=name, **_when(times, path), video=video, paths=[path])


def _from_store(path, data_name) -> Source:
    import xarray as xr

    try:
        data = xr.open_zarr(path) if path.suffix == ".zarr" else open_netcdf(path)
    except ImportError as error:
        raise ModuleNotFoundError(f"{path} needs zarr, which is not installed: pip install zarr ({error})") from error
    except (OSError, RuntimeError, KeyError) as error:
        if path.suffix != ".zarr" or isinstance(error, PermissionError):
            raise
        raise ValueError(
            f"{path} cannot be read ({error}): it must be a Zarr group with named variables, as xarray's "
            "to_zarr writes it, and may be cut off."
        ) from error
    usable = [str(name) for name in data.data_vars if 3 <= data[name].ndim <= 4]
    names = [data_name] if isinstance(data_name, str) else list(data_name or usable[:1])
    if not usable:
        raise ValueError(f"{path} has no variable (time, y, x) or (time, z, y, x).")
    if data_name is None and len(usable) > 1:
        raise ValueError(f"{path} has the variables {', '.join(usable)}: say which with data_name.")
    for name in names:
        choose("variable", name, usable)
    arrays = [_time_first(data[name], path) for name in names]
    if len({a.dims for a in arrays}) > 1 or len({a.shape for a in arrays}) > 1:
        raise ValueError(f"{path}: {', '.join(names)} have different dimensions; they cannot be channels of one frame.")
    time, *_, y, x = arrays[0].dims
    times = arrays[0].coords[time].values if time in arrays[0].coords else None
    channels = sum(a.shape[1] if a.ndim == 4 else 1 for a in arrays)
    shape = (arrays[0].shape[0], channels, *arrays[0].shape[-2:])

    def read(begin, end):
        parts = [a.isel({time: slice(begin, end)}).values for a in arrays]
        return np.concatenate([p if p.ndim == 4 else p[:, None] for p in parts], axis=1)

    units = {a.attrs.get("units") for a in arrays}
    described = [
        (name if a.ndim == 3 else f"{name} {a.dims[1]} {z:g}", a.attrs.get("units"))
        for name, a in zip(names, arrays)
        for z in ([0] if a.ndim == 3 else _places(a, a.dims[1]))
    ]
    lat, lon = _degrees(arrays[0], y, "latitude"), _degrees(arrays[0], x, "longitude")
    lat, lon = (None, None) if lat is None or lon is None else (lat, lon)
    return Source(
        read,
        shape,
        name=names[0] if len(names) == 1 else names,
        **_when(times, path),
        units=units.pop() if len(units) == 1 else None,
        lat=lat,
        lon=lon,
        channels=described,
        paths=[path] if path.is_file() else _files_in(path),
    )


def _time_first(array, path):
    """The variable with its dimension of time in front: ``time``, the one with dates, or the first as it is."""
    dated = [str(dim) for dim in array.dims if dim in array.coords and array[dim].dtype.kind in "MO"]
    if "time" in array.dims or len(dated) == 1:
        array = array.transpose("time" if "time" in array.dims else dated[0], ...)
    elif dated:
        raise ValueError(
            f"{path}: {array.name} has several dimensions with dates ({', '.join(dated)}); call the one "
            "that frames follow each other along time."
        )
    return array


def _degrees(array, dim: str, what: str) -> np.ndarray | None:
    """The coordinate along ``dim`` if it is latitude or longitude by its name or as the CF conventions mark it."""
    if dim not in array.coords or array[dim].dtype.kind not in "iuf":
        return None
    names = {str(dim).lower(), str(array[dim].attrs.get("standard_name", "")).lower()}
    units = str(array[dim].attrs.get("units", "")).lower()
    direction = {"latitude": "n", "longitude": "e"}[what]
    marked = re.fullmatch(rf"degrees?_?{direction}(orth|ast)?", units)
    return array[dim].values if marked or names & {what, what[:3]} else None


def _places(array, dim) -> np.ndarray:
    """Coordinates along a dimension, or numbers from 0 where it has none that are numbers."""
    numbered = dim in array.coords and array[dim].dtype.kind in "iuf"
    return array[dim].values if numbered else np.arange(array.sizes[dim])


def _from_folder(path, keep_counts) -> Source:
    files = [p for p in _files_in(path) if p.suffix.lower() in IMAGES + VIDEOS]
    kinds = {p.suffix.lower() in VIDEOS for p in files}
    if not files or len(kinds) > 1:
        raise ValueError(
            f"{path} holds {'both images and videos' if files else 'neither images nor videos'}; give a "
            f"folder of images ({', '.join(IMAGES)}), of folders of images, or of videos "
            f"({', '.join(VIDEOS)})."
        )
    return _from_videos(files, path.parent if keep_counts else None) if kinds.pop() else _from_images(files)


def _files_in(folder: Path) -> list[Path]:
    """All files below ``folder``, hidden ones and hidden folders aside; an OSError if one cannot be looked into."""

    def refuse(error):
        raise error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _from_images(files) -> Source:
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
    shape = _one_shape(files, [image_shape(p) for p in files])
    video = np.unique([str(p.parent) for p in files], return_inverse=True)[1]
    named = image_numbers(files)
    # Dates, for one, have a beginning of their own for each month: no frame is missing where it changes.
    alike = named and len({(k, beginning) for k, (beginning, _) in zip(video, named)}) == video[-1] + 1
    return Source(
        lambda begin, end: np.stack([_image(p) for p in files[begin:end]]),
        (len(files), *shape),
        images=True,
        video=video,
        numbers=np.array([number for _, number in named]) if alike else None,
        paths=files,
    )


def image_numbers(files: list[Path]) -> list[tuple[str, int]] | None:
    """What stands about the last number in each name, and that number; ``None`` where not every name has one."""
    found = [re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem) for path in files]
    if not all(found):
        return None
    return [(f"{match[1]}*{match[3]}" if match[3] else match[1], int(match[2])) for match in found]


def _natural(name: str) -> list:
    """Sorts numbers in names as numbers: image-9 before image-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _from_videos(files, beside) -> Source:
    def counted():
        return (np.array([sum(1 for _ in _video(p))]) for p in files)

    counts = (
        np.concatenate(list(counted()))
        if beside is None
        else np.load(
            cached_file(counted, (len(files),), np.int64, beside=beside, name="frame_counts", key=fingerprint(files))
        )
    )
    if not counts.all():
        raise ValueError(f"the video {files[int(np.argmin(counts))]} has no frames.")
    shape = _one_shape(files, [next(_video(p)).shape for p in files])
    upcoming, place = iter(()), None

    def read(begin, end):
        nonlocal upcoming, place
        if place is None or begin < place:  # a video is read from its start on
            upcoming, place = itertools.chain.from_iterable(map(_video, files)), 0
        frames = np.stack(list(itertools.islice(upcoming, begin - place, end - place)))
        place = end
        return frames

    return Source(
        read, (counts.sum(), *shape), images=True, video=np.repeat(np.arange(len(files)), counts), paths=files
    )


def _one_shape(files, shapes) -> tuple[int, int, int]:
    """``(C, H, W)`` of images ``(H, W, C)``, which must all be alike."""
    for file, shape in zip(files, shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"{file} is {shape[0]} x {shape[1]} with {shape[2]} channels, {files[0]} {shapes[0][0]} x "
                f"{shapes[0][1]} with {shapes[0][2]}; all must be alike."
            )
    height, width, channels = shapes[0]
    return channels, height, width


def _image(path):
    image = read_image(path)
    return image if image.ndim == 3 else image[..., None]


def _video(path):
    import imageio.v3 as imageio

    try:
        for frame in imageio.imiter(path):
            yield frame[..., None] if frame.ndim == 2 else frame[..., :3]
    except ImportError as error:
        raise ModuleNotFoundError(f'{path} needs a video reader: pip install "imageio[pyav]" ({error})') from error
    except (OSError, ValueError, RuntimeError, SyntaxError, LookupError, EOFError) as error:  # PIL of broken GIFs
        reason = (str(error) or type(error).__name__).splitlines()[0]  # ffmpeg's messages have dozens of lines
        raise ValueError(
            f'the video {path} cannot be read ({reason}): it may be damaged, or need pip install "imageio[pyav]".'
        ) from error


def _when(times, path) -> dict:
    """``times`` of a :class:`Source` if they are dates to the minute, else ``numbers``, by which gaps are seen too."""
    if times is None or len(times) == 0:
        return {}
    if times.dtype.kind == "O":  # of a calendar that xarray has no datetime64 for
        times = _standard(times, path)
    if times.dtype.kind not in "Miuf":
        raise ValueError(f"{path}: its times are {times.dtype}, neither dates nor numbers.")
    missing = np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times)
    rising = np.diff(times) > (np.timedelta64(0) if times.dtype.kind == "M" else 0)
    if missing.any() or not rising.all():
        at = int(np.argmax(missing)) if missing.any() else int(np.argmin(rising)) + 1
        before = f" follows {times[at - 1]}" if at else ""
        raise ValueError(f"{path}: times must increase, but {times[at]}{before}. Sort them, and drop what is twice.")
    if times.dtype.kind == "M" and (times.astype("datetime64[m]") == times).all():
        return {"times": times.astype("datetime64[m]")}
    if times.dtype.kind == "M":
        warnings.warn(
            f"{path}: its times are finer than a minute. Gaps are seen, but splits are by share, and "
            "forecasts carry no dates.",
            stacklevel=4,
        )
        times = times.astype("datetime64[ms]").astype(np.int64)
    return {"numbers": times}


def _standard(times: np.ndarray, path) -> np.ndarray:
    """Dates of another calendar by their parts; its intervals are then a day longer where it has no 29 February."""
    calendar = getattr(times[0], "calendar", "another")
    try:
        return np.array(
            [f"{t.year:04}-{t.month:02}-{t.day:02}T{t.hour:02}:{t.minute:02}:{t.second:02}" for t in times],
            dtype="datetime64[s]",
        )
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: its times are of the calendar {calendar}, with days that no year has ({error}). "
            "Convert them, as with xarray's convert_calendar."
        ) from error
