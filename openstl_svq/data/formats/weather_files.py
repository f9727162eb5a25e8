"""Weather variables in NetCDF files of WeatherBench's kind: what is in them, and frames read from them."""

import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .netcdf import VARIABLES


def variable_files(folder, name: str) -> list[Path]:
    """The files of variable ``name`` under ``folder`` in WeatherBench's layout, sorted; empty where there are none."""
    kind = VARIABLES[name].folder
    return sorted((Path(folder) / kind).glob(f"{kind}*.nc"))


def open_netcdf(path):
    """The file as an xarray dataset, values not read yet; a ValueError if it is damaged."""
    import xarray as xr

    stat = os.stat(path)
    _refuse_cut_off(str(path), stat.st_size, stat.st_mtime_ns)
    try:
        return xr.open_dataset(path)
    except PermissionError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        if "unable to decode time" in str(error):
            raise ValueError(
                f"{path}: the units of its times are not understood ({error}). Write them as the CF "
                "conventions do, as in 'hours since 2001-01-01'."
            ) from error
        raise ValueError(unreadable(path, error)) from error


def unreadable(path, error: Exception) -> str:
    """What is wrong with a NetCDF file that cannot be read."""
    import netCDF4

    szip = "" if netCDF4.__has_szip_support__ else " (or be compressed with szip, which this netCDF4 cannot read)"
    return f"{path} cannot be read as NetCDF ({error}): it may be cut off{szip}; fetch it again."


@lru_cache(maxsize=256)
def _refuse_cut_off(path: str, size: int, changed: int) -> None:
    """The library reads the missing end of a classic file as zeros. ``size`` and ``changed`` are the cache's."""
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:3] != b"CDF":
        return
    try:
        if magic[3] in (1, 2):  # scipy maps each variable where the header says that it lies
            from scipy.io import netcdf_file

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of the maps that are open when it is closed
                netcdf_file(path, mmap=True).close()
        else:
            import netCDF4

            with netCDF4.Dataset(path) as data:
                if sum(v.size * v.dtype.itemsize for v in data.variables.values()) > size:
                    raise ValueError("too short")
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(
            f"{path} is cut off: the file is shorter than its header says ({size:,} bytes). Fetch it again."
        ) from error


@dataclass
class WeatherVariable:
    """One variable of some files: its steps in order of time, and where each lies."""

    name: str
    paths: list[Path]
    times: np.ndarray  # datetime64[m] (N,)
    file: np.ndarray  # (N,) index into paths
    position: np.ndarray  # (N,) index along time in that file
    lat: np.ndarray
    lon: np.ndarray
    units: str | None
    levels: list[int] | None  # positions along level, or no such dimension
    pressures: list[float]  # hPa, of these levels
    flip: bool = False

    @classmethod
    def of_files(cls, paths: list[Path], name: str, level: int | list[int] = 1) -> "WeatherVariable":
        """The variable ``name`` of one or more files, of which only the coordinates are read.

        Args:
            level: values of the level dimension (hPa) to take, or how many of the last ones, as in OpenSTL; of no
                matter to variables without levels.

        Raises:
            ValueError: a file without the variable, with other dimensions or another grid than the first, without the
                levels asked for, with times that are no dates; a time that is there twice.
        """
        times, file, position, grids = [], [], [], []
        for number, path in enumerate(paths):
            with open_netcdf(path) as data:
                if name not in data.data_vars:
                    raise ValueError(f"{path} has no variable {name!r}; it has {', '.join(map(str, data.data_vars))}.")
                array = data[name]
                expected = {"time", "lat", "lon"}
                if not expected <= set(array.dims) or set(array.dims) - expected - {"level"}:
                    raise ValueError(
                        f"{path}: {name} has dimensions {array.dims}; (time, lat, lon) or (time, level, "
                        "lat, lon) is needed. Rename or drop dimensions."
                    )
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
            raise ValueError(
                f"{name}: {len(twice)} times are there twice, the first {times[twice[0]]} in {first} and "
                f"{second}. Take one of the files out of {paths[0].parent}."
            )
        lat, lon, levels = grids[0]
        chosen = _levels(levels, level, name, paths[0])
        return cls(name, paths, times, file, position, lat, lon, units, chosen, [levels[k] for k in chosen or ()])

    @property
    def channels(self) -> int:
        return 1 if self.levels is None else len(self.levels)

    def described(self) -> list[tuple[str, str | None]]:
        """Name and unit of each channel."""
        names = [f"{self.name} {pressure:g} hPa" for pressure in self.pressures] or [self.name]
        return [(name, self.units) for name in names]

    def ascending(self) -> "WeatherVariable":
        """With latitudes from south to north."""
        if self.lat[0] > self.lat[-1]:
            self.lat, self.flip = self.lat[::-1].copy(), not self.flip
        return self


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
        nearest = [min(available, key=lambda p: abs(p - q)) for q in missing]
        raise ValueError(
            f"{name}: level {missing} not in {path}, which has {available}; the nearest {'are' if missing[1:] else 'is'} "
            f"{nearest}. Set level to what is there, and in_shape to as many channels."
        )
    return [available.index(p) for p in wanted]


