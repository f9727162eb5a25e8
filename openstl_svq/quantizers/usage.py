"""How much of a codebook is used, from streamed sums in float64."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

_PIECE = 2**17  # entries taken to float64 at a time: they stay in the cache


def perplexity(counts: Tensor) -> Tensor:
    """exp(-sum_j p_j log p_j) over the last axis, p_j the share of code j in `counts` (..., codes).

    The effective number of codes: 1 if one code takes everything, `codes` if all are equally frequent, 0 if nothing was
    counted.
    """
    counts = counts.double()
    total = counts.sum(-1, keepdim=True)
    p = counts / total.clamp_min(1)
    return torch.where(total.squeeze(-1) > 0, torch.exp(-torch.xlogy(p, p).sum(-1)), 0.0)


def index_usage(slots: Iterable[Tensor], sizes: Iterable[int]) -> dict[str, Tensor]:
    """Usage of lookup codebooks: each head, group and quantizer by itself, then the mean over them.

    A shared codebook is treated the same way: every head that uses it has a distribution of its own.

    Args:
        slots: per head, group or quantizer the code of every token, any shape; -1 is "not quantized", and a slot with
            nothing else is left out.
        sizes: per slot the number of codes.

    Returns:
        ``perplexity``; ``codebook_usage``, the share of codes that occur.
    """
    values = []
    for indices, size in zip(slots, sizes, strict=True):
        counts = torch.bincount(indices[indices >= 0].long(), minlength=size)
        if counts.any():
            values.append(torch.stack([perplexity(counts), (counts > 0).double().mean()]))
    mean = torch.stack(values).mean(0) if values else torch.zeros(2)
    return dict(zip(("perplexity", "codebook_usage"), mean.float()))


def weight_usage(chunks: Callable[[], Iterable[Tensor]]) -> dict[str, Tensor]:
    """`WeightStatistics.compute` of the weights that `chunks()` yields; it is called twice."""
    statistics = WeightStatistics()
    for update in (statistics.update_moments, statistics.update_marks):
        for weights in chunks():
            update(weights)
    return statistics.compute()


class WeightStatistics:
    """Excess kurtosis and perplexity of regression weights (A.4, Table 8), over any number of chunks and batches.

    The weights are standardised over all their entries (mean 0, standard deviation 1); an entry with
    ``|w| > theta`` marks its code; the perplexity is that of the codes' shares of the marks. Two passes over the same
    weights, because the marks need the mean and deviation of all of them::

        statistics = WeightStatistics()
        for update in (statistics.update_moments, statistics.update_marks):
            for z in latents:
                for weights in quantizer.regression_weights(z):
                    update(weights)
        statistics.compute()

    Memory: a few numbers, and one count per code and theta.
    """

    def __init__(self, thetas: Sequence[float] = (2.0, 3.0)):
        self.thetas = tuple(thetas)
        self.count = 0
        self.mean = self._m2 = self._m3 = self._m4 = 0.0  # central moments, summed and not divided
        self._marks: Tensor | None = None  # (thetas, codes), int64

    @property
    def std(self) -> float:
        """Population standard deviation of all entries."""
        return math.sqrt(self._m2 / self.count) if self.count else math.nan

    @property
    def kurtosis(self) -> float:
        """Excess (Fisher) kurtosis: 0 for a normal distribution; nan for a constant."""
        return self.count * self._m4 / self._m2**2 - 3 if self._m2 > 0 else math.nan

    def update_moments(self, weights: Tensor) -> None:
        """First pass: takes in weights of shape (..., codes)."""
        if self._marks is not None:
            raise RuntimeError("the second pass has begun: moments can no longer change; use a new WeightStatistics")
        for piece in weights.detach().flatten().split(_PIECE):
            if not len(piece):
                continue
            w = piece.to("cpu" if piece.device.type == "mps" else piece.device, torch.float64)  # none on Apple's GPU
            mean = w.mean()
            d = w - mean
            d2 = d * d
            mean, m2, m3, m4 = torch.stack([mean, d2.sum(), d2 @ d, d2 @ d2]).tolist()
            self._add_moments(len(w), mean, m2, m3, m4)

    def _add_moments(self, n_b, mean_b, m2_b, m3_b, m4_b):
        """Joins two sets of central moments (Pebay 2008, SAND2008-6212, eqs. 2.1 and 3.1)."""
        n_a, m2_a, m3_a = self.count, self._m2, self._m3
        n = n_a + n_b
        delta = mean_b - self.mean
        self.mean += delta * n_b / n
        self._m2 += m2_b + delta**2 * n_a * n_b / n
        self._m3 += m3_b + delta**3 * n_a * n_b * (n_a - n_b) / n**2 + 3 * delta * (n_a * m2_b - n_b * m2_a) / n
        self._m4 += (
            m4_b
            + delta**4 * n_a * n_b * (n_a**2 - n_a * n_b + n_b**2) / n**3
            + 6 * delta**2 * (n_a**2 * m2_b + n_b**2 * m2_a) / n**2
            + 4 * delta * (n_a * m3_b - n_b * m3_a) / n
        )
        self.count = n

    def update_marks(self, weights: Tensor) -> None:
        """Second pass: the same weights again, of shape (..., codes), in any order."""
        deviation = (weights.detach().flatten(0, -2) - self.mean).abs_()  # (tokens, codes)
        marks = torch.stack([(deviation > theta * self.std).sum(0, dtype=torch.int32) for theta in self.thetas])
        marks = marks.cpu().long()
        self._marks = marks if self._marks is None else self._marks + marks

    def compute(self) -> dict[str, Tensor]:
        """0-dim float32 tensors.

        ``perplexity_theta2``, ``perplexity_theta3``; ``perplexity``, their mean (as in Figure 8); ``codebook_usage``,
        the share of codes with a mark at the smallest theta; ``kurtosis``.
        """
        if self._marks is None:
            raise RuntimeError("no second pass yet: call update_marks with the same weights first")
        values = perplexity(self._marks)
        usage = {f"perplexity_theta{theta:g}": value for theta, value in zip(self.thetas, values)}
        usage["perplexity"] = values.mean()
        usage["codebook_usage"] = (self._marks[self.thetas.index(min(self.thetas))] > 0).double().mean()
        usage["kurtosis"] = torch.tensor(self.kurtosis)
        return {name: value.float() for name, value in usage.items()}
