"""Codes that are needed for a given error: clustering against sparse regression over random codes (Theorem 4.1)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .registry import register_figure
from .style import SMALL, TEXT, tidy
from .trained_run import TrainedRun


def coverage_error(dim: int, codes: int, nonzeros: int, *, samples: int = 500, seed: int = 0) -> tuple[float, float]:
    """Root mean square error of approximating random unit vectors by ``codes`` codes: ``(nearest, sparse)``.

    ``nearest`` is that of the nearest of as many k-means centres (fitted to other samples of the same distribution);
    ``sparse`` that of orthogonal matching pursuit with at most ``nonzeros`` of as many random codes, which nobody fitted.

    Args:
        dim: of the vectors.
        codes: number of codes.
        nonzeros: at most so many are combined.
        samples: vectors to approximate.
        seed: of everything that is random.
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.linear_model import orthogonal_mp

    rng = np.random.default_rng(seed)

    def sphere(count: int) -> np.ndarray:
        x = rng.standard_normal((count, dim))
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    x = sphere(samples)
    centres = MiniBatchKMeans(codes, n_init=1, random_state=seed).fit(sphere(max(20 * codes, 2000))).cluster_centers_
    nearest = np.sqrt(((x[:, None] - centres[None]) ** 2).sum(-1).min(1).mean())
    dictionary = sphere(codes)  # (codes, dim)
    weights = orthogonal_mp(dictionary.T, x.T, n_nonzero_coefs=min(nonzeros, dim, codes))
    sparse = np.sqrt(((x.T - dictionary.T @ weights) ** 2).sum(0).mean())
    return float(nearest), float(sparse)


def plot_coverage(codes: Sequence[int], errors: dict[str, Sequence[float]], dim: int) -> Figure:
    """Error by number of codes, and for each method the power of 1 / error that the number grows with.

    Args:
        codes: numbers of codes.
        errors: name of the method -> error for each of ``codes``.
        dim: of the vectors.
    """
    figure = Figure(layout="constrained", dpi=150, figsize=(4.6, 3.4))
    axis = figure.subplots()
    for name, values in errors.items():
        slope = -np.polyfit(np.log(values), np.log(codes), 1)[0]
        axis.loglog(codes, values, marker=".", linewidth=1.2, label=f"{name}: codes ~ error$^{{-{slope:.1f}}}$")
    axis.set_xticks(codes, [str(count) for count in codes], minor=False)
    axis.set_xticks([], minor=True)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_xlabel("codes", fontsize=TEXT)
    axis.set_ylabel("RMS error", fontsize=TEXT)
    axis.set_title(f"unit vectors in {dim} dimensions", fontsize=TEXT)
    axis.legend(fontsize=SMALL, frameon=False)
    tidy(axis)
    return figure


@register_figure(
    "coverage",
    "codes for a given error: clustering, sparse regression (Theorem 4.1; needs no run)",
    several=True,
    needs_run=False,
)
def coverage(runs: Sequence[TrainedRun]) -> Figure:
    dim, codes, nonzeros = 8, [32, 64, 128, 256, 512], 4
    nearest, sparse = zip(*(coverage_error(dim, count, nonzeros) for count in codes))
    return plot_coverage(codes, {"nearest of k-means centres": nearest, f"{nonzeros} of random codes": sparse}, dim)
