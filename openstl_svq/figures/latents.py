"""The latent before and after the quantizer (Figures 9 to 14 of the paper)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL, TEXT, painter, tidy
from .trained_run import TrainedRun
from .weights import standardised


def plot_latent_density(before: np.ndarray, after: np.ndarray) -> Figure:
    """Densities of the standardised latent before and after the quantizer (Figure 9), with their kurtosis.

    Args:
        before, after: any shapes.
    """
    figure = Figure(layout="constrained", dpi=150, figsize=(4.4, 3.0))
    axis = figure.subplots()
    for name, values in (("before", before), ("after", after)):
        x = standardised(f"the latent {name} the quantizer", values)
        density, edges = np.histogram(x, bins=np.linspace(-5, 5, 201), density=True)
        raw = np.asarray(values, dtype=np.float64)
        axis.plot(
            (edges[1:] + edges[:-1]) / 2,
            density,
            linewidth=1.2,
            label=f"{name} (deviation {raw.std():.3g}, kurtosis {(x**4).mean() - 3:.2f})",
        )
    axis.set_xlabel("standardised latent", fontsize=TEXT)
    axis.set_ylabel("density", fontsize=TEXT)
    figure.legend(loc="outside upper center", fontsize=SMALL, frameon=False)
    tidy(axis)
    return figure


def plot_latent_maps(
    before: np.ndarray,
    after: np.ndarray,
    channels: int = 8,
    *,
    lat: np.ndarray | None = None,
    lon: np.ndarray | None = None,
) -> Figure:
    """Feature maps before and after the quantizer (Figures 10 to 14), the channels of the largest spread.

    Each map has colours of its own, from its least to its largest value, which stand above it.

    Args:
        before, after: ``(C, H, W)``.
        channels: at most so many.
        lat, lon: degrees, ``(H,)`` and ``(W,)``: draws maps.

    Raises:
        ValueError: other shapes.
    """
    if before.ndim != 3 or before.shape != after.shape:
        raise ValueError(f"latents must be (C, H, W) both, got {before.shape} and {after.shape}.")
    chosen = np.sort(np.argsort(-before.std((1, 2)))[:channels])
    draw, aspect = painter(lat, lon, *before.shape[1:])
    columns = min(len(chosen), 4)
    rows = -(-len(chosen) // columns)
    panel = 1.9
    figure = Figure(
        layout="constrained",
        dpi=150,
        figsize=(columns * (panel + 0.1) + 0.4, 2 * rows * (panel * min(aspect, 1.5) + 0.28)),
    )
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
        axis.set_axis_off()
    for number, channel in enumerate(chosen):
        top, column = 2 * (number // columns), number % columns
        for row, name, latent in ((top, "before", before), (top + 1, "after", after)):
            axis, frame = axes[row, column], latent[channel]
            axis.set_axis_on()
            draw(axis, frame, {"cmap": "viridis"})
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"channel {channel}: {frame.min():.2g} to {frame.max():.2g}", fontsize=SMALL - 0.5, pad=2)
            if column == 0:
                axis.set_ylabel(name, fontsize=TEXT)
    return figure


@register_figure("latent_density", "density of the latent before and after the quantizer (Figure 9)")
def latent_density(runs: Sequence[TrainedRun]) -> Figure:
    return plot_latent_density(*runs[0].latents)


@register_figure("latent_maps", "feature maps before and after the quantizer (Figures 10 to 14)")
def latent_maps(runs: Sequence[TrainedRun]) -> Figure:
    before, after = runs[0].latents
    lat, lon = runs[0].latent_coordinates
    return plot_latent_maps(before[len(before) // 2], after[len(after) // 2], lat=lat, lon=lon)
