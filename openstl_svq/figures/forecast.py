"""One forecast: input, truth, prediction and error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL, TEXT, painter, unit_text
from .trained_run import TrainedRun

_PANEL = 1.9  # inches, the longer side of a frame
_TALLEST = 20  # inches of all rows
_OUTLIERS = 99.8  # percentile of the error at which its colours saturate
_CHANNELS = 4  # of more, the frames would be too small to read
_ROWS = ("input", "truth", "prediction", "error\n(pred. \N{MINUS SIGN} truth)")


def plot_forecast(
    inputs: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    units: str | Sequence[str | None] | None = None,
    channel_names: Sequence[str] | None = None,
    channels: Sequence[int] | None = None,
    lat: np.ndarray | None = None,
    lon: np.ndarray | None = None,
    title: str | None = None,
    input_labels: Sequence[str] | None = None,
    lead_labels: Sequence[str] | None = None,
    columns: int = 6,
) -> Figure:
    """One forecast: rows of input, truth, prediction, and error (prediction - truth), frames from left to right.

    The first three rows share their colours, over the range of input and truth; the error's are symmetric about zero.
    Each error has its root mean square above it. Several channels are drawn below each other; three without names,
    units and coordinates and in [0, 1] are a picture's red, green and blue (then the error is the mean over them).

    Args:
        inputs: ``(T_in, C, H, W)``.
        truth, prediction: ``(T_out, C, H, W)``.
        units: of the values, for the colour bars: of all channels or of each.
        channel_names: of all channels.
        channels: numbers of those to draw (default: all up to four, of more four that are evenly spread; the title says
            so).
        lat, lon: degrees, ``(H,)`` and ``(W,)``: draws maps.
        title: above all.
        input_labels, lead_labels: of all frames; by default the steps from the last input, t.
        columns: at most so many frames of a row are drawn, evenly spread, first and last forecast among them.

    Raises:
        ValueError: shapes, labels, coordinates or channels that do not fit each other, or no finite value to draw.
    """
    inputs, truth, prediction = (np.asarray(x, dtype=np.float64) for x in (inputs, truth, prediction))
    for x in (inputs, truth, prediction):
        if x.ndim != 4 or x.shape[1:] != truth.shape[1:] or prediction.shape != truth.shape or not x.size:
            raise ValueError(
                "inputs are (T_in, C, H, W), truth and prediction (T_out, C, H, W); got "
                f"{inputs.shape}, {truth.shape}, {prediction.shape}."
            )
    steps_in, (steps_out, count, height, width) = len(inputs), truth.shape
    input_labels = _labels("input_labels", input_labels, steps_in, [_step(i - steps_in + 1) for i in range(steps_in)])
    lead_labels = _labels("lead_labels", lead_labels, steps_out, [_step(i + 1) for i in range(steps_out)])
    names = _labels(
        "channel_names", channel_names, count, [f"channel {c}" for c in range(count)] if count > 1 else [""], "channels"
    )
    units = [units] * count if units is None or isinstance(units, str) else list(units)
    units = [unit_text(unit) for unit in _labels("units", [unit or "" for unit in units], count, [], "channels")]
    draw, aspect = painter(lat, lon, height, width)
    on_map = lat is not None
    colour = (
        channels is None
        and channel_names is None
        and count == 3
        and not any(units)
        and not on_map
        and _in_unit_range(inputs)
        and _in_unit_range(truth)
    )
    if colour:
        blocks = [_colour_block(inputs, truth, prediction)]
    else:
        chosen = list(range(count)) if channels is None else list(channels)
        if channels is None and count > _CHANNELS:
            chosen = np.linspace(0, count - 1, _CHANNELS).round().astype(int).tolist()
            title = f"{title or ''} ({_CHANNELS} of {count} channels)".strip()
        for channel in chosen:
            if not 0 <= channel < count:
                raise ValueError(f"channel {channel} is not among the {count} channels, numbered from 0.")
        cmap = "viridis" if count > 1 or channel_names or any(units) or on_map else "gray"
        blocks = [_block(inputs[:, c], truth[:, c], prediction[:, c], names[c], units[c], cmap) for c in chosen]

    shown_out = np.unique(np.linspace(0, steps_out - 1, min(columns, steps_out)).round().astype(int))
    shown_in = np.unique(np.linspace(steps_in - 1, 0, min(len(shown_out), steps_in)).round().astype(int))
    count_rows = 4 * len(blocks)
    side = min(_PANEL, (_TALLEST / count_rows - 0.27) / min(aspect, 1))
    panel_h, panel_w = (side * aspect, side) if aspect < 1 else (side, side / aspect)
    figure = Figure(
        layout="constrained",
        dpi=150,
        figsize=(
            len(shown_out) * (panel_w + 0.12) + 1.3,
            count_rows * (panel_h + 0.27) + 0.4 * bool(title) + 0.2 * on_map,
        ),
    )
    grid = figure.add_gridspec(count_rows, len(shown_out) + 1, width_ratios=[panel_w] * len(shown_out) + [0.12])
    for top, block in zip(range(0, count_rows, 4), blocks):
        above = [input_labels, lead_labels, lead_labels, block.error_labels]
        for row, (name, frames, labels) in enumerate(zip(_ROWS, block.rows, above)):
            for column, step in enumerate(shown_in if row == 0 else shown_out):
                axis = figure.add_subplot(grid[top + row, column])
                image = draw(axis, frames[step], block.error_style if row == 3 else block.style)
                axis.set_title(labels[step], fontsize=SMALL, pad=2.5)
                left, bottom = on_map and column == 0, on_map and top + row == count_rows - 1
                axis.tick_params(
                    labelsize=SMALL - 1, length=2, pad=1.5, left=left, labelleft=left, bottom=bottom, labelbottom=bottom
                )
                if column == 0:
                    axis.set_ylabel(f"{block.name}\n{name}" if block.name and row < 3 else name, fontsize=TEXT)
            if row == 3 or (row == 2 and not colour):
                place = figure.add_subplot(grid[top + 3, -1] if row == 3 else grid[top : top + 3, -1])
                style = block.error_style if row == 3 else block.style
                bar = figure.colorbar(image, cax=place, extend=_extend(frames, style["norm"]))
                bar.ax.tick_params(labelsize=SMALL)
                bar.set_label(", ".join(filter(None, (block.name if row < 3 else "", block.unit))), fontsize=TEXT)
    if title:
        figure.suptitle(title, fontsize=TEXT + 1)
    return figure


@register_figure("forecast", "one forecast, from the middle of the test set: input, truth, prediction and error")
def forecast(runs: Sequence[TrainedRun]) -> Figure:
    (run,) = runs
    index = len(run.dataset) // 2
    frames = run.forecast([index])
    if run.blue_first:
        frames = [x[:, :, ::-1] for x in frames]
    title, labels = run.title, {}
    if (times := run.times(index)) is not None:
        last = times[0][-1]
        labels = dict(zip(("input_labels", "lead_labels"), (_offsets(t - last) for t in times)))
        title += f", last input {str(last).replace('T', ' ')}"
    else:
        title += f", test window {index + 1} of {len(run.dataset)}"
    channels = getattr(run.dataset, "channels", None)
    names, units = zip(*channels) if channels else (None, run.unit)
    return plot_forecast(
        *(x[0] for x in frames), channel_names=names, units=units, title=title, lat=run.lat, lon=run.lon, **labels
    )


def _offsets(times: np.ndarray) -> list[str]:
    """Offsets from the last input, in hours, or in days where they are whole days and not few."""
    hours = times / np.timedelta64(1, "h")
    days = not (hours % 24).any() and np.abs(hours).max() > 72
    return [f"{hour / (24 if days else 1):+g} {'d' if days else 'h'}".replace("-", "\N{MINUS SIGN}") for hour in hours]


@dataclass
class _Block:
    """The four rows of one channel."""

    name: str
    unit: str
    rows: list[np.ndarray]  # (T, H, W) each, or (T, H, W, 3) of colours
    style: dict
    error_style: dict
    error_labels: list[str]


def _block(inputs, truth, prediction, name: str, unit: str, cmap: str) -> _Block:
    """Of one channel's frames ``(T, H, W)``."""
    values = _range("the input and the truth hold", np.concatenate([inputs.ravel(), truth.ravel()]))
    error = prediction - truth
    return _Block(
        name,
        unit,
        [inputs, truth, prediction, error],
        {"cmap": cmap, "norm": values},
        _error_style(error),
        _rms_labels(error[:, None], unit),
    )


