"""What the latent, SVQ's fold and the translator's blocks did while runs trained, by step."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from .curves import DYNAMICS, Curve, plot_curves, training_curves
from .registry import register_figure
from .trained_run import TrainedRun


def plot_dynamics(runs: Mapping[str, str | Path]) -> Figure:
    """A panel for each quantity, a line for each run.

    Args:
        runs: label -> folder of a run.

    Raises:
        ValueError: no run logged any of it.
    """
    panels: dict[str, dict[str, list[Curve]]] = {}
    for label, folder in runs.items():
        curves = training_curves(folder, by="step")
        for panel, names in DYNAMICS.items():
            for name, key in names.items():
                if key in curves:
                    title = f"{panel}, {name}" if len(names) > 1 else panel
                    panels.setdefault(title, {})[label] = [curves[key]]
    if not panels:
        raise ValueError(f"{', '.join(runs)} logged nothing of latent and fold: train with --usage_interval above 0.")
    return plot_curves(panels, xlabel="step")


@register_figure(
    "dynamics", "latent, fold and translator blocks while training, by step, of several runs", several=True
)
def dynamics(runs: Sequence[TrainedRun]) -> Figure:
    return plot_dynamics({run.name: run.folder for run in runs})
