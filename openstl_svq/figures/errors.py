"""Where and when forecasts are wrong: maps of the error, and its size by latitude, lead time and month."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from .registry import register_figure
from .style import SMALL, TEXT, degrees_north, painter, tidy, unit_text, with_unit
from .trained_run import TrainedRun

LATITUDE, MONTH, PERSISTENCE = "latitude", "month", "persistence"
_MOST_TICKS = 8
_SATURATED = 99.5  # percentile of the errors above which their colours are the last


def plot_error_maps(
    mean_error: np.ndarray,
    rms_error: np.ndarray,
    *,
    unit: str = "",
    lat: np.ndarray | None = None,
    lon: np.ndarray | None = None,
) -> Figure:
    """Mean error (bias) and root mean square error at each point.

    Args:
        mean_error, rms_error: over all windows and lead times, ``(H, W)``.
        unit: of the data.
        lat, lon: degrees, ``(H,)`` and ``(W,)``: draws maps.
    """
    draw, aspect = painter(lat, lon, *mean_error.shape)
    figure = Figure(layout="constrained", dpi=150, figsize=(2 * 4.0, 3.2 * min(aspect, 1.2) + 0.7))
    # A few points, such as those beside a seam of the map, may be so far off that all others would have one colour.
    largest, top = (float(np.nanpercentile(np.abs(x), _SATURATED)) or 1.0 for x in (mean_error, rms_error))
    styles = (
        (
            "mean error (forecast \N{MINUS SIGN} truth)",
            mean_error,
            {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest},
        ),
        ("root mean square error", rms_error, {"cmap": "viridis", "vmin": 0, "vmax": top}),
    )
    for axis, (name, values, style) in zip(figure.subplots(1, 2), styles):
        image = draw(axis, values, style)
        axis.set_title(name, fontsize=TEXT)
        axis.tick_params(labelsize=SMALL - 1, length=2)
        bar = figure.colorbar(
            image, ax=axis, shrink=0.8, label=unit_text(unit), extend="both" if values is mean_error else "max"
        )
        bar.ax.tick_params(labelsize=SMALL)
    return figure


def plot_error_by(panels: dict[str, dict[str, tuple[Sequence, Sequence[float]]]], unit: str = "") -> Figure:
    """Root mean square error by latitude, lead time, month, ...

    Args:
        panels: label of the horizontal axis -> name of a forecast -> (x, RMSE). Text as x makes equal steps.
        unit: of the data.
    """
    panels = {label: panel for label, panel in panels.items() if panel}
    if not panels:
        raise ValueError("no error to draw: give at least one forecast.")
    figure = Figure(layout="constrained", dpi=150, figsize=(3.4 * len(panels), 2.9))
    for axis, (label, panel) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
        for name, (x, y) in panel.items():
            look = {"color": "0.45", "linestyle": "--"} if name == PERSISTENCE else {}
            axis.plot(x, y, linewidth=1.2, marker="." if len(x) < 25 else "", label=name, **look)
        _ticks(axis, label, sorted({value for x, _ in panel.values() for value in x}))
        axis.set_xlabel(label, fontsize=TEXT)
        axis.set_ylim(bottom=0)
        tidy(axis)
    figure.axes[0].set_ylabel(with_unit("RMSE", unit), fontsize=TEXT)
    figure.axes[0].legend(fontsize=SMALL, frameon=False)
    return figure


def _ticks(axis: Axes, label: str, places: Sequence) -> None:
    """Ticks where the values are: at lead times, months by name, latitudes north and south."""
    if label == LATITUDE:
        axis.xaxis.set_major_locator(MultipleLocator(30))
        axis.xaxis.set_major_formatter(lambda y, _: degrees_north(y))
    elif label == MONTH:
        axis.set_xticks(places, ["JFMAMJJASOND"[int(month) - 1] for month in places])
    elif len(places) <= _MOST_TICKS and label.startswith("lead time"):
        axis.set_xticks(places)
    elif label == "lead time (h)":  # whole days
        axis.xaxis.set_major_locator(MultipleLocator(24 if max(places) <= 8 * 24 else 48))


@register_figure("error_maps", "mean error and root mean square error at each point")
def error_maps(runs: Sequence[TrainedRun]) -> Figure:
    (run,) = runs
    error = run.error(run.forecasts[2])  # (n, T, H, W)
    return plot_error_maps(
        error.mean((0, 1)), np.sqrt((error**2).mean((0, 1))), unit=run.unit, lat=run.lat, lon=run.lon
    )


@register_figure("error_by", "error by lead time, latitude and month, beside persistence", several=True)
def error_by(runs: Sequence[TrainedRun]) -> Figure:
    panels: dict[str, dict[str, tuple[Sequence, Sequence[float]]]] = {}
    for run in runs:
        inputs, truth, prediction = run.forecasts
        for name, forecast in ((PERSISTENCE, np.broadcast_to(inputs[:, -1:], truth.shape)), (run.name, prediction)):
            squared = run.error(forecast) ** 2  # (n, T, H, W)
            leads, label = run.lead_times
            panels.setdefault(label, {})[name] = (leads, np.sqrt(np.nanmean(squared, (0, 2, 3))))
            if run.lat is not None:
                panels.setdefault(LATITUDE, {})[name] = (run.lat, np.sqrt(np.nanmean(squared, (0, 1, 3))))
            if (months := run.months) is not None:  # (n, T)
                by_month = {int(month): np.nanmean(squared[months == month]) for month in np.unique(months)}
                panels.setdefault(MONTH, {})[name] = (list(by_month), np.sqrt(list(by_month.values())))
    return plot_error_by(panels, runs[0].unit)
