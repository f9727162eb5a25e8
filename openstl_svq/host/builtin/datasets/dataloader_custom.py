"""A user's own data: one array, one NetCDF or Zarr store, or a folder of frames or videos."""

import itertools
import zipfile
from pathlib import Path

import numpy as np

from ....naming import choose
from .cache import at_hand, cached_file, cached_statistics, fingerprint
from .frames import ArrayFrames, FileFrames, from_images, in_chunks, read_image
from .times import SPLITS, period, refuse_overlap
from .windows import CropAndFlip, WindowDataset, unbroken

_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
_VIDEOS = {".gif", ".mp4", ".avi", ".mov", ".mkv", ".webm"}
_KINDS = ("standard", "minmax", "none")


def load_splits(dataname, data_root, config, *, protocol, use_augment=False) -> list[WindowDataset]:
    """Training, validation and test windows of a user's data.

    ``data_root`` is one of

    - ``.npy``, or ``.npz`` with the array ``data_name`` (and ``time``, datetime64, if it has one): ``(T, H, W)``,
      ``(T, C, H, W)``, ``(N, T, C, H, W)``, or images ``(T, H, W, 3)`` of bytes;
    - ``.nc`` or ``.zarr`` with the variable ``data_name``, or several, which become channels: ``(time, y, x)`` or
      ``(time, z, y, x)``;
    - a folder of images (one series, in the order of their names), of folders of images, or of videos.

    Args:
        config: ``in_shape``, ``pre_seq_length``, ``aft_seq_length``; ``data_name``; ``split``: shares of training,
            validation and test, in order of time, whole videos where there are three or more; or ``train_time``,
            ``val_time``, ``test_time``, where the data have times; ``normalise``: ``standard`` (mean and deviation of
            each channel), ``minmax`` (to [0, 1]), both of the training part, or ``none`` (images are in [0, 1] anyway);
            ``crop``: height and width to cut out of the middle.

    Raises:
        FileNotFoundError, ValueError: the data are not there, or not as asked for.
    """
    if protocol != "strict":
        raise ValueError(f"{dataname} data are not in OpenSTL, so there is no protocol openstl for them: --protocol "
                         "strict.")
    path = Path(data_root)
    if not path.exists():
        raise FileNotFoundError(f"{dataname}: there is no {path}. Give --data_root an .npy, .npz, .nc or .zarr, or a "
                                "folder of frames or videos.")
    source = _open(path, config.get("data_name"))
    source.crop(config.get("crop"))
    frames = source.frames(path)
    _same_shape(frames, config["in_shape"], config.get("crop"), path)
    idx_in = np.arange(1 - config["pre_seq_length"], 1)
    idx_out = np.arange(1, config["aft_seq_length"] + 1)
    segment = source.video
    if source.times is not None and len(source.times) > 1:
        segment = _without_gaps(source.times)
    anchors = unbroken(segment, idx_in, idx_out)

    datasets, scaling = [], None
    for name, split in zip(("training", "validation", "test"), _split(source, config)):
        inside = anchors[np.isin(anchors + idx_in[0], split) & np.isin(anchors + idx_out[-1], split)]
        if not len(inside):
            raise ValueError(f"{path}: the {name} part has {len(split)} frames and no {len(idx_in)} + {len(idx_out)} "
                             "in a row, which one window needs. Give more data, another split, or shorter "
                             "pre_seq_length and aft_seq_length.")
        if scaling is None:
            scaling = _scaling(frames, split, config.get("normalise") or ("none" if source.images else "standard"))
        datasets.append(WindowDataset(
            frames, inside, idx_in, idx_out, data_name=source.name or path.stem, mean=scaling[0], std=scaling[1],
            times=source.times, split=split, units=source.units, lat=source.lat, lon=source.lon,
            augment=CropAndFlip(0.95) if use_augment and name == "training" else None))
    return datasets


