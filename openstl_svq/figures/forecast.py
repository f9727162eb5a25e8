"""One forecast: input, truth, prediction and error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..data.times import Clock
from .registry import register_figure
from .style import SMALL, TEXT, painter, unit_text, with_unit
from .trained_run import TrainedRun, offsets

_PANEL = 1.9  # inches, the longer side of a frame
_TALLEST = 9.5  # inches of the whole, so that it stays on a page
_HEAD = 0.27  # inches for the text above a row
_WIDE_ENOUGH = 1.1  # inches of a frame, for an error with its unit above it
_OUTLIERS = 99.8  # percentile of the error at which its colours saturate
_CHANNELS = 3  # of more, the frames would be too small to read
_ROWS = ("input", "truth", "prediction", "error\n(pred. \N{MINUS SIGN} truth)")
_ROWS_ALONE = ("input", "forecast", "change since\nthe last input")


def plot_forecast(
    inputs: np.ndarray,
    truth: np.ndarray | None,
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
    Each error has its root mean square above it. Where the truth is not known yet, the last row is the change since the
    last input. Several channels are drawn below each other; three without names,
    units and coordinates and in [0, 1] are a picture's red, green and blue (then the error is the mean over them).

    Args:
        inputs: ``(T_in, C, H, W)``.
        truth, prediction: ``(T_out, C, H, W)``; ``None`` for a truth that is not known.
        units: of the values, for the colour bars: of all channels or of each.
        channel_names: of all channels.
        channels: numbers of those to draw (default: all up to three, of more three that are evenly spread; the title says
            so).
        lat, lon: degrees, ``(H,)`` and ``(W,)``: draws maps.
        title: above all.
        input_labels, lead_labels: of all frames; by default the steps from the last input, t.
        columns: at most so many frames of a row are drawn, evenly spread, the last forecast among them.

    Raises:
        ValueError: shapes, labels, coordinates or channels that do not fit each other, or no finite value to draw.
    """
    inputs, prediction = (np.asarray(x, dtype=np.float64) for x in (inputs, prediction))
    truth = None if truth is None else np.asarray(truth, dtype=np.float64)
    shapes = [x.shape for x in (inputs, truth, prediction) if x is not None]
    fits = all(len(shape) == 4 and shape[1:] == shapes[-1][1:] and 0 not in shape for shape in shapes)
    if not fits or len(set(shapes[1:])) > 1:
        raise ValueError(
            f"inputs are (T_in, C, H, W), truth and prediction (T_out, C, H, W); got {', '.join(map(str, shapes))}."
        )
    steps_in, (steps_out, count, height, width) = len(inputs), prediction.shape
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
        and all(_in_unit_range(x) for x in (inputs, truth) if x is not None)
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
        blocks = [
            _block(inputs[:, c], None if truth is None else truth[:, c], prediction[:, c], names[c], units[c], cmap)
            for c in chosen
        ]

    shown_out = evenly_spread(steps_out, columns)
    shown_in = evenly_spread(steps_in, len(shown_out))
    names_of_rows = _ROWS if truth is not None else _ROWS_ALONE
    high = len(names_of_rows)
    count_rows = high * len(blocks)
    # Prediction and truth are of the same times: below each other in several blocks, one of them says so.
    spared = truth is not None and len(blocks) > 1
    headroom = len(blocks) * ((high - spared) * _HEAD + spared * 0.05) + 0.4 * bool(title) + 0.25 * on_map
    side = min(_PANEL, (_TALLEST - headroom) / count_rows / min(aspect, 1))
    panel_h, panel_w = (side * aspect, side) if aspect < 1 else (side, side / aspect)
    figure = Figure(
        layout="constrained",
        dpi=150,
        figsize=(len(shown_out) * (panel_w + 0.12) + 1.3, count_rows * panel_h + headroom),
    )
    grid = figure.add_gridspec(count_rows, len(shown_out) + 1, width_ratios=[panel_w] * len(shown_out) + [0.12])
    for top, block in zip(range(0, count_rows, high), blocks):
        for row, (name, frames) in enumerate(zip(names_of_rows, block.rows)):
            last = row == high - 1  # the error
            labels = input_labels if row == 0 else lead_labels if not last else block.below(lead_labels, panel_w)
            for column, step in enumerate(shown_in if row == 0 else shown_out):
                axis = figure.add_subplot(grid[top + row, column])
                image = draw(axis, frames[step], block.error_style if last else block.style)
                if not (spared and row == high - 2):
                    axis.set_title(labels[step], fontsize=SMALL, pad=2.5)
                left, bottom = on_map and column == 0, on_map and top + row == count_rows - 1
                axis.tick_params(
                    labelsize=SMALL - 1, length=2, pad=1.5, left=left, labelleft=left, bottom=bottom, labelbottom=bottom
                )
                if column == 0:
                    axis.set_ylabel(name, fontsize=TEXT if panel_h > 0.8 else SMALL)
            if last or (row == high - 2 and not colour):
                place = figure.add_subplot(grid[top + row, -1] if last else grid[top : top + row + 1, -1])
                style = block.error_style if last else block.style
                bar = figure.colorbar(image, cax=place, extend=_extend(frames, style["norm"]))
                bar.ax.tick_params(labelsize=SMALL)
                of = with_unit(block.name, block.unit) if block.name and not last else block.unit
                bar.set_label(of, fontsize=TEXT)
    if title:
        figure.suptitle(title, fontsize=TEXT + 1)
    return figure


