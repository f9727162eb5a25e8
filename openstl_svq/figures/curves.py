"""What runs logged while they trained, and pictures of it (Figure 8 of the paper)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL, TEXT, tidy
from .trained_run import TrainedRun

Curve = tuple[Sequence[float], Sequence[float]]  # x, y

_LOGGED = {
    "training loss": "train_loss_epoch",
    "validation loss": "val_loss",
    "perplexity": "quantizer/perplexity",
    "perplexity theta2": "quantizer/perplexity_theta2",
    "perplexity theta3": "quantizer/perplexity_theta3",
    "kurtosis": "quantizer/kurtosis",
    "latent before": "latent/std_before",
    "latent after": "latent/std_after",
    "fold change": "quantizer/fold_change",
    "block share": "translator/block_share",
}
# Label of a panel -> name of a curve in it -> what was logged.
DYNAMICS = {
    "deviation of the latent": {"before the quantizer": "latent before", "after the quantizer": "latent after"},
    "change of the fold in a step": {"fold": "fold change"},
    "share of the translator's blocks": {"blocks": "block share"},
}
_PANELS = {
    "loss": {"training": "training loss", "validation": "validation loss"},
    "perplexity": {"codebook": "perplexity"},
    **DYNAMICS,
}
_COLUMNS = 3  # of panels on a page
_COLOURS = [f"C{i}" for i in range(10)]
_STYLES = ["-", "--", ":", "-."]


def training_curves(run: str | os.PathLike, by: str = "epoch") -> dict[str, Curve]:
    """Losses, the codebook's perplexity, and what the latent and the fold did, of those that the run logged.

    Args:
        run: folder of a run; one that was resumed has a log for each part.
        by: ``epoch`` for means over epochs, counted from 1, or ``step``.
    """
    import pandas as pd  # here: a run needs it at its end alone

    parts = sorted(Path(run).glob("csv/version_*/metrics.csv"), key=lambda p: int(p.parent.name.partition("_")[2]))
    logs = [pd.read_csv(path) for path in parts if path.stat().st_size]
    if not logs:
        return {}
    log = pd.concat(logs)
    curves = {}
    for name, column in _LOGGED.items():
        if column in log and log[column].notna().any():
            values = log.dropna(subset=[column]).groupby(by)[column].mean()
            curves[name] = (values.index.to_numpy() + (by == "epoch"), values.to_numpy())
    return curves


def plot_training(run: str | os.PathLike, title: str | None = None) -> Figure:
    """Losses, perplexity, latent, fold and blocks of one run by epoch.

    Raises:
        ValueError: the run logged none of it.
    """
    curves = training_curves(run)
    panels = {
        label: {name: [curves[key]] for name, key in panel.items() if key in curves} for label, panel in _PANELS.items()
    }
    panels = {label: panel for label, panel in panels.items() if panel}
    if not panels:
        raise ValueError(f"{run} has no log of its training (csv/version_*/metrics.csv).")
    return plot_curves(panels, title=title)


@register_figure("training", "losses, perplexity, latent, fold and translator blocks while training, by epoch")
def training(runs: Sequence[TrainedRun]) -> Figure:
    (run,) = runs
    return plot_training(run.folder, run.title)


@register_figure("curves", "validation loss and perplexity of several runs by epoch (Figures 4, 7, 8)", several=True)
def curves(runs: Sequence[TrainedRun]) -> Figure:
    return plot_comparison({run.name: [run.folder] for run in runs})


def plot_comparison(runs: Mapping[str, Iterable[str | os.PathLike]], title: str | None = None) -> Figure:
    """Validation loss and perplexity by epoch, one colour for each group of ``runs`` and one line for each run of it.

    Raises:
        ValueError: no run logged any of it.
    """
    panels: dict[str, dict[str, list[Curve]]] = {"validation loss": {}, "perplexity": {}}
    for group, folders in runs.items():
        for curves in map(training_curves, folders):
            for label in panels.keys() & curves.keys():
                panels[label].setdefault(group, []).append(curves[label])
    return plot_curves({label: panel for label, panel in panels.items() if panel}, title=title)


def plot_curves(
    panels: Mapping[str, Mapping[str, Sequence[Curve]]], *, xlabel: str = "epoch", title: str | None = None
) -> Figure:
    """Panels, up to three side by side, with the same colours for the same names; one legend where they share their names.

    A vertical axis is logarithmic where all its values are positive and span more than a factor of ten.

    Args:
        panels: label of the vertical axis -> name -> curves ``(x, y)`` with that name. NaN leaves a gap.

    Raises:
        ValueError: a panel without a finite value, or a curve whose x and y differ in length.
    """
    if not panels or not all(panels.values()):
        raise ValueError(f"no curve to draw in {list(panels)}: give each panel a name with curves at least.")
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    looks = {name: {"color": _COLOURS[i % 10], "linestyle": _STYLES[i // 10 % 4]} for i, name in enumerate(names)}
    # Panels about the same things share a legend; else each has its own, of more than one curve.
    shared = len(names) > 1 and len(names) == max(map(len, panels.values()))
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    legend_rows = 10
    legend_width = (0.4 + (0.075 * max(map(len, names)) + 0.5) * -(-len(names) // legend_rows)) * shared
    figure = Figure(layout="constrained", dpi=150, figsize=(3.9 * columns + legend_width, 3.0 * rows))
    handles = {}
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, (label, panel) in zip(axes, panels.items()):
        everything = [np.asarray(y, dtype=np.float64) for curves in panel.values() for _, y in curves]
        finite = np.concatenate([y[np.isfinite(y)] for y in everything])
        if not finite.size:
            raise ValueError(f"no finite value of {label!r} to draw.")
        for name, curves in panel.items():
            for x, y in curves:
                if len(x) != len(y):
                    raise ValueError(f"curve {name!r} has {len(y)} values for {len(x)} points of x.")
                (handles[name],) = axis.plot(
                    x, y, **looks[name], linewidth=1.2, marker="." if len(x) < 25 else "", label=name
                )
        if finite.min() > 0 and finite.max() > 10 * finite.min():
            axis.set_yscale("log")
        places = {float(value) for curves in panel.values() for x, _ in curves for value in x}
        if len(places) == 1:  # a single epoch has no width of its own
            (only,) = places
            axis.set(xlim=(only - 0.5, only + 0.5), xticks=[only])
        else:
            axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel(xlabel, fontsize=TEXT)
        axis.set_ylabel(label, fontsize=TEXT)
        tidy(axis)
        if len(panel) > 1 and not shared:
            axis.legend(fontsize=SMALL, frameon=False)
    if shared:
        figure.legend(
            handles.values(),
            handles.keys(),
            fontsize=SMALL,
            frameon=False,
            loc="outside right upper",
            ncols=-(-len(names) // legend_rows),
        )
    if title:
        figure.suptitle(title, fontsize=TEXT + 1)
    return figure