class _Source:
    """Where the frames are, and what is known of them.

    ``read(begin, end)`` gives numbers ``(n, C, H, W)``, or bytes ``(n, H, W, C)`` with ``images``; it is called for one
    stretch after the other.
    """

    def __init__(self, read, shape, *, images=False, name=None, times=None, video=None, units=None, lat=None, lon=None,
                 paths=()):
        self.read, self.shape, self.images, self.name = read, tuple(int(n) for n in shape), images, name
        self.times = times
        self.video = np.zeros(shape[0], dtype=np.int64) if video is None else video
        self.units, self.lat, self.lon, self.paths = units, lat, lon, paths
        self.cut = (slice(None), slice(None))

    def crop(self, size):
        if size is None:
            return
        count, channels, *full = self.shape
        if len(size) != 2 or not all(0 < small <= large for small, large in zip(size, full)):
            raise ValueError(f"crop must be a height and a width up to {full[0]} x {full[1]}, got {size!r}.")
        begin = [(large - small) // 2 for small, large in zip(size, full)]
        self.cut = tuple(slice(b, b + s) for b, s in zip(begin, size))
        self.shape = (count, channels, *size)
        self.lat, self.lon = (None if v is None else v[c] for v, c in zip((self.lat, self.lon), self.cut))

    def frames(self, path):
        """The frames where windows are read from fast; numbers that are not finite are an error."""
        key = (str(path.resolve()), self.name, str(self.cut), fingerprint(self.paths))
        if self.images:
            rows, columns = self.cut
            count, channels, *size = self.shape
            file = cached_file(
                lambda: (self.read(k, min(k + 256, count))[:, rows, columns] for k in range(0, count, 256)),
                (count, *size, channels), np.uint8, beside=path.parent, name=path.stem, key=key)
            return FileFrames(file, from_images)
        return at_hand(_Checked(self, path), beside=path.parent, name=path.stem, key=key)


class _Checked(ArrayFrames):
    """A source's frames as numbers, each looked at once."""

    def __init__(self, source, path):
        self.source, self.path, self.shape = source, path, source.shape

    def read(self, indices):
        first = int(indices[0])
        values = np.asarray(self.source.read(first, int(indices[-1]) + 1)[(..., *self.source.cut)], dtype=np.float32)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, channel, i, j = bad[0]
            when = "" if self.source.times is None else f" ({self.source.times[first + frame]})"
            raise ValueError(f"{self.path}: frame {first + frame}{when} has NaN, a fill value or infinity, the first "
                             f"in channel {channel} at row {i}, column {j}. Fill them in, or take those frames out.")
        return values


# ---- kinds of files ----


def _without_gaps(times) -> np.ndarray:
    """Which stretch without a gap each time belongs to. Months and years differ in length, so what is half as long again
    as the usual interval is a gap."""
    apart = np.diff(times).astype(np.int64)
    return np.concatenate([[0], np.cumsum(apart > 1.5 * np.median(apart))])


def _open(path, data_name) -> _Source:
    if path.suffix == ".npy":
        return _from_array(_loaded(path), path)
    if path.suffix == ".npz":
        file = _loaded(path)
        names = [name for name in file.files if name not in ("time", "times")]
        if data_name is None and len(names) != 1:
            raise ValueError(f"{path} has the arrays {', '.join(names)}: say which one with data_name.")
        name = choose("array", data_name or names[0], names)
        times = next((file[key].astype("datetime64[m]") for key in ("time", "times") if key in file.files), None)
        return _from_array(file[name], path, name, times)
    if path.suffix == ".nc" or path.suffix == ".zarr":
        return _from_store(path, data_name)
    if path.is_dir():
        return _from_folder(path)
    raise ValueError(f"{path} is of no kind that is read: give an .npy, .npz, .nc or .zarr, or a folder of frames or "
                     "videos.")


def _loaded(path):
    try:
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({error}): it may be cut off, or hold objects instead of numbers."
                         ) from error


