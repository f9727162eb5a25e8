"""WeatherBench (https://arxiv.org/abs/2002.00469) and files in its layout: ``<variable>/<variable>*.nc``."""

import warnings
from pathlib import Path

import numpy as np

from ...protocol import OPENSTL, STRICT, differences
from ..cache import at_hand, cached_statistics, fingerprint
from ..formats.netcdf import VARIABLES
from ..formats.weather_files import NetCDFFrames, WeatherVariable, check_grid, frame_interval, variable_files
from ..sample import SAMPLE_DATASETS, sample_root
from ..times import SPLITS, period, refuse_overlap, segments
from ..windows import CropAndFlip, WindowDataset, unbroken
from .constants import dataset_parameters

# data_name -> variables, which become channels in this order
GROUPS = {**{name: [name] for name in VARIABLES}, "uv10": ["u10", "v10"], "mv": ["r", "t", "u", "v"]}
_RESOLUTIONS = ("5_625", "2_8125", "1_40625")


def load_splits(dataname, data_root, config, *, protocol, use_augment=False) -> list[WindowDataset]:
    """Training, validation and test windows of a weather dataset.

    ``strict``: windows of consecutive steps, ``step`` hours apart (or as far as the files' own, if that is more), that
    cross no gap; every split normalised with the training split's statistics; latitudes ascending. ``openstl``: windows
    by position with ``idx_in`` and ``idx_out``, across gaps, without the last steps; every split normalised with its
    own statistics; validation is the test split; latitudes as they come. Between them, what
    :func:`~openstl_svq.protocol.differences` says.

    Args:
        dataname: for messages, and for the resolution in its name.
        data_root: holds ``weather_<resolution>deg`` or ``weather``.
        config: ``in_shape``, ``pre_seq_length``, ``aft_seq_length``, ``data_name``, ``level``, ``step``, ``idx_in``,
            ``idx_out``; ``train_time``, ``val_time``, ``test_time``: first and last year or date, both included.

    Raises:
        FileNotFoundError, ValueError: the data are not there, or not as asked for.
    """
    data_name = config["data_name"]
    names = data_name if isinstance(data_name, (list, tuple)) else GROUPS.get(data_name)
    if not names or set(names) - set(VARIABLES):
        raise ValueError(f"unknown data_name {data_name!r}: give one of {', '.join(GROUPS)}, or a list of variables.")
    folder = _weather_folder(dataname, data_root, names)
    variables = [WeatherVariable.of_files(variable_files(folder, name), name, config.get("level", 1)) for name in names]
    check_grid(variables, config["in_shape"], dataname)

    taken = differences(protocol)
    if "steps" not in taken:
        _refuse_indices(dataname, config)
    if protocol != OPENSTL:
        refuse_overlap(config)
        variables = [v.ascending() for v in variables]
    described = {
        "data_name": list(names) if data_name == "mv" or not isinstance(data_name, str) else data_name,
        "units": variables[0].units if len({v.units for v in variables}) == 1 else None,
        "channels": [channel for v in variables for channel in v.described()],
        "lat": variables[0].lat,
        "lon": variables[0].lon,
    }
    datasets, training = [], None
    for split in SPLITS if "selection" not in taken else ("train_time", "test_time"):
        times, anchors, idx_in, idx_out = _windows(variables, config, split, taken, dataname)
        frames = _read(folder, variables, times, dataname, split)
        own = _statistics(frames, variables, split) if training is None or "statistics" in taken else training
        training = training or own
        # What is exposed brings predictions back to their unit; OpenSTL exposes the training split's for one variable.
        mean, std = own if isinstance(described["data_name"], list) else training
        datasets.append(
            WindowDataset(
                frames,
                anchors,
                idx_in,
                idx_out,
                mean=mean,
                std=std,
                normalise=own,
                times=times,
                split=np.arange(len(times)),
                augment=CropAndFlip(0.96) if use_augment and split == "train_time" else None,
                **described,
            )
        )
    return [datasets[0], datasets[1], datasets[-1]]