def _colour_block(inputs, truth, prediction) -> _Block:
    """Of colours ``(T, 3, H, W)``."""
    error = prediction - truth
    rows = [np.moveaxis(x, 1, -1).clip(0, 1) for x in (inputs, truth, prediction)]
    return _Block("", "", [*rows, error.mean(1)], {}, _error_style(error.mean(1)), _rms_labels(error, ""))


def _error_style(error: np.ndarray) -> dict:
    finite = np.abs(error[np.isfinite(error)])
    if not finite.size:
        raise ValueError("the prediction holds no finite value to draw.")
    largest = np.percentile(finite, _OUTLIERS)
    return {"cmap": "RdBu_r", "norm": Normalize(-largest, largest)}


def _rms_labels(error: np.ndarray, unit: str) -> list[str]:
    """Above each frame of ``(T, C, H, W)``."""
    return [f"RMS {np.sqrt(np.nanmean(frame**2)):.3g} {unit}".rstrip() for frame in error]


def _in_unit_range(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() >= 0 and finite.max() <= 1)


def _step(offset: int) -> str:
    sign = "+" if offset > 0 else "\N{MINUS SIGN}"
    return f"t {sign} {abs(offset)}" if offset else "t"


def _labels(name: str, given: Sequence[str] | None, count: int, default: list[str], what: str = "frames") -> list[str]:
    if given is not None and len(given) != count:
        raise ValueError(f"{name} has {len(given)} entries for {count} {what}.")
    return default if given is None else [str(label) for label in given]


def _range(what: str, values: np.ndarray) -> Normalize:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError(f"{what} no finite value to draw.")
    return Normalize(finite.min(), finite.max())


def _extend(values: np.ndarray, norm: Normalize) -> str:
    """Which ends of a colour bar are passed by the values."""
    below, above = bool(np.nanmin(values) < norm.vmin), bool(np.nanmax(values) > norm.vmax)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
