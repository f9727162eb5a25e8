"""What a forecast costs and how wrong it is against the size of the codebook (Figure 2 of the paper)."""

import json
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from .curves import Curve, plot_curves
from .registry import register_figure
from .trained_run import TrainedRun


def plot_codebook_size(runs: Mapping[str, Iterable[tuple[int, float, float]]]) -> Figure:
    """FLOPs of a forecast and MSE of the test, a line for each quantizer.

    Args:
        runs: quantizer -> codes, FLOPs, MSE of each run.
    """
    panels: dict[str, dict[str, Sequence[Curve]]] = {"FLOPs (thousand millions)": {}, "MSE": {}}
    for name, points in runs.items():
        codes, flops, mse = zip(*sorted(points))
        panels["FLOPs (thousand millions)"][name] = [(codes, [value / 1e9 for value in flops])]
        panels["MSE"][name] = [(codes, mse)]
    figure = plot_curves(panels, xlabel="codes")
    for axis in figure.axes:
        axis.set_xscale("log", base=2)
    return figure


@register_figure("codebook_size", "FLOPs and MSE against the size of the codebook (Figure 2)", several=True)
def codebook_size(runs: Sequence[TrainedRun]) -> Figure:
    points: dict[str, list[tuple[int, float, float]]] = {}
    for run in runs:
        size = getattr(run.quantizer, "codebook_size", None)
        path = run.folder / "metrics.json"
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        record = {"provenance": {}, "scores": {"model": {}}} | record
        flops, mse = record["provenance"].get("flops"), record["scores"]["model"].get("mse")
        if not isinstance(size, int) or flops is None or mse is None:
            raise ValueError(f"{run.name} has no codebook of one size, or no FLOPs and MSE in its metrics.json.")
        points.setdefault(run.config["quantizer"], []).append((size, flops, mse))
    return plot_codebook_size(points)
