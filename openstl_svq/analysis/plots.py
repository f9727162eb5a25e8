"""Pictures of forecasts and of training, as PNG files. No window, no global state of matplotlib's."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..files import replacing

_PANEL = 1.9  # inches, the longer side of a frame
_SMALL, _TEXT = 7.5, 9
_OUTLIERS = 99.8  # percentile of the error at which its colours saturate


def plot_forecast(path: str | os.PathLike, inputs: np.ndarray, truth: np.ndarray, prediction: np.ndarray, *,
                  units: str | None = None, lat=None, lon=None, title: str | None = None, channel: int | None = None,
                  input_labels: Sequence[str] | None = None, lead_labels: Sequence[str] | None = None,
                  columns: int = 6) -> Path:
    """One forecast: rows of input, truth, prediction, and error (prediction - truth), frames from left to right.

    The first three rows share their colours, over the range of input and truth; the error's are symmetric about zero.
    Each error has its root mean square above it.

    Args:
        path: the PNG, complete or not written at all.
        inputs: ``(T_in, C, H, W)``.
        truth, prediction: ``(T_out, C, H, W)``.
        units: of the values, for the colour bars.
        lat, lon: degrees, ``(H,)`` and ``(W,)``: draws maps.
        title: above all.
        channel: which one is drawn; by default the first, or all three as red, green, blue in [0, 1] where there are
            three and neither units nor coordinates (then the error is the mean over them).
        input_labels, lead_labels: of all frames; by default the steps from the last input, t.
        columns: at most so many frames of a row are drawn, evenly spread, first and last forecast among them.

    Raises:
        ValueError: shapes, labels, coordinates or channel that do not fit each other, or no finite value to draw.
    """
    inputs, truth, prediction = (np.asarray(x, dtype=np.float64) for x in (inputs, truth, prediction))
    for x in (inputs, truth, prediction):
        if x.ndim != 4 or x.shape[1:] != truth.shape[1:] or prediction.shape != truth.shape or not x.size:
            raise ValueError("inputs are (T_in, C, H, W), truth and prediction (T_out, C, H, W); got "
                             f"{inputs.shape}, {truth.shape}, {prediction.shape}.")
    steps_in, (steps_out, channels, height, width) = len(inputs), truth.shape
    input_labels = _labels("input_labels", input_labels, steps_in, [_step(i - steps_in + 1) for i in range(steps_in)])
    lead_labels = _labels("lead_labels", lead_labels, steps_out, [_step(i + 1) for i in range(steps_out)])
    if channel is not None and not 0 <= channel < channels:
        raise ValueError(f"channel {channel} is not among the {channels} channels, numbered from 0.")
    draw, aspect = _painter(lat, lon, height, width)
    on_map = lat is not None
    colour = channel is None and channels == 3 and not units and not on_map

    error = prediction - truth
    rms = np.sqrt(np.nanmean(error**2 if colour else error[:, channel or 0, None] ** 2, axis=(1, 2, 3)))
    if colour:
        rows = [np.moveaxis(x, 1, -1).clip(0, 1) for x in (inputs, truth, prediction)] + [error.mean(1)]
        values = None
    else:
        rows = [x[:, channel or 0] for x in (inputs, truth, prediction, error)]  # (T, H, W)
        values = _range("the input and the truth hold", np.concatenate([rows[0].ravel(), rows[1].ravel()]))
    largest = np.nanpercentile(np.abs(rows[3]), _OUTLIERS) if np.isfinite(rows[3]).any() else np.nan
    if not np.isfinite(largest):
        raise ValueError("the prediction holds no finite value to draw.")
    errors = Normalize(-largest, largest)
    style = {"cmap": "viridis" if on_map or units else "gray", "norm": values}
    styles = [style, style, style, {"cmap": "RdBu_r", "norm": errors}]

    shown_out = np.unique(np.linspace(0, steps_out - 1, min(columns, steps_out)).round().astype(int))
    shown_in = np.unique(np.linspace(steps_in - 1, 0, min(len(shown_out), steps_in)).round().astype(int))
    panel_h, panel_w = (_PANEL * aspect, _PANEL) if aspect < 1 else (_PANEL, _PANEL / aspect)
    figure = Figure(layout="constrained", dpi=150, figsize=(
        len(shown_out) * (panel_w + 0.12) + 1.3, 4 * (panel_h + 0.27) + 0.4 * bool(title) + 0.2 * on_map))
    grid = figure.add_gridspec(4, len(shown_out) + 1, width_ratios=[panel_w] * len(shown_out) + [0.12])
    names = ["input", "truth", "prediction", "error"]
    unit = f" {units}" if units else ""
    labels = [input_labels, lead_labels, lead_labels, [f"RMS {r:.3g}{unit}" for r in rms]]
    for row, (name, frames, style) in enumerate(zip(names, rows, styles)):
        shown = shown_in if row == 0 else shown_out
        for column, step in enumerate(shown):
            axis = figure.add_subplot(grid[row, column])
            image = draw(axis, frames[step], style)
            axis.set_title(labels[row][step], fontsize=_SMALL, pad=2.5)
            left, bottom = on_map and column == 0, on_map and row == 3
            axis.tick_params(labelsize=_SMALL - 1, length=2, pad=1.5, left=left, labelleft=left, bottom=bottom,
                             labelbottom=bottom)
            if column == 0:
                axis.set_ylabel(name, fontsize=_TEXT)
        if row == 3 or row == 2 and not colour:
            place = figure.add_subplot(grid[3, -1] if row == 3 else grid[:3, -1])
            bar = figure.colorbar(image, cax=place, extend=_extend(frames, style["norm"]))
            bar.ax.tick_params(labelsize=_SMALL)
            bar.set_label(units or "", fontsize=_TEXT)
    if title:
        figure.suptitle(title, fontsize=_TEXT + 1)
    return _save(figure, path)


def plot_curves(path: str | os.PathLike, curves: Mapping[str, Sequence[float]], *, x: Sequence[float] | None = None,
                xlabel: str = "epoch", ylabel: str = "loss", title: str | None = None) -> Path:
    """Curves by name against ``x`` (1, 2, ... by default), e.g. training and validation loss. NaN leaves a gap.

    The vertical axis is logarithmic where all values are positive and span more than a factor of ten.
    """
    if not curves or not all(len(values) for values in curves.values()):
        raise ValueError("no curve to draw: give at least one name with values.")
    everything = np.concatenate([np.asarray(values, dtype=np.float64) for values in curves.values()])
    limits = _range("the curves hold", everything)
    figure = Figure(layout="constrained", dpi=150, figsize=(5.5, 3.4))
    axis = figure.subplots()
    for name, values in curves.items():
        at = np.arange(1, len(values) + 1) if x is None else x
        if len(at) != len(values):
            raise ValueError(f"curve {name!r} has {len(values)} values for {len(at)} points of x.")
        axis.plot(at, values, label=name, linewidth=1.4, marker="." if len(values) < 25 else "")
    if limits.vmin > 0 and limits.vmax > 10 * limits.vmin:
        axis.set_yscale("log")
    axis.set_xlabel(xlabel, fontsize=_TEXT)
    axis.set_ylabel(ylabel, fontsize=_TEXT)
    axis.tick_params(labelsize=_SMALL)
    axis.grid(True, which="both", alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=_TEXT, frameon=False)
    if title:
        axis.set_title(title, fontsize=_TEXT + 1)
    return _save(figure, path)


def _step(offset: int) -> str:
    sign = "+" if offset > 0 else "\N{MINUS SIGN}"
    return f"t {sign} {abs(offset)}" if offset else "t"


def _labels(name: str, given: Sequence[str] | None, count: int, default: list[str]) -> list[str]:
    if given is not None and len(given) != count:
        raise ValueError(f"{name} has {len(given)} entries for {count} frames.")
    return default if given is None else [str(label) for label in given]


def _painter(lat, lon, height: int, width: int):
    """A function that draws a frame on an axis, as a map where there are coordinates; and its height over its width."""
    if (lat is None) != (lon is None):
        raise ValueError("a map needs both lat and lon.")
    if lat is None:
        return lambda axis, frame, style: axis.imshow(frame, **style, interpolation="nearest"), height / width
    lat, lon = np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)
    if lat.shape != (height,) or lon.shape != (width,):
        raise ValueError(f"lat {lat.shape} and lon {lon.shape} do not fit frames of {height} x {width}.")
    lon = np.unwrap(lon, period=360)  # a window across the meridian where the numbers jump
    lon -= 360 * (lon.max() > 360)

    def draw(axis, frame, style):
        mesh = axis.pcolormesh(lon, lat, frame, **style, shading="nearest")
        axis.set_aspect("equal")
        axis.locator_params(nbins=4)
        axis.xaxis.set_major_formatter("{x:g}°")
        axis.yaxis.set_major_formatter("{x:g}°")
        return mesh

    return draw, np.ptp(lat) / np.ptp(lon) if height > 1 and width > 1 else height / width


def _range(what: str, values: np.ndarray) -> Normalize:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError(f"{what} no finite value to draw.")
    return Normalize(finite.min(), finite.max())


def _extend(values: np.ndarray, norm: Normalize) -> str:
    """Which ends of a colour bar are passed by the values."""
    below, above = bool(np.nanmin(values) < norm.vmin), bool(np.nanmax(values) > norm.vmax)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]


def _save(figure: Figure, path: str | os.PathLike) -> Path:
    with replacing(path) as partial:
        figure.savefig(partial, format="png")
    return Path(path)
