"""Stores of named variables: NetCDF and Zarr."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...files import refuse_special
from ...memory import refuse_too_large
from ...naming import choose
from ..frames import Frames
from ..sources import Grid, Source
from ..times import times_or_numbers
from .classic import end_of_values
from .folders import files_in

if TYPE_CHECKING:
    import xarray as xr

STORES = (".nc", ".nc4", ".zarr")


def open_store(
    path: Path,
    data_name: str | Sequence[str] | None = None,
    *,
    level: Sequence[float] | None = None,
    files: Sequence[Path] | None = None,
) -> Source:
    """The frames in ``path``: variables ``(time, y, x)`` or ``(time, z, y, x)``, which become channels.

    Args:
        data_name: the variables; needed where there are several.
        level: values of the coordinate along z to take (default: all).
        files: several NetCDF files in place of ``path``, of stretches of time or of variables; ``path`` is for messages.
    """

    try:
        if path.suffix == ".zarr" and files is None:
            opened = [_open_zarr(path)]
        else:
            opened = [open_netcdf(file) for file in files or [path]]
    except ImportError as error:
        raise ModuleNotFoundError(f"{path} needs zarr, which is not installed: pip install zarr ({error})") from error
    except (OSError, RuntimeError, KeyError) as error:
        if path.suffix != ".zarr" or isinstance(error, PermissionError):
            raise
        raise ValueError(
            f"{path} cannot be read ({error}): it must be a Zarr group with named variables, as xarray's "
            "to_zarr writes it, and may be cut off."
        ) from error
    paths = files or ((path,) if path.is_file() else tuple(files_in(path)))
    return source_of(opened, path, data_name, level=level, paths=paths)


def source_of(
    opened: Sequence,
    where: Path | str,
    data_name: str | Sequence[str] | None = None,
    *,
    level: Sequence[float] | None = None,
    paths: Sequence[Path] = (),
) -> Source:
    """The frames in xarray datasets, of stretches of time or of variables; arguments as of :func:`open_store`.

    Args:
        where: begins messages.
    """
    usable = list(dict.fromkeys(str(v) for data in opened for v in data.data_vars if 3 <= data[v].ndim <= 4))
    names = [data_name] if isinstance(data_name, str) else list(data_name or usable[:1])
    if not usable:
        raise ValueError(f"{where} has no variable (time, y, x) or (time, z, y, x).")
    if data_name is None and len(usable) > 1:
        raise ValueError(
            f"data_name is not given, and {where} has the variables {', '.join(usable)}: say which of them."
        )
    for name in names:
        choose("variable", name, usable, hint=" Give data_name so.")
    stretches = [
        _in_order([_time_first(d[name], where) for d in opened if name in d.data_vars], where) for name in names
    ]
    if level is not None:
        stretches = [[_at_levels(piece, level, where) for piece in pieces] for pieces in stretches]
        if not any(pieces[0].ndim == 4 for pieces in stretches):
            raise ValueError(
                f"level {list(level)} is asked for, and {', '.join(names)} in {where} has no dimension of levels. Leave level out."
            )
    arrays = [pieces[0] for pieces in stretches]
    dated = [np.concatenate([_times_of(piece) for piece in pieces]) for pieces in stretches]
    same = all(np.array_equal(dated[0], times) for times in dated[1:])
    if len({a.dims for a in arrays}) > 1 or len({a.shape[1:] for a in arrays}) > 1 or not same:
        what = "dimensions" if same else "times"
        raise ValueError(f"{where}: {', '.join(names)} have different {what}; they cannot be channels of one frame.")
    time, *_, y, x = arrays[0].dims
    units = {a.attrs.get("units") for a in arrays}
    described = [
        (name if a.ndim == 3 else f"{name} {a.dims[1]} {z:g}", a.attrs.get("units"))
        for name, a in zip(names, arrays)
        for z in ([0] if a.ndim == 3 else _places(a, a.dims[1]))
    ]
    lat, lon = _degrees(arrays[0], y, "latitude"), _degrees(arrays[0], x, "longitude")
    lat, lon = (None, None) if lat is None or lon is None else (lat, lon)
    return Source(
        StoreFrames(stretches, where),
        names[0] if len(names) == 1 else names,
        **times_or_numbers(dated[0] if time in arrays[0].coords else None, where),
        units=units.pop() if len(units) == 1 else None,
        lat=lat,
        lon=lon,
        channels=described,
        field=True,
        grid=grid_of(arrays),
        paths=paths,
        title=next((str(data.attrs["title"]) for data in opened if data.attrs.get("title")), None),
    )


def _times_of(array) -> np.ndarray:
    """Along the first dimension, or numbers from 0."""
    time = array.dims[0]
    return array.coords[time].values if time in array.coords else np.arange(len(array))


def _in_order(pieces: list, where) -> list:
    """One variable's stretches of time, the earliest first.

    Raises:
        ValueError: they lie on different grids, or overlap, or there are several and no times to order them by.
    """
    if len(pieces) == 1:
        return pieces
    first = pieces[0]
    for piece in pieces:
        if piece.dims[0] not in piece.coords or piece.sizes[piece.dims[0]] == 0:
            raise ValueError(f"{where}: a file of {first.name} has no times: with several files, each needs them.")
        if piece.dims != first.dims or any(
            not np.array_equal(_places(piece, dim), _places(first, dim)) for dim in first.dims[1:]
        ):
            raise ValueError(f"{where}: the files of {first.name} lie on different grids: they cannot be one series.")
    pieces = sorted(pieces, key=lambda piece: _times_of(piece)[0])
    for before, after in itertools.pairwise(pieces):
        if not _times_of(before)[-1] < _times_of(after)[0]:
            raise ValueError(
                f"{where}: times of {first.name} are there twice, from {_times_of(after)[0]} on. Take one of the files out."
            )
    return pieces


def _at_levels(array, level: Sequence[float], where):
    """The places along z that have these values."""
    if array.ndim == 3:
        return array
    dim = array.dims[1]
    there = _places(array, dim)
    wanted = list(level) if isinstance(level, (list, tuple)) else [level]
    if absent := [z for z in wanted if z not in there]:
        raise ValueError(
            f"level {absent} is not there: {array.name} in {where} has {dim} {there.tolist()}. Set level to some of them."
        )
    return array.isel({dim: [int(np.flatnonzero(there == z)[0]) for z in wanted]})


class StoreFrames(Frames):
    """Frames of variables with time in front, which become channels; quick where they follow each other.

    Args:
        variables: of each variable its stretches of time, one after the other.
        where: the store, for messages.
    """

    def __init__(self, variables: Sequence[Sequence], where: Path | str):
        self._variables, self._where = variables, where
        self._ends = np.cumsum([len(piece) for piece in variables[0]])
        channels = sum(pieces[0].shape[1] if pieces[0].ndim == 4 else 1 for pieces in variables)
        self.shape = (int(self._ends[-1]), channels, *variables[0][0].shape[-2:])

    def read(self, indices: np.ndarray) -> np.ndarray:
        parts = [self._one(pieces, np.asarray(indices)) for pieces in self._variables]
        return np.concatenate([p if p.ndim == 4 else p[:, None] for p in parts], axis=1, dtype=np.float32)

    def _one(self, pieces: Sequence, indices: np.ndarray) -> np.ndarray:
        if len(pieces) == 1 or not len(indices):
            return rows_of(pieces[0], indices, self._where)
        piece = np.searchsorted(self._ends, indices, side="right")
        out = np.empty((len(indices), *pieces[0].shape[1:]), dtype=np.float32)
        for number in np.unique(piece):
            here = piece == number
            own = indices[here] - (self._ends[number] - len(pieces[number]))
            out[here] = rows_of(pieces[number], own, self._where)
        return out


def rows_of(array: xr.DataArray, indices: np.ndarray, path: Path | str) -> np.ndarray:
    """Scattered places along the first dimension, as one slice and then a choice: the libraries below read scattered
    ones one by one.

    Raises:
        ValueError: the store at ``path`` is damaged there, or that is more than memory can hold.
    """
    if not len(indices):
        return array[:0].values
    low = int(indices.min())
    rows = array[low : int(indices.max()) + 1]
    stored = array.encoding.get("chunksizes") or array.encoding.get("chunks") or ()  # unpacked as a whole
    count = max(math.prod(rows.shape), math.prod(stored))
    refuse_too_large(
        f"{path}: {len(rows)} frames of {array.name} on {rows.shape[1:]} points", rows.dtype.itemsize * count
    )
    try:
        return rows.values[indices - low]
    except (OSError, RuntimeError, ValueError, zlib.error) as error:
        raise ValueError(unreadable(path, error)) from error


def grid_of(arrays: Sequence, order: tuple[np.ndarray, np.ndarray] | None = None) -> Grid:
    """The grid of variables with time in front; a ValueError if they have other coordinates."""
    coords: dict[str, tuple[np.ndarray, dict]] = {}
    for array in arrays:
        for dim in array.dims[1:]:
            if dim not in array.coords or array[dim].dtype.kind not in "fiu":
                continue
            values = array[dim].values
            if dim in coords and not np.array_equal(coords[dim][0], values):
                raise ValueError(
                    f"{array.name} has other values of {dim} than the variables before it, {values.tolist()}: one "
                    "forecast cannot hold both."
                )
            coords[dim] = values, _plain(array[dim].attrs)
    described = [(str(a.name), _plain(a.attrs), dict(zip(a.dims[1:], a.shape[1:]))) for a in arrays]
    plane = set(arrays[0].dims[-2:])
    more = {
        str(name): (tuple(map(str, values.dims)), values.values, _plain(values.attrs))
        for name, values in arrays[0].coords.items()
        if values.dims and set(values.dims) <= plane and name not in arrays[0].dims and values.dtype.kind in "fiu"
    }
    return Grid(described, coords, more, order)


def _plain(attributes: Mapping) -> dict:
    return {k: v for k, v in attributes.items() if isinstance(v, (str, int, float, np.number))}


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


def _open_zarr(path: Path):
    import xarray as xr
    import zarr

    with contextlib.suppress(KeyError, OSError, TypeError):  # what is no group is refused below
        _refuse_long(path, ((name, a.shape, a.dtype) for name, a in zarr.open_group(path, mode="r").arrays()))
    return _decoded(xr.open_zarr(path, decode_cf=False), path)


def _refuse_long(path: str | Path, variables: Iterable[tuple[str, tuple, Any]]) -> None:
    """Coordinates are read whole when a store is opened. ``variables``: name, shape and type of each."""
    for name, shape, dtype in variables:
        if len(shape) == 1:
            refuse_too_large(f"{path}: {name}", shape[0] * np.dtype(dtype).itemsize)


def open_netcdf(path: Path) -> xr.Dataset:
    """The file as an xarray dataset, values not read yet; a ValueError if it is damaged."""
    import xarray as xr

    stat = refuse_special(path)
    _look_through(str(path), stat.st_size, stat.st_mtime_ns)
    try:
        return _decoded(xr.open_dataset(path, decode_cf=False), path)
    except PermissionError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        if "has missing values" in str(error):
            raise
        if "unable to decode time" in str(error):
            raise ValueError(
                f"{path}: the units of its times are not understood ({error}). Write them as the CF "
                "conventions do, as in 'hours since 2001-01-01'."
            ) from error
        raise ValueError(unreadable(path, error)) from error


def unreadable(path: Path | str, error: Exception) -> str:
    """What is wrong with a store that cannot be read."""
    if str(path).endswith(".zarr"):
        return f"{path} cannot be read as Zarr ({error}): it may be damaged or cut off; fetch it again."
    import netCDF4

    szip = "" if netCDF4.__has_szip_support__ else " (or be compressed with szip, which this netCDF4 cannot read)"
    return f"{path} cannot be read as NetCDF ({error}): it may be cut off{szip}; fetch it again."


@lru_cache(maxsize=256)
def _look_through(path: str, size: int, changed: int) -> None:
    """A ValueError where a file would be read wrongly, or not fit in memory. ``size`` and ``changed`` are the cache's.

    The library reads the missing end of a classic file as zeros.
    """
    import netCDF4

    complete = True
    with open(path, "rb") as file:
        if file.read(3) == b"CDF":
            file.seek(0)
            try:
                complete = size >= end_of_values(file)
            except (ValueError, LookupError, OverflowError):
                complete = False
    if not complete:
        raise ValueError(
            f"{path} is cut off: the file is shorter than its header says ({size:,} bytes). Fetch it again."
        )
    with contextlib.suppress(OSError, RuntimeError), netCDF4.Dataset(path) as file:  # damage is told when it is opened
        _refuse_long(path, ((name, v.shape, v.dtype) for name, v in file.variables.items()))


def _decoded(data, path):
    """``data`` with its values decoded: units of time, scales, and fill values, which become NaN.

    What nobody has written has netCDF's own fill value of its type, also where no attribute says so: a writer that
    stopped half-way leaves such values. (Bytes have none.)
    """
    import netCDF4
    import xarray as xr

    for variable in data.variables.values():
        dtype = variable.dtype
        fill = netCDF4.default_fillvals.get(dtype.str[1:]) if dtype.itemsize > 1 else None
        known = fill is None or "_FillValue" in variable.attrs
        if not known and (variable.ndim > 1 or dtype.kind == "f"):  # counted times and levels stay whole numbers
            variable.attrs["_FillValue"] = dtype.type(fill)
    data = xr.decode_cf(data)
    for name, values in data.coords.items():
        if values.ndim == 1 and values.dtype.kind in "fM" and values.isnull().any():
            raise ValueError(f"{path}: its {name} has missing values: the file was not written to its end.")
    return data
