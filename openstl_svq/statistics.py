"""Intervals for a mean and for a median, and how they are written."""

import itertools
import math
import statistics
from collections.abc import Sequence


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two of the values, which enclose the median of their distribution with this confidence, whatever it is.

    As many values are left out at either end as ``j``, the largest number with
    ``P(Binomial(n, 1/2) <= j) <= (1 - confidence) / 2``. Too few values for the confidence (fewer than 6 for 95 %) give
    their whole range.
    """
    ordered, n, tail = sorted(values), len(values), (1 - confidence) / 2
    cumulated = itertools.accumulate(math.comb(n, k) / 2**n for k in range(n))  # P(Binomial(n, 1/2) <= k)
    left_out = max(sum(1 for p in cumulated if p <= tail) - 1, 0)
    return ordered[left_out], ordered[-1 - left_out]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half width of Student's interval around it; the width of a single value is NaN."""
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return mean, math.nan
    return mean, student_quantile(confidence, n - 1) * statistics.stdev(values) / math.sqrt(n)


def student_quantile(probability: float, freedom: int) -> float:
    """The t that Student's distribution with ``freedom`` whole degrees exceeds in size with 1 - ``probability``.

    P(|T| <= t) is a finite sum in the sine and cosine of atan(t / sqrt(freedom)) (Abramowitz and Stegun 26.7.3 and 4);
    its inverse is found by halving.
    """

    def within(angle: float) -> float:
        sine, cosine = math.sin(angle), math.cos(angle)
        first = freedom % 2  # the power of the cosine that the sum begins with
        term, total = (cosine if first else 1.0), 0.0
        for power in range(first, freedom - 1, 2):
            total += term
            term *= cosine**2 * (power + 1) / (power + 2)
        return 2 / math.pi * (angle + sine * total) if first else sine * total

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < probability else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def with_spread(mean: float | None, std: float | None) -> str | None:
    """``mean ± std``, the mean alone where there is no deviation, ``None`` where there is no mean; NaN is none.

    >>> with_spread(0.12345, 0.012)
    '0.1235 ± 0.012'
    """
    if _absent(mean):
        return None
    return f"{mean:.4g}" + ("" if _absent(std) else f" ± {std:.2g}")


def with_interval(value: float | None, low: float | None, high: float | None, form: str = "+.1f") -> str | None:
    """``value (low to high)``, the value alone where there is no interval, ``None`` where there is none; NaN is none.

    >>> with_interval(-3.14, -4, -2)
    '-3.1 (-4.0 to -2.0)'
    """
    if _absent(value):
        return None
    return format(value, form) + ("" if _absent(low) else f" ({low:{form}} to {high:{form}})")


def _absent(value: float | None) -> bool:
    return value is None or math.isnan(value)