def evenly_spread(count: int, columns: int) -> np.ndarray:
    """At most ``columns`` of ``count`` frames, all equally far apart: the last, and the first where that leaves few
    columns empty."""
    if count <= columns:
        return np.arange(count)
    gaps = [n for n in range(columns - 1, max(1, columns - 2) - 1, -1) if (count - 1) % n == 0]
    stride = (count - 1) // gaps[0] if gaps else -(-count // columns)
    return np.arange(count - 1, -1, -stride)[::-1]


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
        labels = dict(zip(("input_labels", "lead_labels"), (time_labels(t, last, run.clock) for t in times)))
        title += f", last input {shown_time(last, run.clock)}"
    else:
        title += f", test window {index + 1} of {len(run.dataset)}"
    names, units = run.channels
    return plot_forecast(
        *(x[0] for x in frames), channel_names=names, units=units, title=title, lat=run.lat, lon=run.lon, **labels
    )


def time_labels(times: np.ndarray, last: np.datetime64, clock: Clock) -> list[str]:
    """Labels of frames: their offsets from the last input, in hours, days or months."""
    values, unit = offsets(times, last, clock)
    return [_signed(f"{value:+g} {unit.removesuffix('s') if abs(value) == 1 else unit}") for value in values]


def shown_time(time: np.datetime64, clock: Clock) -> str:
    """A time as its clock counts: a month, or day and hour."""
    return str(time.astype("datetime64[M]")) if clock.monthly else str(time).replace("T", " ")


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


@dataclass
class _Block:
    """The rows of one channel: input, truth if it is known, prediction, and the difference to the truth or the last input."""

    name: str
    unit: str
    rows: list[np.ndarray]  # (T, H, W) each, or (T, H, W, 3) of colours
    style: dict
    error_style: dict
    rms: list[float] | None  # of each error; none where the truth is not known

    def below(self, labels: list[str], width: float) -> list[str]:
        """What stands above the last row's frames of this width in inches."""
        if self.rms is None:
            return labels
        unit = self.unit if width > _WIDE_ENOUGH else ""
        return [f"RMS {value:.3g} {unit}".rstrip() for value in self.rms]


def _block(inputs, truth, prediction, name: str, unit: str, cmap: str) -> _Block:
    """Of one channel's frames ``(T, H, W)``."""
    if truth is None:
        values = _range("the input and the forecast hold", inputs, prediction)
        difference, between = prediction - inputs[-1], []
    else:
        values = _range("the input and the truth hold", inputs, truth)
        difference, between = prediction - truth, [truth]
    return _Block(
        name,
        unit,
        [inputs, *between, prediction, difference],
        {"cmap": cmap, "norm": values},
        _error_style(difference),
        None if truth is None else _rms(difference[:, None]),
    )


def _colour_block(inputs, truth, prediction) -> _Block:
    """Of colours ``(T, 3, H, W)``."""
    difference = prediction - (inputs[-1] if truth is None else truth)
    rows = [np.moveaxis(x, 1, -1).clip(0, 1) for x in (inputs, truth, prediction) if x is not None]
    rms = None if truth is None else _rms(difference)
    return _Block("", "", [*rows, difference.mean(1)], {}, _error_style(difference.mean(1)), rms)


def _error_style(error: np.ndarray) -> dict:
    finite = np.abs(error[np.isfinite(error)])
    if not finite.size:
        raise ValueError("the prediction holds no finite value to draw.")
    largest = np.percentile(finite, _OUTLIERS)
    return {"cmap": "RdBu_r", "norm": Normalize(-largest, largest)}


def _rms(error: np.ndarray) -> list[float]:
    """Of each frame of ``(T, C, H, W)``."""
    return [float(np.sqrt(np.nanmean(frame**2))) for frame in error]


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


def _range(what: str, *values: np.ndarray) -> Normalize:
    finite = np.concatenate([x[np.isfinite(x)] for x in values])
    if not finite.size:
        raise ValueError(f"{what} no finite value to draw.")
    return Normalize(finite.min(), finite.max())


def _extend(values: np.ndarray, norm: Normalize) -> str:
    """Which ends of a colour bar are passed by the values."""
    below, above = bool(np.nanmin(values) < norm.vmin), bool(np.nanmax(values) > norm.vmax)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
