"""WeatherBench's NetCDF layout: which variable lies where, and how its files are written and read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...files import replacing
from ..frames import Frames
from ..sources import Source
from .stores import grid_of, open_netcdf, rows_of

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Variable:
    """One variable of WeatherBench.

    ``folder`` also begins the files' names. ``packing`` is (scale, offset) of 16-bit storage: finer than the variable
    is known, wide enough for any weather; ``None`` for float32, where one scale cannot do for all levels.
    """

    folder: str
    long_name: str
    units: str
    levels: bool
    packing: tuple[float, float] | None


VARIABLES = {
    "t2m": Variable("2m_temperature", "near-surface air temperature", "K", False, (0.01, 273.15)),
    "u10": Variable("10m_u_component_of_wind", "near-surface eastward wind", "m s**-1", False, (0.005, 0.0)),
    "v10": Variable("10m_v_component_of_wind", "near-surface northward wind", "m s**-1", False, (0.005, 0.0)),
    "tcc": Variable("total_cloud_cover", "total cloud cover", "(0 - 1)", False, (0.0001, 0.5)),
    "r": Variable("relative_humidity", "relative humidity", "%", True, (0.01, 100.0)),
    "t": Variable("temperature", "temperature", "K", True, (0.01, 273.15)),
    "u": Variable("u_component_of_wind", "eastward wind", "m s**-1", True, (0.01, 0.0)),
    "v": Variable("v_component_of_wind", "northward wind", "m s**-1", True, (0.01, 0.0)),
    "z": Variable("geopotential", "geopotential", "m**2 s**-2", True, (5.0, 120_000.0)),
    "pv": Variable("potential_vorticity", "potential vorticity", "K m**2 kg**-1 s**-1", True, None),
    "q": Variable("specific_humidity", "specific humidity", "kg kg**-1", True, None),
    "vo": Variable("vorticity", "relative vorticity", "s**-1", True, (1e-7, 0.0)),
    # both of the hour that ends at the time
    "tisr": Variable("toa_incident_solar_radiation", "incident solar radiation", "J m**-2", False, (100.0, 2.5e6)),
    "tp": Variable("total_precipitation", "total precipitation", "m", False, (1e-6, 0.03)),
}

# 5.625 degrees: (32 latitudes, 64 longitudes)
WEATHERBENCH_GRID = (np.linspace(-87.1875, 87.1875, 32), 5.625 * np.arange(64))


def write_file(
    path: Path,
    name: str,
    times: np.ndarray,
    values: np.ndarray,
    *,
    levels: Sequence[float] | None = None,
    attributes: Mapping[str, Any] | None = None,
    precision: float | None = None,
    grid: tuple[np.ndarray, np.ndarray] = WEATHERBENCH_GRID,
) -> None:
    """Writes one file of ``name``, compressed, in one go or not at all.

    Args:
        path: the file; its folder is made.
        name: of ``VARIABLES``.
        times: datetime64 ``(T,)``.
        values: ``(T, H, W)``, or ``(T, L, H, W)`` with ``levels`` (hPa), in the variable's unit.
        attributes: global attributes, for provenance.
        precision: step of the stored 16-bit numbers, in the variable's unit (default: that of ``VARIABLES``); of no
            matter to variables that are stored as float32.
        grid: latitudes and longitudes, degrees.

    Raises:
        ValueError: values that are not finite, or beyond what 16 bits hold.
    """
    import netCDF4
    import xarray as xr

    variable = VARIABLES[name]
    if variable.packing is None:
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: {(~np.isfinite(values)).sum()} of {values.size} values are not finite.")
        storage: dict[str, Any] = {"dtype": "float32"}
    else:
        step, offset = precision or variable.packing[0], variable.packing[1]
        if not np.abs(values - offset).max() / step < 32767:
            raise ValueError(
                f"{name}: values from {np.min(values):g} to {np.max(values):g} {variable.units} do not fit in "
                f"16 bits at a step of {step:g}: give a coarser precision."
            )
        storage = {"dtype": "int16", "scale_factor": step, "add_offset": offset, "_FillValue": -32768}
    coords: dict[str, Any] = {"time": times.astype("datetime64[ns]")}
    if levels is not None:
        coords["level"] = ("level", np.asarray(levels, dtype=np.int32), {"units": "hPa", "long_name": "pressure"})
    coords["lat"] = ("lat", grid[0], {"units": "degrees_north", "standard_name": "latitude"})
    coords["lon"] = ("lon", grid[1], {"units": "degrees_east", "standard_name": "longitude"})
    data = xr.Dataset(
        {name: (tuple(coords), values, {"units": variable.units, "long_name": variable.long_name})},
        coords=coords,
        attrs={"Conventions": "CF-1.8", **(attributes or {})},
    )
    compression: dict[str, Any] = {"zlib": True, "complevel": 9, "shuffle": True}
    if netCDF4.__has_szip_support__:  # stores the differences along time, which are small: two thirds the size
        compression = {"compression": "szip", "szip_coding": "nn", "szip_pixels_per_block": 12}
    steps = min(len(times), 1464)
    across = min(values.shape[-1], -(-256 // steps))  # a short series is stored in wider pieces
    encoding = {**storage, **compression, "chunksizes": (steps, *(1,) * (values.ndim - 2), across)}
    with replacing(path) as partial:
        data.to_netcdf(
            partial,
            format="NETCDF4",
            engine="netcdf4",
            encoding={name: encoding, "time": {"units": "hours since 1900-01-01", "dtype": "int32"}},
        )


def variable_files(folder: Path, name: str) -> list[Path]:
    """The files of variable ``name`` under ``folder`` in WeatherBench's layout, sorted; empty where there are none."""
    kind = VARIABLES[name].folder
    return sorted((folder / kind).glob(f"{kind}*.nc"))


