"""Forecasts, scores and pictures of fields in memory: DataArrays and Datasets of xarray."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..data.datasets.custom import cut_out, source_of_data
from ..data.sources import Source
from ..data.windows import WindowDataset
from ..metrics import Climatology, ForecastMetrics, persistence
from ..metrics.report import format_table
from ..training.callbacks import in_notebook
from ..training.data_module import metric_settings, score_units
from .export import scores_of
from .files import offsets_of
from .forecaster import checked_steps, refuse_far
from .inputs import Series, series_of, windows_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .forecaster import Forecaster

_WHERE = "the data"


def open_data(model: "Forecaster", data: Any, *, check_units: bool = True) -> tuple[Source, Series]:
    """``data`` as the frames that ``model`` takes, with the time step of its training.

    Raises:
        ValueError: no time, other variables, another grid, unit or time step than in training.
    """
    hparams = model.hparams
    names = hparams.get("data_name")
    source = source_of_data(data, names, level=hparams.get("level"), where=_WHERE)
    source = cut_out(source.checked(_WHERE, hparams.get("mask")), hparams)
    return source, series_of(source, hparams, _WHERE, check_units=check_units)


def forecast_field(model: "Forecaster", data: Any, steps: int | None, *, window: str, check_range: bool) -> Any:
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


class Scores(dict):
    """Scores by forecast and name, ``{"model": {"mse": ..., "mse_by_lead": [...]}, "persistence": ...}``, as a table where
    they are printed.

    Attributes:
        units: of the data, or of each variable.
    """

    def __init__(self, scores: Mapping[str, Mapping], units: str | Mapping[str, str | None] | None = None):
        super().__init__(scores)
        self.units = units

    def __repr__(self) -> str:
        return format_table(self, self.units)


def recorded_scores(model: "Forecaster") -> Scores:
    """Those of the test that followed the training."""
    record = scores_of(model)
    if record is None:
        raise ValueError("nothing is known of a test of this model: give data to score its forecasts on.")
    return Scores(record["scores"], record.get("units"))


def windows_of(model: "Forecaster", data: Any, *, check_units: bool = True) -> WindowDataset:
    """All windows in ``data`` with the frames to forecast, normalised as in the training."""
    hparams = model.hparams
    inputs, leads = offsets_of(hparams, hparams.aft_seq_length)
    _, series = open_data(model, data, check_units=check_units)
    windows = windows_in(series, np.concatenate([inputs, leads]), "all", _WHERE)  # (n, T_in + T_out)
    missing = hparams.get("missing")
    source = replace(series.source.less(model.cycle), missing=None if missing is None else np.asarray(missing))
    return WindowDataset(source, windows, 0 * inputs, 0 * leads, scaling=_scaling(hparams))


def _scaling(hparams) -> tuple[np.ndarray, np.ndarray]:
    """The statistics of the training as the data have them."""
    mean, std = (np.asarray(hparams[key], dtype=np.float32) for key in ("test_mean", "test_std"))
    return mean, std


@torch.no_grad()
def score_data(
    model: "Forecaster", data: Any, *, climatology: Any = None, check_range: bool = True, batch_size: int | None = None
) -> Scores:
    """See :meth:`~openstl_svq.predict.Forecaster.score`."""
    hparams, dataset = model.hparams, windows_of(model, data, check_units=check_range)
    usual = None if climatology is None else _climatology(model, climatology)
    settings = metric_settings(
        dataset,
        (hparams.get("trained_on") or {}).get("scored") or dataset.data_name,
        hparams,
        *(torch.as_tensor(hparams[key]) for key in ("test_mean", "test_std")),
        with_climatology=usual is not None,
    )
    names = ["model", "persistence"] + (["climatology"] if usual is not None else [])
    scores = {name: ForecastMetrics(**settings, lead_times=True) for name in names}
    weights = next(model.parameters()).dtype
    batch_size = batch_size or hparams.get("val_batch_size", 16)
    for begin in range(0, len(dataset), batch_size):
        indices = range(begin, min(begin + batch_size, len(dataset)))
        x, y = (torch.stack(frames) for frames in zip(*(dataset[i] for i in indices)))
        _refuse_missing(dataset, indices, x, y)
        if check_range:
            mean, std = (torch.as_tensor(hparams[key], dtype=torch.float64) for key in ("test_mean", "test_std"))
            refuse_far(x.double(), mean, std, hparams.get("missing"))
        device = model.device
        forecasts = {"model": model(x.to(device, weights), y.to(device, weights)).float().cpu()}
        forecasts["persistence"] = persistence(x, y.shape[1])
        if usual is not None:
            times = [dataset.target_times(i) for i in indices]
            forecasts["climatology"] = usual.at(None if times[0] is None else np.stack(times)).expand_as(y)
        for name, forecast in forecasts.items():
            scores[name].update(forecast, y, forecasts.get("climatology"))
    return Scores({name: metrics.compute() for name, metrics in scores.items()}, score_units(dataset))


def _climatology(model: "Forecaster", data: Any) -> Climatology:
    """Fitted to all frames of ``data``, normalised as in the training."""
    return Climatology.fit(windows_of(model, data).frames())


def _refuse_missing(dataset: WindowDataset, indices: range, *frames: torch.Tensor) -> None:
    for index, *window in zip(indices, *frames):
        if not all(torch.isfinite(part).all() for part in window):
            times = dataset.input_times(index)
            when = f"number {index}" if times is None else f"that begins at {times[0]}"
            raise ValueError(
                f"{_WHERE} have values that are NaN or infinite in the window {when}, and not where they were always missing "
                "in training: fill them in, or take those frames out."
            )


def _show_figures() -> None:
    """Has a notebook show figures as pictures, unless it does so already."""
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats
    from matplotlib.figure import Figure

    shell = get_ipython()
    if shell and not any(Figure in known.type_printers for known in shell.display_formatter.formatters.values()):
        select_figure_formats(shell, {"png"})


def plot_data(model: "Forecaster", data: Any, *, check_range: bool = True) -> "Figure":
    """See :meth:`~openstl_svq.predict.Forecaster.plot`."""
    from ..figures.forecast import forecast
    from ..figures.trained_run import TrainedRun

    if data is not None:
        windows = windows_of(model, data, check_units=check_range)
        dataset = windows.alone(len(windows) - 1)
        _refuse_missing(dataset, range(1), *(part[None] for part in dataset[0]))
        if check_range:
            mean, std = (torch.as_tensor(model.hparams[key], dtype=torch.float64) for key in ("test_mean", "test_std"))
            refuse_far(dataset[0][0][None].double(), mean, std, model.hparams.get("missing"))
    elif model.example is None:
        raise ValueError("this model has no window at hand to draw a forecast of: give data, as in plot(sst).")
    else:
        dataset = model.example
    if in_notebook():
        _show_figures()
    run = TrainedRun.__new__(TrainedRun)
    run.model, run.dataset, run.config = model, dataset, dict(model.hparams)
    run.folder = Path(str(model.hparams.get("save_dir") or "."))
    run.name, run.samples = run.folder.name, np.arange(1)
    return forecast([run])
