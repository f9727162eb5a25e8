"""Which codes are active where on the map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL, painter
from .trained_run import TrainedRun


def plot_activity(
    activity: np.ndarray, codes: np.ndarray, *, lat: np.ndarray | None = None, lon: np.ndarray | None = None
) -> Figure:
    """How often each of some codes is active at each place.

    Args:
        activity: share of the frames in which the code is active, ``(K, H, W)``.
        codes: their numbers, ``(K,)``.
        lat, lon: degrees, ``(H,)`` and ``(W,)``: draws maps.
    """
    count, height, width = activity.shape
    draw, aspect = painter(lat, lon, height, width)
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = Figure(layout="constrained", dpi=150, figsize=(columns * 2.3 + 0.8, rows * (2.2 * aspect + 0.3)))
    axes = figure.subplots(rows, columns, squeeze=False)
    top = max(float(activity.max()), 1e-9)
    for axis, share, code in zip(axes.ravel(), activity, codes):
        image = draw(axis, share, {"cmap": "YlGnBu", "vmin": 0, "vmax": top})
        axis.set_title(f"code {code}", fontsize=SMALL, pad=2.5)
        axis.tick_params(labelsize=SMALL - 2, length=2)
    for axis in axes.ravel()[count:]:
        axis.set_axis_off()
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of frames in which it is active", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


@register_figure("activity", "where on the map the codes are active whose activity varies most")
def activity(runs: Sequence[TrainedRun]) -> Figure:
    (run,) = runs
    share, codes = run.active_codes()
    lat, lon = run.latent_coordinates
    return plot_activity(share, codes, lat=lat, lon=lon)
