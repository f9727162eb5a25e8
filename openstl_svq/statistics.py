"""Intervals for a mean and for a median."""

import math
import statistics
from collections.abc import Sequence

from scipy import stats


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two of the values, which enclose the median of their distribution with this confidence, whatever it is.

    As many values are left out at either end as ``j``, the largest number with
    ``P(Binomial(n, 1/2) <= j) <= (1 - confidence) / 2``. Too few values for the confidence (fewer than 6 for 95 %) give
    their whole range.
    """
    ordered, n, tail = sorted(values), len(values), (1 - confidence) / 2
    left_out = int(stats.binom.ppf(tail, n, 0.5))
    if stats.binom.cdf(left_out, n, 0.5) > tail:
        left_out -= 1
    left_out = max(left_out, 0)
    return ordered[left_out], ordered[-1 - left_out]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half width of Student's interval around it; the width of a single value is NaN."""
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return mean, math.nan
    return mean, stats.t.ppf((1 + confidence) / 2, n - 1) * statistics.stdev(values) / math.sqrt(n)
