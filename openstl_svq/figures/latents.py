"""The latent before and after the quantizer (Figures 9 to 14 of the paper)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL, TEXT, tidy
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


def plot_latent_maps(before: np.ndarray, after: np.ndarray, channels: int = 8) -> Figure:
    """Feature maps before and after the quantizer (Figures 10 to 14), the channels of the largest spread.

    Args:
        before, after: ``(C, H, W)``.
        channels: at most so many.

    Raises:
        ValueError: other shapes.
    """
    if before.ndim != 3 or before.shape != after.shape:
        raise ValueError(f"latents must be (C, H, W) both, got {before.shape} and {after.shape}.")
    chosen = np.sort(np.argsort(-before.std((1, 2)))[:channels])
    height, width = before.shape[1:]
    panel = 1.4
    figure = Figure(
        layout="constrained", dpi=150, figsize=(len(chosen) * (panel + 0.1) + 0.4, 2 * (panel * height / width + 0.25))
    )
    axes = figure.subplots(2, len(chosen), squeeze=False)
    for row, (name, latent) in enumerate((("before", before), ("after", after))):
        for axis, channel in zip(axes[row], chosen):
            axis.imshow(latent[channel], cmap="viridis", interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            if row == 0:
                axis.set_title(f"channel {channel}", fontsize=SMALL, pad=2)
        axes[row, 0].set_ylabel(name, fontsize=TEXT)
    return figure


@register_figure("latent_density", "density of the latent before and after the quantizer (Figure 9)")
def latent_density(runs: Sequence[TrainedRun]) -> Figure:
    return plot_latent_density(*runs[0].latents)


@register_figure("latent_maps", "feature maps before and after the quantizer (Figures 10 to 14)")
def latent_maps(runs: Sequence[TrainedRun]) -> Figure:
    before, after = runs[0].latents
    return plot_latent_maps(before[len(before) // 2], after[len(after) // 2])
