"""Scores of several settings over seeds, with intervals; and of one run by lead time."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..statistics import mean_interval
from .curves import plot_curves
from .style import SMALL, TEXT, tidy

_COLUMNS = 3


def plot_scores(scores: Mapping[str, Mapping[str, Sequence[float]]], confidence: float = 0.95) -> Figure:
    """A panel for each score, a line for each setting: its seeds, their mean, and Student's interval around it.

    Args:
        scores: label of a score, with its unit -> setting -> values over seeds.

    Raises:
        ValueError: no finite value.
    """
    settings = list(dict.fromkeys(name for values in scores.values() for name in values))
    if not any(np.isfinite(v).any() for values in scores.values() for v in values.values()):
        raise ValueError("no finite score to draw.")
    columns = min(len(scores), _COLUMNS)
    rows = -(-len(scores) // columns)
    width = 0.07 * max(map(len, settings))
    figure = Figure(
        layout="constrained", dpi=150, figsize=(3.0 * columns + width, rows * (0.75 + 0.25 * len(settings)))
    )
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis, (label, by_setting) in zip(axes, scores.items()):
        for place, name in enumerate(settings):
            values = [v for v in by_setting.get(name, ()) if np.isfinite(v)]
            if not values:
                continue
            mean, half = mean_interval(values, confidence)
            axis.plot(values, [place] * len(values), "o", color="0.7", markersize=3)
            axis.plot([mean - half, mean + half], [place, place], color="C0", linewidth=1.4)
            axis.plot(mean, place, "o", color="C0", markersize=4.5)
        axis.set_xlabel(label, fontsize=TEXT)
        axis.set_yticks(range(len(settings)), settings, fontsize=SMALL)
        axis.set_ylim(len(settings) - 0.5, -0.5)
        axis.locator_params(axis="x", nbins=5)
        tidy(axis)
    for axis in axes[len(scores) :]:
        axis.set_axis_off()
    return figure


def plot_lead_times(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A panel for each score, a line for each forecast.

    Args:
        scores: label of a score, with its unit -> forecast -> values for the frames 1, 2, ...

    Raises:
        ValueError: no finite value.
    """
    return plot_curves(
        {
            label: {name: [(range(1, len(values) + 1), values)] for name, values in by_name.items()}
            for label, by_name in scores.items()
        },
        xlabel="forecast frame",
    )