@dataclass(frozen=True)
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
    def of_files(cls, paths: list[Path], name: str, level: int | list[int] = 1) -> WeatherVariable:
        """The variable ``name`` of one or more files, of which only the coordinates are read.

        Args:
            level: values of the level dimension (hPa) to take, or how many of the last ones, as in OpenSTL; of no
                matter to variables without levels.

        Raises:
            ValueError: a file without the variable, with other dimensions or another grid than the first, without the
                levels asked for, with times that are no dates; a time that is there twice.
        """
        pieces, grids = [], []
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
                here = data["time"].values.astype("datetime64[m]")
                levels = data["level"].values.tolist() if "level" in array.dims else None
                grids.append((data["lat"].values, data["lon"].values, levels))
                units = array.attrs.get("units")
            pieces.append((here, np.full(len(here), number), np.arange(len(here))))
            if any(not np.array_equal(a, b) for a, b in zip(grids[0][:2], grids[-1][:2])) or grids[0][2] != levels:
                raise ValueError(f"{path} and {paths[0]} have different grids or levels: they cannot be one series.")
        times, file, position = (np.concatenate(v) for v in zip(*pieces))
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
        return cls(
            name,
            paths,
            times,
            file,
            position,
            lat,
            lon,
            units,
            chosen,
            [levels[k] for k in chosen or ()] if levels else [],
        )

    @property
    def channels(self) -> int:
        return 1 if self.levels is None else len(self.levels)

    def described(self) -> list[tuple[str, str | None]]:
        """Name and unit of each channel."""
        names = [f"{self.name} {pressure:g} hPa" for pressure in self.pressures] or [self.name]
        return [(name, self.units) for name in names]

    def array_in(self, data: xr.Dataset) -> xr.DataArray:
        """The variable in one of its files, with the levels chosen: ``(time, lat, lon)`` or ``(time, level, lat, lon)``."""
        array = data[self.name].transpose("time", ..., "lat", "lon")
        return array if self.levels is None else array.isel(level=self.levels)

    def ascending(self) -> WeatherVariable:
        """With latitudes from south to north."""
        return replace(self, lat=self.lat[::-1].copy(), flip=True) if self.lat[0] > self.lat[-1] else self


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


def check_grid(
    variables: Sequence[WeatherVariable], in_shape: Sequence[int], where: str, region: Mapping | None = None
) -> None:
    """A ValueError unless the variables share one grid, and as channels have ``in_shape``'s ``(T, C, H, W)``.

    ``where`` begins the message: the dataset or file. ``region`` is cut out of the grid, see ``Source.within``.
    """
    first = variables[0]
    for other in variables[1:]:
        if not (np.array_equal(first.lat, other.lat) and np.array_equal(first.lon, other.lon)):
            raise ValueError(f"{where}: {first.name} and {other.name} lie on different grids.")
    found = list(weather_source(variables).within(region).frames.shape[1:])
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


def weather_source(
    variables: Sequence[WeatherVariable], name: str | list[str] | None = None, *, missing_allowed: bool = False
) -> Source:
    """The frames at all times that the variables share, which become channels in their order."""
    times = variables[0].times
    for variable in variables[1:]:
        times = np.intersect1d(times, variable.times)
    units = {v.units for v in variables}
    return Source(
        WeatherFrames(variables, times, missing_allowed),
        name,
        times=times,
        units=units.pop() if len(units) == 1 else None,
        lat=variables[0].lat,
        lon=variables[0].lon,
        channels=[channel for v in variables for channel in v.described()],
        field=True,
        paths=[path for v in variables for path in v.paths],
    )


def with_grid(source: Source, variables: Sequence[WeatherVariable]) -> Source:
    """``source`` with what a NetCDF file of such frames keeps: that of each variable's first file."""
    with contextlib.ExitStack() as files:
        arrays = [v.array_in(files.enter_context(open_netcdf(v.paths[0]))) for v in variables]
        rows, columns = (np.arange(n) for n in source.frames.shape[2:])
        order = (rows[::-1], columns) if variables[0].flip else None
        return replace(source, grid=grid_of(arrays, order))


class WeatherFrames(Frames):
    """Frames of all variables at ``times``, which all have, read from the files: slow (see :func:`~openstl_svq.data.cache.cache_frames`).

    ``read`` as that of :class:`.frames.ArrayFrames`; a ValueError names the first value that is not finite, or it is
    NaN where ``missing_allowed``.
    """

    def __init__(self, variables: Sequence[WeatherVariable], times: np.ndarray, missing_allowed: bool = False):
        self.variables, self._missing_allowed = variables, missing_allowed
        self.times = times
        self.rows = [np.searchsorted(v.times, times) for v in variables]
        self.shape = (len(times), sum(v.channels for v in variables), len(variables[0].lat), len(variables[0].lon))

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.concatenate([self._one(v, rows[indices]) for v, rows in zip(self.variables, self.rows)], axis=1)

    def _one(self, variable, rows):
        out = np.empty((len(rows), variable.channels, *self.shape[2:]), dtype=np.float32)
        for number in np.unique(variable.file[rows]):
            path = variable.paths[number]
            here = np.flatnonzero(variable.file[rows] == number)
            positions = variable.position[rows[here]]
            with open_netcdf(path) as data:
                values = rows_of(variable.array_in(data), positions, path)
            values = values.reshape(len(here), variable.channels, *self.shape[2:])
            if self._missing_allowed:
                values = np.where(np.isfinite(values), values, np.float32(np.nan))
            else:
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
                f"{variable.lon[j]:g}. Fill them in, or leave that time out of the splits; where points are always missing, "
                'give mask="land".'
            )
