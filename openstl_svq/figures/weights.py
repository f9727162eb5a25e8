"""Distributions of regression weights and codebooks (Figure 5 of the paper)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL, TEXT, tidy
from .trained_run import TrainedRun

_BINS = 201


def plot_weights(values: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Densities of standardised regression weights and codebook entries, a panel for each model, with their kurtosis.

    Args:
        values: label -> (weights, codebook), any shapes.

    Raises:
        ValueError: nothing to draw, or values that are all equal.
    """
    if not values:
        raise ValueError("no weights to draw: give a run with the quantizer svq.")
    figure = Figure(layout="constrained", dpi=150, figsize=(3.4 * len(values) + 0.3, 2.9))
    for axis, (label, pair) in zip(figure.subplots(1, len(values), squeeze=False, sharey=True)[0], values.items()):
        for name, entries, colour in zip(("weights $w$", "codebook $M$"), pair, ("C0", "C1")):
            x = standardised(name, entries)
            density, edges = np.histogram(x, bins=np.linspace(-6, 6, _BINS), density=True)
            kurtosis = float((x**4).mean() - 3)
            axis.plot(
                (edges[1:] + edges[:-1]) / 2,
                density,
                color=colour,
                linewidth=1.2,
                label=f"{name}, kurtosis {kurtosis:.2f}",
            )
        grid = np.linspace(-6, 6, _BINS)
        axis.plot(
            grid,
            np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi),
            color="0.6",
            linewidth=0.8,
            linestyle="--",
            label="normal",
        )
        axis.set_title(label, fontsize=TEXT)
        axis.set_xlabel("standardised value", fontsize=TEXT)
        axis.set_ylim(top=1.3 * axis.get_ylim()[1])  # room for the legend
        axis.legend(fontsize=SMALL - 1, frameon=False, loc="upper center")
        tidy(axis)
    figure.axes[0].set_ylabel("density", fontsize=TEXT)
    return figure


def standardised(name: str, entries: np.ndarray | Sequence[float]) -> np.ndarray:
    """``entries`` with mean 0 and standard deviation 1, flat, float64."""
    x = np.asarray(entries, dtype=np.float64).ravel()
    if not x.size or not np.isfinite(x).all() or not x.std():
        raise ValueError(f"{name}: {x.size} values, which must be finite and not all equal to have a distribution.")
    return (x - x.mean()) / x.std()


@register_figure("weights", "distributions of regression weights and codebook, with kurtosis (Figure 5)", several=True)
def weights(runs: Sequence[TrainedRun]) -> Figure:
    return plot_weights({run.name: (run.weights, run.codebook) for run in runs})