def _from_array(array, path, name=None, times=None) -> _Source:
    video = None
    if array.ndim == 5:
        video = np.repeat(np.arange(len(array)), array.shape[1])
        array = array.reshape(-1, *array.shape[2:])
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.dtype.kind not in "biuf":
        raise ValueError(f"{path} holds {array.dtype} of shape {array.shape}; numbers (T, H, W), (T, C, H, W) or (N, "
                         "T, C, H, W), or images (T, H, W, 3) are needed.")
    images = array.dtype == np.uint8
    if images and array.shape[-1] not in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if times is not None and len(times) != len(array):
        raise ValueError(f"{path} has {len(array)} frames and {len(times)} times.")
    shape = (len(array), array.shape[3], *array.shape[1:3]) if images else array.shape
    return _Source(lambda begin, end: array[begin:end], shape, images=images, name=name, times=_increasing(times, path),
                   video=video, paths=[path])


def _from_store(path, data_name) -> _Source:
    import xarray as xr
    try:
        data = xr.open_zarr(path) if path.suffix == ".zarr" else xr.open_dataset(path)
    except ImportError as error:
        raise ModuleNotFoundError(f"{path} needs zarr, which is not installed: pip install zarr ({error})") from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} cannot be read ({error}): it may be cut off.") from error
    usable = [str(name) for name in data.data_vars if 3 <= data[name].ndim <= 4]
    names = [data_name] if isinstance(data_name, str) else list(data_name or usable[:1])
    if data_name is None and len(usable) != 1:
        raise ValueError(f"{path} has the variables {', '.join(usable)}: say which with data_name.")
    for name in names:
        choose("variable", name, usable)
    arrays = [data[name].transpose("time", ...) if "time" in data[name].dims else data[name] for name in names]
    if len({a.dims for a in arrays}) > 1 or len({a.shape for a in arrays}) > 1:
        raise ValueError(f"{path}: {', '.join(names)} have different dimensions; they cannot be channels of one frame.")
    time, *_, y, x = arrays[0].dims
    times = arrays[0].coords[time].values if time in arrays[0].coords else None
    times = times.astype("datetime64[m]") if times is not None and times.dtype.kind == "M" else None
    channels = sum(a.shape[1] if a.ndim == 4 else 1 for a in arrays)
    shape = (arrays[0].shape[0], channels, *arrays[0].shape[-2:])

    def read(begin, end):
        parts = [a.isel({time: slice(begin, end)}).values for a in arrays]
        return np.concatenate([p if p.ndim == 4 else p[:, None] for p in parts], axis=1)

    units = {a.attrs.get("units") for a in arrays}
    lat, lon = (arrays[0].coords[d].values if d in arrays[0].coords else None for d in (y, x))
    return _Source(read, shape, name=names[0] if len(names) == 1 else names, times=_increasing(times, path),
                   units=units.pop() if len(units) == 1 else None, lat=lat, lon=lon,
                   paths=[path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()))


def _from_folder(path) -> _Source:
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in _IMAGES | _VIDEOS and not p.name.startswith("."))
    kinds = {p.suffix.lower() in _VIDEOS for p in files}
    if not files or len(kinds) > 1:
        raise ValueError(f"{path} holds {'both images and videos' if files else 'neither images nor videos'}; give a "
                         f"folder of images ({', '.join(sorted(_IMAGES))}), of folders of images, or of videos "
                         f"({', '.join(sorted(_VIDEOS))}).")
    if kinds.pop():
        counts = np.load(cached_file(lambda: (np.array([sum(1 for _ in _video(p))]) for p in files), (len(files),),
                                     np.int64, beside=path.parent, name=f"{path.name}_counts", key=fingerprint(files)))
        shapes = [next(_video(p)).shape for p in files]
        video = np.repeat(np.arange(len(files)), counts)
    else:
        shapes = [_image(p).shape for p in files]
        video = np.unique([str(p.parent) for p in files], return_inverse=True)[1]
    for file, shape in zip(files, shapes):
        if shape != shapes[0]:
            raise ValueError(f"{file} is {shape[0]} x {shape[1]} with {shape[2]} channels, {files[0]} {shapes[0][0]} x "
                             f"{shapes[0][1]} with {shapes[0][2]}; all must be alike.")
    rest = None

    def read(begin, end):
        nonlocal rest
        if begin == 0:
            rest = (frame for p in files for frame in (_video(p) if p.suffix.lower() in _VIDEOS else [_image(p)]))
        return np.stack(list(itertools.islice(rest, end - begin)))

    height, width, channels = shapes[0]
    return _Source(read, (len(video), channels, height, width), images=True, video=video, paths=files)


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
    except (OSError, ValueError) as error:
        raise ValueError(f'the video {path} cannot be read ({error}): it may be damaged, or need pip install '
                         '"imageio[pyav]".') from error


