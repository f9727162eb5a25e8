"""Forecasts, scores and pictures of fields in memory: DataArrays and Datasets of xarray."""

from typing import Any

import numpy as np

from ..data.datasets.custom import cut_out, source_of_data
from ..data.sources import Source
from .files import offsets_of
from .forecaster import checked_steps
from .inputs import Series, series_of, windows_in

_WHERE = "the data"


def open_data(model, data, *, check_units: bool = True) -> tuple[Source, Series]:
    """``data`` as the frames that ``model`` takes, with the time step of its training.

    Raises:
        ValueError: no time, other variables, another grid, unit or time step than in training.
    """
    hparams = model.hparams
    names = hparams.get("data_name")
    source = source_of_data(data, names, level=hparams.get("level"), where=_WHERE)
    source = cut_out(source.checked(_WHERE, hparams.get("mask")), hparams)
    return source, series_of(source, hparams, _WHERE, check_units=check_units)


def forecast_field(model, data, steps: int | None, *, window: str, check_range: bool) -> Any:
    """See :meth:`~openstl_svq.predict.Forecaster.predict`."""
    import xarray as xr

    steps = checked_steps(model.hparams, steps)
    inputs, leads = offsets_of(model.hparams, steps)
    source, series = open_data(model, data, check_units=check_range)
    windows = windows_in(series, inputs, window, _WHERE)
    frames = series.read(windows)  # (n, T, C, H, W)
    forecast = model.predict(
        frames, steps, check_range=check_range, times=series.when(series.axis[windows])
    )  # (n, S, C, H, W)
    if source.grid is not None:
        forecast = series.grid.restore(forecast)
    starts = series.axis[windows[:, -1]]
    places = starts[:, None] + leads * series.unit
    arrays = [data] if isinstance(data, xr.DataArray) else [data[str(name)] for name, *_ in source.grid.variables]
    made, channel = [], 0
    for array, (_, _, dims) in zip(arrays, source.grid.variables):
        channels = int(np.prod(list(dims.values())[:-2]))
        values = forecast[:, :, channel : channel + channels].reshape(*forecast.shape[:2], *dims.values())
        made.append(_like(array, values, dims, series, starts, places, many=window == "all"))
        channel += channels
    return made[0] if isinstance(data, xr.DataArray) else xr.Dataset({a.name: a for a in made}, attrs=data.attrs)


def _like(array, values: np.ndarray, dims: dict, series: Series, starts, places, *, many: bool):
    """The forecasts ``(n, S, *dims)`` as a DataArray with the name, attributes and coordinates of ``array``."""
    import xarray as xr

    time = next(dim for dim in array.dims if dim not in dims)
    coords = {name: c for name, c in array.coords.items() if set(c.dims) <= set(dims)}
    cut = {dim: xr.DataArray(v, dims=dim, attrs=rest) for dim, (v, rest) in series.grid.coords.items() if dim in dims}
    cut |= {name: xr.DataArray(v, dims=where, attrs=rest) for name, (where, v, rest) in series.grid.more.items()}
    coords = {name: c for name, c in coords.items() if name in cut or not set(c.dims)} | cut
    lead = _leads(series, places[0] - starts[0])
    if many:
        coords |= {
            "init_time": ("init_time", _stamps(array[time], series, starts)),
            "lead_time": ("lead_time", *lead),
            "valid_time": (("init_time", "lead_time"), _stamps(array[time], series, places)),
        }
        return xr.DataArray(values, coords, ("init_time", "lead_time", *dims), array.name, array.attrs)
    coords |= {
        time: (time, _stamps(array[time], series, places[0]), array[time].attrs),
        "lead_time": (time, *lead),
        "init_time": _stamps(array[time], series, starts[:1])[0],
    }
    made = xr.DataArray(values[0], coords, (time, *dims), array.name, array.attrs)
    return made.transpose(*array.dims)


def _leads(series: Series, steps: np.ndarray) -> tuple[np.ndarray, dict]:
    """Lead times as timedeltas, or numbers of months or frames; and their attributes."""
    standard = {"standard_name": "forecast_period"}
    if series.clock is None:
        return steps, {**standard, "units": "frames"}
    if series.clock.monthly:
        return steps, {**standard, "units": "months"}
    return steps.astype("timedelta64[m]").astype("timedelta64[ns]"), standard


def _stamps(time, series: Series, places: np.ndarray) -> np.ndarray:
    """Times of ``places`` in the calendar that the coordinate ``time`` has."""
    when = series.when(places)
    if time.dtype.kind != "O":
        return when.astype("datetime64[ns]") if when.dtype.kind == "M" else when
    one = time.values.flat[0]
    made = np.empty(when.shape, dtype=object)
    for place, moment in np.ndenumerate(when):
        t = moment.astype("datetime64[s]").item()
        made[place] = one.replace(year=t.year, month=t.month, day=t.day, hour=t.hour, minute=t.minute)
    return made
