r"""Solvers of the sparse regression that SVQ approximates, the paper's Eq. (1):

.. math:: \min_w \frac{1}{2} \|x - w M\|^2 + \lambda \|w\|_1

for every token x, with the codes as rows of M, and w signed or non-negative.
"""

import math
import warnings
from functools import partial

import torch
from torch import Tensor

from .checks import check_number, check_positive


def shrink(v: Tensor, threshold: Tensor | float, positive: bool = False) -> Tensor:
    """The proximal map of threshold * |.|_1: sgn(v) (|v| - threshold)_+; with `positive`, (v - threshold)_+."""
    threshold = torch.as_tensor(threshold, dtype=v.dtype, device=v.device)
    return (v - threshold).clamp_min(0) if positive else v - v.clamp(-threshold, threshold)


def objective(tokens: Tensor, weights: Tensor, codebook: Tensor, l1_weight: float) -> Tensor:
    """Eq. (1) per token: (T, C'), (T, N), (N, C') -> (T)."""
    return (tokens - weights @ codebook).square().sum(-1) / 2 + l1_weight * weights.abs().sum(-1)


def step_size(codebook: Tensor) -> Tensor:
    """1 / L, L = ||M||_2^2 the Lipschitz constant of the gradient: the largest step for which ISTA descends."""
    return torch.linalg.matrix_norm(codebook, 2) ** -2


@torch.no_grad()
def ista(
    tokens: Tensor,
    codebook: Tensor,
    l1_weight: float,
    *,
    positive: bool = False,
    iterations: int = 100_000,
    tolerance: float | None = 1e-9,
    momentum: bool = False,
) -> Tensor:
    """Proximal gradient descent from w = 0 (the iteration of Section 3.1).

    Args:
        tokens: (T, C').
        codebook: (N, C').
        l1_weight: lambda.
        positive: whether w must be non-negative, as in Eq. (1); otherwise it is signed.
        iterations: at most so many.
        tolerance: stop when no weight changes by more than this (or what the dtype resolves) times the largest weight;
            None does all `iterations`.
        momentum: FISTA (Beck & Teboulle 2009), left out where it points uphill (after O'Donoghue & Candes 2015).

    Returns:
        (T, N). Warns if `tolerance` was not reached.
    """
    check_number("l1_weight", l1_weight)
    check_positive("iterations", iterations)
    if tokens.ndim != 2 or codebook.ndim != 2 or tokens.shape[1] != codebook.shape[1]:
        raise ValueError(
            f"tokens (T, C) and codebook (N, C) must have the same C, got {tuple(tokens.shape)} and "
            f"{tuple(codebook.shape)}"
        )
    step = step_size(codebook)
    if tolerance is not None:
        tolerance = max(tolerance, 4 * torch.finfo(codebook.dtype).eps)
    w = ahead = tokens.new_zeros(len(tokens), len(codebook))
    pace = 1.0
    for _ in range(iterations):
        previous, w = w, shrink(ahead - step * (ahead @ codebook - tokens) @ codebook.t(), step * l1_weight, positive)
        change = w - previous
        if tolerance is not None and change.numel() and change.abs().max() <= tolerance * w.abs().max():
            return w
        if momentum:
            following = (1 + math.sqrt(1 + 4 * pace**2)) / 2
            uphill = ((ahead - w) * change).sum(-1, keepdim=True) > 0  # per token; plain FISTA would overshoot there
            ahead = w + torch.where(uphill, 0, (pace - 1) / following) * change
            pace = following
        else:
            ahead = w
    if tolerance is not None:
        warnings.warn(
            f"the weights still change after {iterations} iterations; allow more, or a larger tolerance",
            RuntimeWarning,
            stacklevel=3,
        )
    return w


fista = partial(ista, momentum=True)