def _windows(variables, config, split, taken, dataname):
    """Times of a split's frames; anchors and offsets of its windows."""
    idx_in = np.arange(1 - config["pre_seq_length"], 1)
    idx_out = np.arange(1, config["aft_seq_length"] + 1)
    if "steps" in taken:
        idx_in, idx_out = (
            np.asarray(config.get(key) or given) for key, given in (("idx_in", idx_in), ("idx_out", idx_out))
        )
    if "windows" in taken:
        times = _times_within(variables, config[split], split)[: -1 : config.get("step", 1)]
        anchors = np.arange(-idx_in[0], len(times) - idx_out[-1] - 1)
    else:
        times = _times_within(variables, config[split], split, complete=True)
        spacing = frame_interval(times, config.get("step", 1), dataname)
        times = times[(times - times[0]) % spacing == np.timedelta64(0)]
        anchors = unbroken(segments(times, spacing), idx_in, idx_out)
    if not len(anchors):
        hours = np.diff(times[:2]).astype(float).sum() / 60
        more = (
            f" (over {idx_out[-1] - idx_in[0] + 2} steps with indices {idx_in} -> {idx_out})"
            if "steps" in taken
            else ""
        )
        raise ValueError(
            f"{dataname}: {split} {config[split]} has {len(times)} steps of {hours:g} h and no "
            f"{len(idx_in)} + {len(idx_out)} of them in a row, which one window needs{more}. Give more "
            "time, or a shorter pre_seq_length and aft_seq_length."
        )
    return times, anchors, idx_in, idx_out


def _refuse_indices(dataname, config):
    for key in ("idx_in", "idx_out"):
        if config.get(key) != dataset_parameters[dataname].get(key):
            raise ValueError(
                f"{key} is read with protocol {OPENSTL} only; {STRICT} windows are "
                f"{config['pre_seq_length']} steps in and {config['aft_seq_length']} out, one after the "
                "other."
            )


def _weather_folder(dataname, data_root, names):
    root = sample_root(data_root) if dataname in SAMPLE_DATASETS else Path(data_root)
    resolution = next((r for r in _RESOLUTIONS if r in dataname), _RESOLUTIONS[0])
    named = root / f"weather_{resolution}deg"
    folder = named if named.is_dir() else root / "weather"
    for name in names:
        if not variable_files(folder, name):
            pattern = f"{VARIABLES[name].folder}/{VARIABLES[name].folder}*.nc"
            raise FileNotFoundError(
                f"{dataname}: no files {folder / pattern}{'' if folder == named else f' (and no folder {named})'}. "
                "Put WeatherBench's files there (github.com/pangeo-data/WeatherBench), name their folder with "
                f"data_root, or make a small set: python tools/make_sample_data.py -d {dataname} --out {data_root}"
            )
    return folder


def _times_within(variables, bounds, split, complete=False):
    """The steps of a split, which all variables must share; with ``complete``, in every year (month, day) of it."""
    begin, end, unit = period(bounds, split)
    chosen = [v.times[(v.times >= begin) & (v.times < end)] for v in variables]
    first = variables[0]
    for variable, times in zip(variables[1:], chosen[1:]):
        if not np.array_equal(times, chosen[0]):
            odd = np.setxor1d(times, chosen[0])
            raise ValueError(
                f"{split} {bounds}: {first.name} and {variable.name} have different times; {len(odd)} are "
                f"in one alone, the first {odd[0]}."
            )
    times = chosen[0]
    there = f"the files in {first.paths[0].parent} go from {first.times[0]} to {first.times[-1]}"
    if not len(times):
        raise ValueError(f"{split} {bounds}: no data; {there}.")
    if complete and np.datetime_data(unit)[0] in ("Y", "M", "D"):
        asked = np.arange(begin.astype(unit), end.astype(unit))
        missing = np.setdiff1d(asked, times.astype(unit))
        if len(missing):
            raise ValueError(
                f"{split} {bounds}: no data in {', '.join(map(str, missing[:5]))}"
                f"{', ...' if len(missing) > 5 else ''}; {there}. Change {split} to what there is."
            )
    return times


def _read(folder, variables, times, dataname, split):
    key = [(v.name, v.levels, v.flip, fingerprint(v.paths)) for v in variables]
    return at_hand(
        NetCDFFrames(variables, times),
        beside=folder,
        name=f"{dataname}_{split}",
        key=(key, times.astype(np.int64).tobytes()),
    )


def _statistics(frames, variables, split):
    mean, std = cached_statistics(frames)
    constant = np.flatnonzero(std.ravel() == 0)
    if len(constant):
        warnings.warn(
            f"{split}: channel {constant.tolist()} never changes; it is centred and not scaled.", stacklevel=2
        )
        std = np.where(std == 0, np.float32(1), std)
    return mean, std
