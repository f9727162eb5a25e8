"""WeatherBench (https://arxiv.org/abs/2002.00469) and files in its layout: ``<variable>/<variable>*.nc``."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...protocol import DIFFERENCES, OPENSTL, STRICT, differences
from .. import gcm, synthetic
from ..cache import cache_frames, cached_statistics, fingerprint
from ..formats import ARRAYS, open_source
from ..formats.stores import open_netcdf
from ..formats.weatherbench import (
    VARIABLES,
    WeatherFrames,
    WeatherVariable,
    check_grid,
    frame_interval,
    variable_files,
    weather_source,
    with_grid,
)
from ..registry import OPTIONS, Dataset, Entry, make_entry, register_dataset
from ..sources import Source, always_missing
from ..splits import SPLITS, period, refuse_overlap
from ..times import segments
from ..windows import CropAndFlip, WindowDataset, offsets, unbroken

# data_name -> variables, which become channels in this order
GROUPS = {
    **{name: [name] for name in VARIABLES},
    "uv10": ["u10", "v10"],
    "mv": ["r", "t", "u", "v"],
    # those on levels, then those without, as in the authors' released code
    "hmv": ["z", "pv", "r", "q", "t", "u", "v", "vo", "u10", "v10", "t2m", "tisr", "tcc", "tp"],
}
_SCORED_ONE_BY_ONE = ("mv", "hmv")  # also a list of variables; OpenSTL takes uv10 as one


def load_splits(
    dataset: Dataset,
    data_root: Path,
    config: Entry,
    /,
    *,
    protocol: str,
    use_augment: bool = False,
    resolution: str = "5_625",
) -> list[WindowDataset]:
    """Training, validation and test windows of a weather dataset.

    ``strict``: windows of consecutive steps, ``step`` hours apart (or as far as the files' own, if that is more), that
    cross no gap; every split normalised with the training split's statistics; latitudes ascending. ``openstl``: windows
    by position with ``idx_in`` and ``idx_out``, across gaps, without the last steps; every split normalised with its
    own statistics; validation is the test split; latitudes as they come. Between them, what
    :func:`~openstl_svq.protocol.differences` says.

    Args:
        data_root: holds ``weather_<resolution>deg`` or ``weather``.
        config: ``in_shape``, ``pre_seq_length``, ``aft_seq_length``, ``data_name``, ``level``, ``step``, ``idx_in``,
            ``idx_out``; ``region``, ``mask`` and ``anomaly`` as for ``custom``; ``train_time``, ``val_time``, ``test_time``: first and last year or date, both included.

    Raises:
        FileNotFoundError, ValueError: the data are not there, or not as asked for.
    """
    dataname, data_name = dataset.name, config["data_name"]
    names = _names(data_name)
    folder = _weather_folder(dataname, data_root, names, resolution)
    variables = [WeatherVariable.of_files(variable_files(folder, name), name, config.get("level", 1)) for name in names]
    check_grid(variables, config["in_shape"], dataname, config.get("region"))

    taken = differences(protocol)
    if "steps" not in taken:
        _refuse_indices(dataset, config)
    if protocol != OPENSTL:
        refuse_overlap(config)
        variables = [v.ascending() for v in variables]
    by_name = data_name in _SCORED_ONE_BY_ONE or names is data_name
    source = weather_source(variables, _scored(variables) if by_name else data_name)
    datasets: list[WindowDataset] = []
    training, missing, cycle, mask = None, None, None, config.get("mask")
    for split in SPLITS if "selection" not in taken else ("train_time", "test_time"):
        times, anchors, idx_in, idx_out = _windows(variables, config, split, taken, dataname)
        here = replace(source, frames=_read(folder, variables, times, dataname, split, mask), times=times)
        here = here.within(config.get("region"))
        if mask:
            found = always_missing(here.frames, times, f"{dataname}: {split}")
            here, missing = replace(here, missing=found), found if missing is None else missing
            if not np.array_equal(missing, found):
                raise ValueError(
                    f"{dataname}: other points are missing in {split} than in train_time: mask needs one mask."
                )
        here = here.less_cycle(config.get("anomaly"), np.arange(len(times))) if cycle is None else here.less(cycle)
        cycle, frames = here.cycle, here.frames
        own = _statistics(frames, variables, split) if training is None or "statistics" in taken else training
        training = training or own
        datasets.append(
            WindowDataset(
                here,
                anchors,
                idx_in,
                idx_out,
                # What brings predictions back to their unit; OpenSTL's is the training split's for one variable.
                scaling=own if isinstance(source.name, list) else training,
                normalise=own,
                split=np.arange(len(times)),
                augment=CropAndFlip(0.96) if use_augment and split == "train_time" else None,
            )
        )
    return [datasets[0], datasets[1], datasets[-1]]


def _scored(variables: list[WeatherVariable]) -> list[str]:
    """What gets scores of its own: the variables, or every channel where they have different numbers of levels."""
    if len({v.channels for v in variables}) == 1:
        return [v.name for v in variables]
    return [name for v in variables for name in ([f"{v.name}_{p:g}" for p in v.pressures] or [v.name])]


def _names(data_name: str | Sequence[str]) -> Sequence[str]:
    names = GROUPS.get(data_name, []) if isinstance(data_name, str) else data_name
    if not names or set(names) - set(VARIABLES):
        raise ValueError(f"unknown data_name {data_name!r}: give one of {', '.join(GROUPS)}, or a list of variables.")
    return names


def open_to_forecast(dataset: Dataset, path: Path, config: Entry, /) -> Source:
    """The frames in a NetCDF file, or a folder of them, flat or with WeatherBench's folder for each variable; or in an
    array."""
    if path.suffix.lower() in ARRAYS:
        return open_source(path, bytes_are_images=False)
    level = config.get("level", 1)
    variables = [WeatherVariable.of_files(_files(path, name), name, level) for name in _names(config["data_name"])]
    check_grid(variables, config["in_shape"], str(path), config.get("region"))
    if config.get("protocol", OPENSTL) != OPENSTL:
        variables = [v.ascending() for v in variables]
    source = with_grid(weather_source(variables, missing_allowed=bool(config.get("mask"))), variables)
    return source.within(config.get("region"))


def _files(path: Path, name: str) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted((path / VARIABLES[name].folder).glob("*.nc"))
    for file in [] if files else sorted(path.glob("*.nc")):
        with open_netcdf(file) as data:
            if name in data.data_vars:
                files.append(file)
    if not files:
        raise FileNotFoundError(f"no NetCDF file with {name!r} in {path} or {path / VARIABLES[name].folder}.")
    return files


def _windows(variables, config, split, taken, dataname):
    """Times of a split's frames; anchors and offsets of its windows."""
    idx_in, idx_out = offsets((config["pre_seq_length"], config["aft_seq_length"]))
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


def _refuse_indices(dataset, config):
    for key in ("idx_in", "idx_out"):
        if config.get(key) != dataset.entry.get(key):
            raise ValueError(
                f"{key} is read with protocol {OPENSTL} only; {STRICT} windows are "
                f"{config['pre_seq_length']} steps in and {config['aft_seq_length']} out, one after the "
                "other."
            )


def _weather_folder(dataname, root, names, resolution):
    named = root / f"weather_{resolution}deg"
    folder = named if named.is_dir() else root / "weather"
    for name in names:
        if not variable_files(folder, name):
            pattern = f"{VARIABLES[name].folder}/{VARIABLES[name].folder}*.nc"
            raise FileNotFoundError(
                f"{dataname}: no files {folder / pattern}{'' if folder == named else f' (and no folder {named})'}. "
                "Put WeatherBench's files there (github.com/pangeo-data/WeatherBench), name their folder with "
                f"data_root, or make a small set: python tools/make_sample_data.py -d {dataname} --out {root}"
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


def _read(folder, variables, times, dataname, split, mask=None):
    key = [(v.name, v.levels, v.flip, fingerprint(v.paths)) for v in variables]
    return cache_frames(
        WeatherFrames(variables, times, missing_allowed=bool(mask)),
        beside=folder,
        name=f"{dataname}_{split}",
        key=(key, times.astype(np.int64).tobytes(), *([mask] if mask else [])),
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


def make_synthetic(root: Path, *, entry: Entry, seed: int = 0, hours: int = 1, command: str = "") -> list[Path]:
    """Every year of the splits, most of them with a day; those that begin a split have room for windows, as the
    protocol openstl takes them too."""
    begins, last = [int(entry[split][0][:4]) for split in SPLITS], int(entry["test_time"][1][:4])
    steps = entry["idx_out"][-1] - entry["idx_in"][0] + 2 if "idx_in" in entry else entry["total_length"] + 1
    window = steps * hours * entry.get("step", 1) // 24 + 2
    spans = {year: window if year in begins else 1 for year in range(begins[0], last + 1)}
    more = {"hours": hours, "levels": entry.get("level", [850, 1000]), "seed": seed, "command": command}
    return synthetic.weather(Path(root) / "weather", GROUPS[entry["data_name"]], spans, **more)


def make_gcm(
    root: Path,
    *,
    entry: Entry,
    seed: int = 0,
    hours: int = 1,
    years: float | None = None,
    start_year: int | None = None,
    command: str = "",
) -> list[Path]:
    """A general circulation model's weather for the years of the splits; see :mod:`~openstl_svq.data.gcm`."""
    first, last = int(entry["train_time"][0][:4]), int(entry["test_time"][1][:4])
    return gcm.generate(
        Path(root) / "weather",
        GROUPS[entry["data_name"]],
        months=round(12 * (years or last - first + 1)),
        start_year=start_year or first,
        hours=hours,
        levels=entry.get("level", [850, 1000]),
        seed=seed,
        command=command,
    )


def register_weather(
    name: str,
    description: str,
    entry: Entry,
    *,
    resolution: str = "5_625",
    full_sizes: tuple[int, int] | None = None,
    makers: dict[str, Callable[..., list[Path]]] | None = None,
    root: Callable[[Path], Path] = Path,
) -> Dataset:
    """Registers a dataset in WeatherBench's layout, ``<data_root>/weather/<variable>/<variable>*.nc``."""
    if makers is None:  # on the grid that they give
        made = {"synthetic": make_synthetic, "gcm": make_gcm} if entry["in_shape"][2:] == [32, 64] else {}
        makers = {source: partial(maker, entry=entry) for source, maker in made.items()}
    return register_dataset(
        Dataset(
            name,
            description,
            entry,
            partial(load_splits, resolution=resolution),
            full_sizes=full_sizes,
            makers=makers,
            open_to_forecast=open_to_forecast,
            is_field=True,
            differences=frozenset(DIFFERENCES),
            options=OPTIONS,
            root=root,
        )
    )


METRICS = ["mse", "rmse", "mae"]
TIMES = {"val_time": ["2016", "2016"], "test_time": ["2017", "2018"]}
_NAMES = {"t2m": "temperature at 2 m", "r": "relative humidity", "uv10": "wind at 10 m", "tcc": "total cloud cover"}


def _single(name: str, data_name: str, resolution: str, size: list[int]) -> None:
    """Hourly, 12 -> 12. Table 9 of the paper prints the sizes of daily sampling (2,167 and 706)."""
    shape = [12, len(GROUPS[data_name]), *size]
    entry = make_entry(shape, 12, METRICS, data_name=data_name, train_time=["2010", "2015"], **TIMES)
    description = f"WeatherBench: {_NAMES[data_name]}, {size[0]} x {size[1]}, hourly"
    register_weather(name, description, entry, resolution=resolution, full_sizes=(52_559, 17_495))


def six_hourly(steps: int) -> Entry:
    """``step`` (every so many hours), ``idx_in`` and ``idx_out`` (steps before and after the anchor), as OpenSTL has them:
    its lists apply the factor 6 a second time. The protocol ``strict`` does not read them."""
    return {"step": 6, "idx_in": [-17, -11, -5, 0], "idx_out": [6 * i + 1 for i in range(steps)]}


def _multi(steps: int, full_sizes: tuple[int, int]) -> None:
    more = {"train_time": ["1979", "2015"], **TIMES, **six_hourly(steps), "level": [150, 500, 850]}
    entry = make_entry([4, 12, 32, 64], steps, METRICS, data_name="mv", **more)
    description = f"WeatherBench: humidity, temperature and wind on 3 levels, 32 x 64, 4 -> {steps} every 6 h"
    register_weather(f"weather_mv_4_{steps}_s6_5_625", description, entry, full_sizes=full_sizes)


_single("weather", "t2m", "5_625", [32, 64])
for _resolution, _size in (("5_625", [32, 64]), ("1_40625", [128, 256])):
    for _variable in _NAMES:
        _single(f"weather_{_variable}_{_resolution}", _variable, _resolution, _size)
_multi(4, (54_019, 2_883))
_multi(28, (53_875, 2_739))
