"""Codebook and quantized vectors in the plane (Figure 1 of the paper)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .registry import register_figure
from .style import SMALL
from .trained_run import TrainedRun


def plot_codebook(codes: np.ndarray, quantized: np.ndarray, *, points: int = 1500, seed: int = 0) -> Figure:
    """Codes and quantized vectors in one t-SNE embedding (van der Maaten and Hinton, 2008; scikit-learn's).

    Vectors are brought to unit length first: codes and quantized vectors differ in scale.

    Args:
        codes: ``(N, C)``.
        quantized: ``(T, C)``.
        points: at most so many of each, drawn at random.
        seed: of the draw and of the embedding.

    Raises:
        ValueError: other shapes, or fewer than 5 vectors in all.
        ModuleNotFoundError: scikit-learn is not installed.
    """
    codes, quantized = np.asarray(codes, dtype=np.float64), np.asarray(quantized, dtype=np.float64)
    if codes.ndim != 2 or quantized.ndim != 2 or codes.shape[1] != quantized.shape[1]:
        raise ValueError(
            f"codes (N, C) and quantized vectors (T, C) are needed, got {codes.shape} and {quantized.shape}."
        )
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('t-SNE needs scikit-learn: pip install "openstl_svq[figures]"') from error
    rng = np.random.default_rng(seed)
    drawn = [x[rng.permutation(len(x))[:points]] for x in (codes, quantized)]
    both = np.concatenate(drawn)
    if len(both) < 5:
        raise ValueError(f"{len(both)} vectors are too few for an embedding.")
    both /= np.linalg.norm(both, axis=1, keepdims=True).clip(1e-12)
    perplexity = min(30, (len(both) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(both)
    figure = Figure(layout="constrained", dpi=150, figsize=(3.6, 3.6))
    axis = figure.subplots()
    first = len(drawn[0])
    axis.scatter(*plane[:first].T, s=3, color="0.7", linewidths=0, label=f"codes ({first:,} of {len(codes):,})")
    axis.scatter(
        *plane[first:].T,
        s=3,
        color="C3",
        linewidths=0,
        label=f"quantized vectors ({len(both) - first:,} of {len(quantized):,})",
    )
    axis.set(xticks=[], yticks=[], aspect="equal")
    figure.legend(loc="outside lower center", fontsize=SMALL, frameon=False, markerscale=3, ncols=2)
    return figure


@register_figure("codebook", "codebook and quantized vectors in the plane, by t-SNE (Figure 1)")
def codebook(runs: Sequence[TrainedRun]) -> Figure:
    (run,) = runs
    after = run.latents[1]  # (frames, C', H', W')
    return plot_codebook(run.codebook, np.moveaxis(after, 1, -1).reshape(-1, after.shape[1]))
