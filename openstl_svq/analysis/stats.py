"""Intervals for a mean and for a median, with the standard library alone."""

import math
import statistics
from collections.abc import Sequence


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two of the values, which enclose the median of their distribution with this confidence, whatever it is.

    As many values are left out at either end as ``j``, the largest number with
    ``P(Binomial(n, 1/2) <= j) <= (1 - confidence) / 2``. Too few values for the confidence (fewer than 6 for 95 %) give
    their whole range.
    """
    ordered, n = sorted(values), len(values)
    left_out, below = -1, 0.0
    while (below := below + math.comb(n, left_out + 1) / 2**n) <= (1 - confidence) / 2:
        left_out += 1
    left_out = max(left_out, 0)
    return ordered[left_out], ordered[-1 - left_out]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half width of Student's interval around it; the width of a single value is NaN."""
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return mean, math.nan
    return mean, student_t(n - 1, confidence) * statistics.stdev(values) / math.sqrt(n)


def student_t(degrees: int, confidence: float = 0.95) -> float:
    """The t with ``P(|T| <= t) = confidence`` for Student's distribution with a whole number of degrees of freedom."""
    if degrees < 1 or not 0 < confidence < 1:
        raise ValueError(f"needs degrees >= 1 and a confidence between 0 and 1, got {degrees} and {confidence}.")
    low, high = 0.0, math.pi / 2  # of atan(t / sqrt(degrees))
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _student_probability(angle, degrees) < confidence else (low, angle)
    return math.tan(low) * math.sqrt(degrees)


def _student_probability(angle: float, degrees: int) -> float:
    """``P(|T| <= sqrt(degrees) tan(angle))``: Abramowitz & Stegun, 26.7.3 and 26.7.4."""
    cos, sin = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    term = cos if odd else 1.0
    total = 0.0
    for power in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cos * cos * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sin * total) if odd else sin * total