# ---- splits and scaling ----


def _increasing(times, path):
    if times is not None and len(times) > 1 and not (np.diff(times) > np.timedelta64(0)).all():
        at = int(np.argmin(np.diff(times) > np.timedelta64(0)))
        raise ValueError(f"{path}: times must increase, but {times[at + 1]} follows {times[at]}. Sort them, and drop "
                         "what is twice.")
    return times


def _same_shape(frames, in_shape, crop, path):
    found, wanted = [int(n) for n in frames.shape[1:]], list(in_shape[1:])
    if found != wanted:
        says = str([in_shape[0], *found]).replace(" ", "")
        raise ValueError(f"{path}: frames have shape {found} (channels, height, width)"
                         f"{' once cropped' if crop else ''}, in_shape {list(in_shape)} asks for {wanted}. Give "
                         f"in_shape={says}; height and width must be multiples of what the model downsamples by (4 "
                         "with N_S=4): crop=[height,width] cuts the middle out.")


def _split(source, config):
    """Indices of the frames of each part."""
    if any(config.get(key) for key in SPLITS):
        if source.times is None:
            raise ValueError("train_time, val_time and test_time need data with times; give split=[0.7,0.1,0.2] "
                             "instead.")
        if not all(config.get(key) for key in SPLITS):
            raise ValueError("train_time, val_time and test_time go together: one of them is missing.")
        refuse_overlap(config)
        bounds = [period(config[key], key)[:2] for key in SPLITS]
        return [np.flatnonzero((source.times >= begin) & (source.times < end)) for begin, end in bounds]
    shares = np.asarray(config["split"], dtype=float)
    if shares.shape != (3,) or not (shares > 0).all() or not np.isclose(shares.sum(), 1):
        raise ValueError(f"split must be three shares above 0 that add to 1, as in [0.7, 0.1, 0.2], got "
                         f"{config['split']!r}.")
    cuts = np.cumsum(shares[:2])
    borders = np.flatnonzero(np.diff(source.video)) + 1
    if len(borders) >= 2:  # whole videos
        wanted = np.rint(cuts * (len(borders) + 1)).astype(int).clip([1, 2], [len(borders) - 1, len(borders)])
        cuts = borders[[wanted[0] - 1, max(wanted[1], wanted[0] + 1) - 1]]
    else:
        cuts = np.rint(cuts * source.shape[0]).astype(int)
    return np.split(np.arange(source.shape[0]), cuts)


class _Part(ArrayFrames):
    """Some of the frames."""

    def __init__(self, frames, indices):
        self._frames, self._indices = frames, indices
        self.shape = (len(indices), *frames.shape[1:])

    def read(self, indices):
        return self._frames.read(self._indices[indices])


def _scaling(frames, training, kind):
    """What is subtracted, and what is divided by: ``(1, C, 1, 1)`` each, or 0 and 1."""
    choose("normalise", kind, _KINDS)
    if kind == "none":
        return 0.0, 1.0
    part = _Part(frames, training)
    if kind == "standard":
        mean, std = cached_statistics(part)
    else:
        extremes = [(v.min(axis=(0, 2, 3)), v.max(axis=(0, 2, 3))) for _, v in in_chunks(part)]
        low, high = (np.stack(e) for e in zip(*extremes))
        mean = low.min(axis=0).reshape(1, -1, 1, 1)
        std = high.max(axis=0).reshape(1, -1, 1, 1) - mean
    return mean, np.where(std == 0, np.float32(1), std)
