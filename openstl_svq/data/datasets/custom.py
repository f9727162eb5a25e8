"""A user's own data: one array, one NetCDF or Zarr store, images or videos."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...naming import choose
from ..cache import cached_statistics
from ..formats import exists, open_source
from ..formats.arrays import source_of_array
from ..formats.stores import source_of
from ..frames import Frames, channel_statistics, in_chunks
from ..registry import OPTIONS, Dataset, Entry, make_entry, register_dataset
from ..sources import Source
from ..splits import SPLITS, by_share, by_time
from ..windows import CropAndFlip, WindowDataset, offsets, unbroken

_KINDS = ("standard", "minmax", "none")


def load_splits(
    dataset: Dataset, data_root: Path, config: Entry, /, *, protocol: str, use_augment: bool = False
) -> list[WindowDataset]:
    """Training, validation and test windows of a user's data.

    ``data_root`` is one of

    - ``.npy``, or ``.npz`` with the array ``data_name`` (and ``time``, datetime64, if it has one): ``(T, H, W)``,
      ``(T, C, H, W)``, ``(N, T, C, H, W)``, or images ``(T, H, W, 3)`` of bytes;
    - ``.nc`` or ``.zarr`` with the variable ``data_name``, or several, which become channels: ``(time, y, x)`` or
      ``(time, z, y, x)``; a folder of such ``.nc`` or a pattern as ``sst_*.nc``, files of stretches of time or of variables;
    - a video, or a folder of images (one series, in the order of the numbers in their names), of folders of images, or
      of videos.

    No window crosses a gap: missing times, another interval between them, or missing numbers of images whose
    names differ in the last number alone.

    Args:
        config: ``in_shape``, ``pre_seq_length``, ``aft_seq_length``; ``data_name``; ``split``: shares of training,
            validation and test, in order of time, whole videos where there are three or more; or ``train_time``,
            ``val_time``, ``test_time``, where the data have times; ``normalise``: ``standard`` (mean and deviation of
            each channel), ``minmax`` (to [0, 1]), both of the training part, or ``none`` (images are in [0, 1] anyway);
            ``region``: bounds of coordinates, as in ``{"lat": [30, 60]}``; ``level``: the levels to take, by their values;
            ``crop``: height and width to cut out of the middle; ``mask``: ``"land"`` leaves out points that are always
            missing; ``anomaly``: ``"monthly"`` or ``"hourly"``, to learn the anomalies from the training part's means of
            each month, or of each hour of the day in it.

    Raises:
        FileNotFoundError, ValueError: the data are not there, or not as asked for.
    """
    path = data_root
    if not exists(path):
        raise FileNotFoundError(
            f"{dataset.name}: there is no --data_root {path}. Give an .npy, .npz, .nc or .zarr, a "
            "video, a folder of images, videos or NetCDF files, or a pattern such as sst_*.nc."
        )
    source = cut_out(open_source(path, config.get("data_name"), level=_levels(config)), config)
    _same_shape(source.frames, config["in_shape"], config.get("crop"), path)
    _warn_of_gaps(source, path)
    source = source.cached(path, config.get("mask"))
    return splits_of(replace(source, name=source.name or path.stem), path, config, use_augment=use_augment)


def _levels(config: Mapping) -> list[float] | None:
    level = config.get("level")
    return [level] if isinstance(level, (int, float)) else level


def source_of_data(
    data: Any, data_name: str | Sequence[str] | None = None, *, level: Any = None, where: str = "the data"
) -> Source:
    """The frames of an xarray DataArray or Dataset, as those in a file are read; or of an array.

    Args:
        data: xarray's, with a dimension of time; or numbers ``(T, H, W)``, ``(T, C, H, W)`` or ``(N, T, C, H, W)``.
        data_name: variables of a Dataset (default: all of its fields, which become channels).

    Raises:
        ValueError: another kind or shape, no time, no field.
    """
    import xarray as xr

    if isinstance(data, xr.DataArray):
        data_name = str(data.name or "field")
        data = data.to_dataset(name=data_name, promote_attrs=False)
    if not isinstance(data, xr.Dataset):
        return source_of_array(np.asarray(data), where=where)
    fields = [str(name) for name, values in data.data_vars.items() if 3 <= values.ndim <= 4]
    if not fields:
        found = ", ".join(f"{name} ({', '.join(map(str, v.dims))})" for name, v in data.data_vars.items())
        raise ValueError(
            f"{where}: no field (time, y, x) or (time, z, y, x), but {found or 'nothing'}. Frames follow each other along "
            "time, and have height and width."
        )
    names = data_name or fields
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        values = data[choose("variable", name, fields)]
        if "time" not in values.dims and not any(
            dim in values.coords and values[dim].dtype.kind in "MO" for dim in values.dims
        ):
            raise ValueError(
                f"{where}: {name} has the dimensions {', '.join(map(str, values.dims))}, and none of time: frames follow "
                "each other along a dimension called time, or one whose coordinate has dates. Rename it, as with "
                "rename(t='time')."
            )
    level = [level] if isinstance(level, (int, float)) else level
    return source_of([data], where, names if len(names) != 1 else names[0], level=level)


def cut_out(source: Source, config: Mapping) -> Source:
    """``region`` and then ``crop`` of the configuration."""
    return source.within(config.get("region")).crop(config.get("crop"))


def splits_of(source: Source, path: Path | str, config: Entry, *, use_augment: bool = False) -> list[WindowDataset]:
    """Training, validation and test windows of frames that are quick to read; ``path`` begins messages.

    Raises:
        ValueError: a part is too short for one window.
    """
    idx_in, idx_out = offsets((config["pre_seq_length"], config["aft_seq_length"]))
    anchors = unbroken(source.stretch, idx_in, idx_out)
    by_dates = any(config.get(key) for key in SPLITS)
    parts = by_time(config, source.times) if by_dates else by_share(config["split"], source.series)
    source = source.less_cycle(config.get("anomaly"), parts[0])
    scaling = _scaling(source.frames, parts[0], config.get("normalise") or ("standard" if source.field else "none"))

    datasets = []
    keys = SPLITS if by_dates else ("split",) * 3
    for name, split, key in zip(("training", "validation", "test"), parts, keys):
        inside = anchors[np.isin(anchors + idx_in[0], split) & np.isin(anchors + idx_out[-1], split)]
        if not len(inside):
            raise ValueError(
                f"{key} {config[key]}: the {name} part of {path} has {len(split)} frames and no {len(idx_in)} + {len(idx_out)} "
                f"in a row at one interval, which one window needs{_uneven(source)}. Give more data, another {key}, or "
                "shorter pre_seq_length and aft_seq_length."
            )
        augment = CropAndFlip(0.95) if use_augment and name == "training" else None
        datasets.append(WindowDataset(source, inside, idx_in, idx_out, scaling=scaling, split=split, augment=augment))
    return datasets


def open_to_forecast(dataset: Dataset, path: Path, config: Entry, /) -> Source:
    """The frames in ``path`` as they would be read to train on them."""
    source = open_source(path, config.get("data_name"), level=_levels(config), keep_counts=False)
    return cut_out(source.checked(path, config.get("mask")), config)


def _uneven(source: Source) -> str:
    """Where the times are not evenly spaced, as a clause of a message."""
    if source.times is None or source.clock is None or len(source.times) < 3:
        return ""
    apart = np.diff(source.clock.steps(source.times))
    usual = int(np.median(apart))
    others = np.flatnonzero(apart != usual)
    if not len(others):
        return ""
    first = others[0]
    return (
        f" (the times are irregular: {len(others)} of {len(apart)} intervals are not the usual "
        f"{source.clock.interval(usual)}, the first from {source.times[first]} to {source.times[first + 1]}: bring the "
        "data to even times, as with xarray's resample or interp)"
    )


def _warn_of_gaps(source, path):
    """Of images that are missing by their numbers: that could be chance."""
    gaps = np.flatnonzero((np.diff(source.stretch) != 0) & (np.diff(source.series) == 0))
    if source.numbers is not None and len(source.paths) == len(source.numbers) and len(gaps):
        before, after = (source.paths[gaps[0] + k].name for k in (0, 1))
        warnings.warn(
            f"{path}: images are missing in {len(gaps)} places, the first between {before} and {after}; no "
            "window crosses them. If none is missing, number the images one after the other.",
            stacklevel=3,
        )


def _same_shape(frames, in_shape, crop, path):
    found, wanted = [int(n) for n in frames.shape[1:]], list(in_shape[1:])
    if found != wanted:
        says = str([in_shape[0], *found]).replace(" ", "")
        raise ValueError(
            f"in_shape {list(in_shape)} asks for frames of {wanted} (channels, height, width), and those in --data_root {path} "
            f"have {found}{' once cropped' if crop else ''}. Give in_shape={says}; height and width must be multiples of what the model downsamples by (4 "
            "with N_S=4): crop=[height,width] cuts the middle out."
        )


class _Part(Frames):
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
    of = channel_statistics if kind == "standard" else _extent
    shift, scale = cached_statistics(_Part(frames, training), of, part_of=frames, key=training.tolist())
    return shift, np.where(scale == 0, np.float32(1), scale)


def _extent(frames):
    """The least value of each channel, and how far the largest lies above it."""
    extremes = [(v.min(axis=(0, 2, 3)), v.max(axis=(0, 2, 3))) for _, v in in_chunks(frames)]
    low, high = (np.stack(e) for e in zip(*extremes))
    low = low.min(axis=0).reshape(1, -1, 1, 1)
    return low, high.max(axis=0).reshape(1, -1, 1, 1) - low


register_dataset(
    Dataset(
        "custom",
        "your own data: an array, a NetCDF or Zarr store, images or videos",
        make_entry(
            [10, 1, 64, 64],
            10,
            ["mse", "rmse", "mae"],
            data_name=None,
            split=[0.7, 0.1, 0.2],
            train_time=None,
            val_time=None,
            test_time=None,
            normalise=None,
            crop=None,
            region=None,
            level=None,
        ),
        load_splits,
        open_to_forecast=open_to_forecast,
        options=OPTIONS,
    )
)
