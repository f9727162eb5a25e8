"""Arms of a study against their references, with intervals."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .style import SMALL, TEXT, tidy


def plot_paired(rows: Sequence[Mapping], scores: Sequence[str] = ("mse", "mae")) -> Figure:
    """Relative differences in per cent: a panel for each score, a line for each arm; left of 0 is better.

    Args:
        rows: of :func:`openstl_svq.sweep.paired.compare`; those without a difference are left out.

    Raises:
        ValueError: no row has a difference.
    """
    arms = [row for row in rows if row.get("pairs")]
    if not arms:
        raise ValueError("no arm has a run that its reference has too: there is no difference to draw.")
    figure = Figure(layout="constrained", dpi=150, figsize=(4.2 * len(scores), 0.9 + 0.32 * len(arms)))
    for axis, score in zip(figure.subplots(1, len(scores), squeeze=False, sharey=True)[0], scores):
        for place, row in enumerate(arms):
            mean, low, high = (row[f"{score}_{k}"] for k in ("percent", "low", "high"))
            if row["verdict"] != "too few runs":
                axis.plot([low, high], [place, place], color="C0", linewidth=1.4)
            axis.plot(mean, place, "o", color="C0", markersize=4)
        axis.axvline(0, color="0.4", linewidth=0.8)
        axis.set_xlabel(f"difference in {score.upper()}, %", fontsize=TEXT)
        axis.set_yticks(range(len(arms)), [f"{row['arm']} ({row['pairs']})" for row in arms], fontsize=SMALL)
        tidy(axis)
    figure.axes[0].invert_yaxis()
    return figure
