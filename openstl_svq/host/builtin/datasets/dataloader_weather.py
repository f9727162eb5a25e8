"""WeatherBench (https://arxiv.org/abs/2002.00469) and files in its layout: ``<variable>/<variable>*.nc``."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....data.netcdf import VARIABLES
from ....data.sample import sample_root
from .cache import at_hand, cached_statistics, fingerprint
from .dataset_constant import dataset_parameters
from .times import SPLITS, period, refuse_overlap, segments
from .windows import CropAndFlip, WindowDataset, unbroken

# data_name -> variables, which become channels in this order
GROUPS = {**{name: [name] for name in VARIABLES}, "uv10": ["u10", "v10"], "mv": ["r", "t", "u", "v"]}
_RESOLUTIONS = ("5_625", "2_8125", "1_40625")


def load_splits(dataname, data_root, config, *, protocol, use_augment=False) -> list[WindowDataset]:
    """Training, validation and test windows of a weather dataset.

    ``strict``: windows of consecutive steps, ``step`` hours apart (or as far as the files' own, if that is more), that
    cross no gap; every split normalised with the training split's statistics; latitudes ascending. ``openstl``: windows
    by position with ``idx_in`` and ``idx_out``, across gaps, without the last steps; every split normalised with its
    own statistics; validation is the test split.

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
    variables = [_Variable.find(folder, name, config.get("level", 1)) for name in names]
    _same_grid(variables, config["in_shape"], dataname)

    load = _strict if protocol == "strict" else _openstl
    return load(dataname, folder, variables, config, {
        "data_name": list(names) if data_name == "mv" or not isinstance(data_name, str) else data_name,
        "units": variables[0].units if len({v.units for v in variables}) == 1 else None,
    }, CropAndFlip(0.96) if use_augment else None)


def _strict(dataname, folder, variables, config, described, augment):
    for key in ("idx_in", "idx_out"):
        if config.get(key) != dataset_parameters[dataname].get(key):
            raise ValueError(f"{key} is read with --protocol openstl only; strict windows are "
                             f"{config['pre_seq_length']} steps in and {config['aft_seq_length']} out, one after the "
                             "other.")
    refuse_overlap(config)
    variables = [v.ascending() for v in variables]
    idx_in = np.arange(1 - config["pre_seq_length"], 1)
    idx_out = np.arange(1, config["aft_seq_length"] + 1)
    datasets, statistics = [], None
    for split in SPLITS:
        times = _times_within(variables, config[split], split, complete=True)
        spacing = _spacing(times, config.get("step", 1), dataname)
        times = times[(times - times[0]) % spacing == np.timedelta64(0)]
        anchors = unbroken(segments(times, spacing), idx_in, idx_out)
        if not len(anchors):
            raise ValueError(f"{dataname}: {split} {config[split]} has {len(times)} steps of "
                             f"{spacing.astype(int) // 60:g} h and no {len(idx_in)} + {len(idx_out)} of them in a row, "
                             "which one window needs. Give more time, or a shorter pre_seq_length and aft_seq_length.")
        frames = _read(folder, variables, times, dataname, split)
        statistics = statistics or _statistics(frames, variables, split)
        datasets.append(WindowDataset(
            frames, anchors, idx_in, idx_out, mean=statistics[0], std=statistics[1], times=times,
            split=np.arange(len(times)), lat=variables[0].lat, lon=variables[0].lon,
            augment=augment if split == "train_time" else None, **described))
    return datasets


def _openstl(dataname, folder, variables, config, described, augment):
    idx_in = np.asarray(config.get("idx_in") or range(1 - config["pre_seq_length"], 1))
    idx_out = np.asarray(config.get("idx_out") or range(1, config["aft_seq_length"] + 1))
    datasets, training = [], None
    for split in ("train_time", "test_time"):
        times = _times_within(variables, config[split], split)[:-1:config.get("step", 1)]
        anchors = np.arange(-idx_in[0], len(times) - idx_out[-1] - 1)
        if not len(anchors):
            raise ValueError(f"{dataname}: {split} {config[split]} leaves {len(times)} steps, and one window of "
                             f"OpenSTL's needs {idx_out[-1] - idx_in[0] + 2}. Give more time.")
        frames = _read(folder, variables, times, dataname, split)
        own = _statistics(frames, variables, split)
        training = training or own
        # Predictions are brought back to their unit with what is exposed.
        mean, std = own if isinstance(described["data_name"], list) else training
        datasets.append(WindowDataset(
            frames, anchors, idx_in, idx_out, mean=mean, std=std, normalise=own, times=times,
            split=np.arange(len(times)), lat=variables[0].lat, lon=variables[0].lon,
            augment=augment if split == "train_time" else None, **described))
    return datasets[0], datasets[1], datasets[1]


# ---- files ----


@dataclass
class _Variable:
    """One variable of one folder: its steps in order of time, and where each lies."""

    name: str
    paths: list[Path]
    times: np.ndarray  # datetime64[m] (N,)
    file: np.ndarray  # (N,) index into paths
    position: np.ndarray  # (N,) index along time in that file
    lat: np.ndarray
    lon: np.ndarray
    units: str | None
    levels: list[int] | None  # positions along level, or no such dimension
    flip: bool = False

    @classmethod
    def find(cls, folder, name, level) -> "_Variable":
        paths = sorted((folder / VARIABLES[name].folder).glob(f"{VARIABLES[name].folder}*.nc"))
        times, file, position, grids = [], [], [], []
        for number, path in enumerate(paths):
            with _opened(path) as data:
                if name not in data.data_vars:
                    raise ValueError(f"{path} has no variable {name!r}; it has {', '.join(map(str, data.data_vars))}.")
                array = data[name]
                expected = {"time", "lat", "lon"}
                if not expected <= set(array.dims) or set(array.dims) - expected - {"level"}:
                    raise ValueError(f"{path}: {name} has dimensions {array.dims}; (time, lat, lon) or (time, level, "
                                     "lat, lon) is needed. Rename or drop dimensions.")
                if data["time"].dtype.kind != "M":
                    raise ValueError(f"{path}: its times do not decode to dates of the standard calendar.")
                times.append(data["time"].values.astype("datetime64[m]"))
                levels = data["level"].values.tolist() if "level" in array.dims else None
                grids.append((data["lat"].values, data["lon"].values, levels))
                units = array.attrs.get("units")
            file.append(np.full(len(times[-1]), number))
            position.append(np.arange(len(times[-1])))
            if any(not np.array_equal(a, b) for a, b in zip(grids[0][:2], grids[-1][:2])) or grids[0][2] != levels:
                raise ValueError(f"{path} and {paths[0]} have different grids or levels: they cannot be one series.")
        times, file, position = (np.concatenate(v) for v in (times, file, position))
        order = np.argsort(times, kind="stable")
        times, file, position = times[order], file[order], position[order]
        twice = np.flatnonzero(times[1:] == times[:-1])
        if len(twice):
            first, second = (paths[file[twice[0] + k]].name for k in (0, 1))
            raise ValueError(f"{name}: {len(twice)} times are there twice, the first {times[twice[0]]} in {first} and "
                             f"{second}. Take one of the files out of {paths[0].parent}.")
        lat, lon, levels = grids[0]
        return cls(name, paths, times, file, position, lat, lon, units, _levels(levels, level, name, paths[0]))

    @property
    def channels(self):
        return 1 if self.levels is None else len(self.levels)

    def ascending(self) -> "_Variable":
        """With latitudes from south to north."""
        if self.lat[0] > self.lat[-1]:
            self.lat, self.flip = self.lat[::-1].copy(), not self.flip
        return self


def _weather_folder(dataname, data_root, names):
    root = sample_root(data_root) if dataname == "weather_sample" else Path(data_root)
    resolution = next((r for r in _RESOLUTIONS if r in dataname), _RESOLUTIONS[0])
    named = root / f"weather_{resolution}deg"
    folder = named if named.is_dir() else root / "weather"
    for name in names:
        pattern = f"{VARIABLES[name].folder}/{VARIABLES[name].folder}*.nc"
        if not any(folder.glob(pattern)):
            raise FileNotFoundError(
                f"{dataname}: no files {folder / pattern}{'' if folder == named else f' (and no folder {named})'}. "
                "Put WeatherBench's files there (github.com/pangeo-data/WeatherBench), name their folder with "
                f"--data_root, or make a small set: python tools/make_sample_data.py -d {dataname} --out {data_root}")
    return folder


def _opened(path):
    import xarray as xr
    try:
        return xr.open_dataset(path)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as NetCDF ({error}): it may be cut off; fetch it again.") from error


def _levels(available, wanted, name, path):
    """Positions along the level dimension; a number asks for so many of the last ones, as in OpenSTL."""
    if available is None:
        return None
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(available):
            raise ValueError(f"{name}: the last {wanted} levels are asked for, {path} has {len(available)}.")
        return list(range(len(available) - wanted, len(available)))
    missing = [p for p in wanted if p not in available]
    if missing:
        raise ValueError(f"{name}: level {missing} not in {path}, which has {available}.")
    return [available.index(p) for p in wanted]


def _same_grid(variables, in_shape, dataname):
    first = variables[0]
    for other in variables[1:]:
        if not (np.array_equal(first.lat, other.lat) and np.array_equal(first.lon, other.lon)):
            raise ValueError(f"{dataname}: {first.name} and {other.name} lie on different grids.")
    found = [sum(v.channels for v in variables), len(first.lat), len(first.lon)]
    if found != list(in_shape[1:]):
        says = str([in_shape[0], *found]).replace(" ", "")
        raise ValueError(f"{dataname}: the files have {found[0]} channels on {found[1]} x {found[2]} points, in_shape "
                         f"{list(in_shape)} asks for {in_shape[1]} on {in_shape[2]} x {in_shape[3]}. Regrid the files, "
                         f"or give --cfg_options in_shape={says}")


# ---- time ----


def _times_within(variables, bounds, split, complete=False):
    """The steps of a split, which all variables must share; with ``complete``, in every year (month, day) of it."""
    begin, end, unit = period(bounds, split)
    chosen = [v.times[(v.times >= begin) & (v.times < end)] for v in variables]
    first = variables[0]
    for variable, times in zip(variables[1:], chosen[1:]):
        if not np.array_equal(times, chosen[0]):
            odd = np.setxor1d(times, chosen[0])
            raise ValueError(f"{split} {bounds}: {first.name} and {variable.name} have different times; {len(odd)} are "
                             f"in one alone, the first {odd[0]}.")
    times = chosen[0]
    there = f"the files in {first.paths[0].parent} go from {first.times[0]} to {first.times[-1]}"
    if not len(times):
        raise ValueError(f"{split} {bounds}: no data; {there}.")
    if complete and np.datetime_data(unit)[0] in ("Y", "M", "D"):
        asked = np.arange(begin.astype(unit), end.astype(unit))
        missing = np.setdiff1d(asked, times.astype(unit))
        if len(missing):
            raise ValueError(f"{split} {bounds}: no data in {', '.join(map(str, missing[:5]))}"
                             f"{', ...' if len(missing) > 5 else ''}; {there}. Change {split} to what there is.")
    return times


def _spacing(times, step, dataname):
    """Time between two frames: ``step`` hours, or the files' own interval where hourly data were expected."""
    wanted = np.timedelta64(step * 60, "m")
    if len(times) < 2:
        return wanted
    native = np.diff(times).min()
    if step == 1 and native > wanted:
        return native
    if wanted % native:
        raise ValueError(f"{dataname} takes a frame every {step} h, and the files have one every "
                         f"{native.astype(int) / 60:g} h.")
    return wanted


# ---- values ----


class _NetCDFFrames:
    """Frames of all variables, read from their files: slow, so :func:`at_hand` copies them once."""

    def __init__(self, variables, times):
        self.variables = variables
        self.times = times
        self.rows = [np.searchsorted(v.times, times) for v in variables]
        self.shape = (len(times), sum(v.channels for v in variables), len(variables[0].lat), len(variables[0].lon))

    def __len__(self):
        return self.shape[0]

    def read(self, indices):
        return np.concatenate([self._one(v, rows[indices]) for v, rows in zip(self.variables, self.rows)], axis=1)

    def _one(self, variable, rows):
        out = np.empty((len(rows), variable.channels, *self.shape[2:]), dtype=np.float32)
        for number in np.unique(variable.file[rows]):
            path = variable.paths[number]
            here = np.flatnonzero(variable.file[rows] == number)
            positions = variable.position[rows[here]]
            with _opened(path) as data:
                array = data[variable.name].transpose("time", ..., "lat", "lon")
                if variable.levels is not None:
                    array = array.isel(level=variable.levels)
                try:
                    # One slice and then a choice: the libraries below read scattered positions one by one.
                    low = int(positions.min())
                    values = array.isel(time=slice(low, int(positions.max()) + 1)).values[positions - low]
                except (OSError, RuntimeError) as error:
                    raise ValueError(f"{path} cannot be read to its end ({error}): it may be cut off; fetch it again."
                                     ) from error
            values = values.reshape(len(here), variable.channels, *self.shape[2:])
            self._refuse_missing(values, variable, path, positions)
            out[here] = values
        return out[..., ::-1, :] if variable.flip else out

    def _refuse_missing(self, values, variable, path, positions):
        bad = ~np.isfinite(values)
        if bad.any():
            t, _, i, j = np.argwhere(bad)[0]
            with _opened(path) as data:
                when = data["time"].values[positions[t]].astype("datetime64[m]")
            raise ValueError(f"{path}: {bad.sum()} of {bad.size} values of {variable.name} read are NaN, fill values "
                             f"or infinite, the first at {when}, latitude "
                             f"{variable.lat[::-1][i] if variable.flip else variable.lat[i]:g}, longitude "
                             f"{variable.lon[j]:g}. Fill them in, or leave that time out of the splits.")


def _read(folder, variables, times, dataname, split):
    key = [(v.name, v.levels, v.flip, fingerprint(v.paths)) for v in variables]
    return at_hand(_NetCDFFrames(variables, times), beside=folder, name=f"{dataname}_{split}",
                   key=(key, times.astype(np.int64).tobytes()))


def _statistics(frames, variables, split):
    mean, std = cached_statistics(frames)
    constant = np.flatnonzero(std.ravel() == 0)
    if len(constant):
        warnings.warn(f"{split}: channel {constant.tolist()} never changes; it is centred and not scaled.",
                      stacklevel=2)
        std = np.where(std == 0, np.float32(1), std)
    return mean, std