def check_grid(variables: list[WeatherVariable], in_shape, where: str) -> None:
    """A ValueError unless the variables share one grid, and as channels have ``in_shape``'s ``(T, C, H, W)``.

    ``where`` begins the message: the dataset or file.
    """
    first = variables[0]
    for other in variables[1:]:
        if not (np.array_equal(first.lat, other.lat) and np.array_equal(first.lon, other.lon)):
            raise ValueError(f"{where}: {first.name} and {other.name} lie on different grids.")
    found = [sum(v.channels for v in variables), len(first.lat), len(first.lon)]
    if found != list(in_shape[1:]):
        says = str([in_shape[0], *found]).replace(" ", "")
        raise ValueError(
            f"{where}: the files have {found[0]} channels on {found[1]} x {found[2]} points, in_shape "
            f"{list(in_shape)} asks for {in_shape[1]} on {in_shape[2]} x {in_shape[3]}. Regrid the files, "
            f"or set in_shape={says}."
        )


def frame_interval(times: np.ndarray, step: int, where: str) -> np.timedelta64:
    """Time between two frames: ``step`` hours, or the files' own interval where hourly data were expected.

    Raises:
        ValueError: ``step`` is no multiple of the files' interval; ``where`` begins the message.
    """
    wanted = np.timedelta64(step * 60, "m")
    if len(times) < 2:
        return wanted
    native = np.diff(times).min()
    if step == 1 and native > wanted:
        return native
    if wanted % native:
        raise ValueError(
            f"{where} takes a frame every {step} h, and the files have one every {native.astype(int) / 60:g} h."
        )
    return wanted


class NetCDFFrames:
    """Frames of all variables at ``times``, which all have, read from the files: slow (see :func:`.cache.at_hand`).

    ``read`` as that of :class:`.frames.ArrayFrames`; a ValueError names the first value that is not finite.
    """

    def __init__(self, variables: list[WeatherVariable], times: np.ndarray):
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
            with open_netcdf(path) as data:
                array = data[variable.name].transpose("time", ..., "lat", "lon")
                if variable.levels is not None:
                    array = array.isel(level=variable.levels)
                try:
                    # One slice and then a choice: the libraries below read scattered positions one by one.
                    low = int(positions.min())
                    values = array.isel(time=slice(low, int(positions.max()) + 1)).values[positions - low]
                except (OSError, RuntimeError) as error:
                    raise ValueError(unreadable(path, error)) from error
            values = values.reshape(len(here), variable.channels, *self.shape[2:])
            self._refuse_missing(values, variable, path, positions)
            out[here] = values
        return out[..., ::-1, :] if variable.flip else out

    def _refuse_missing(self, values, variable, path, positions):
        bad = ~np.isfinite(values)
        if bad.any():
            t, _, i, j = np.argwhere(bad)[0]
            with open_netcdf(path) as data:
                when = data["time"].values[positions[t]].astype("datetime64[m]")
            raise ValueError(
                f"{path}: {bad.sum()} of {bad.size} values of {variable.name} read are NaN, fill values "
                f"or infinite, the first at {when}, latitude "
                f"{variable.lat[::-1][i] if variable.flip else variable.lat[i]:g}, longitude "
                f"{variable.lon[j]:g}. Fill them in, or leave that time out of the splits."
            )
