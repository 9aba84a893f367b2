"""A weighted sum of independent means with unequal variances, by Welch's and Satterthwaite's t."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
"""Level of every interval in the report, unless it says another."""


class Welch(NamedTuple):
    """An estimate with its standard error and Satterthwaite's degrees of freedom; NaN where they can't be had."""

    estimate: float
    error: float
    freedom: float

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the two-sided t interval."""
        half = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.estimate - half, self.estimate + half

    def p(self) -> float:
        """Return the two-sided p-value of a true value of zero."""
        return 2 * float(stats.t.sf(abs(self.estimate) / self.error, self.freedom))

    def p_below(self, bound: float) -> float:
        """Return the one-sided p-value of a true value of `bound` or more."""
        return float(stats.t.cdf((self.estimate - bound) / self.error, self.freedom))


def clean(values: ArrayLike) -> NDArray[np.float64]:
    """Return (n,) the values without NaN."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def variance(values: NDArray[np.float64], resolution: float) -> float:
    """Return the variance (n - 1) of at least two values, not below that of rounding to `resolution`."""
    return max(float(values.var(ddof=1)), resolution**2 / 12)


def welch(groups: Sequence[NDArray[np.float64]], weights: Sequence[float], resolution: float) -> Welch:
    """(cells,) of (seeds,), (cells,) -> the weighted sum of means.

    Raises:
        ValueError: `resolution` isn't positive.
    """
    if not resolution > 0:
        raise ValueError(f"a resolution is a positive number of percent, not {resolution}")
    if any(len(group) == 0 for group in groups):
        return Welch(math.nan, math.nan, math.nan)
    estimate = sum(w * float(group.mean()) for w, group in zip(weights, groups, strict=True))
    if any(len(group) < 2 for group in groups):
        return Welch(estimate, math.nan, math.nan)
    parts = [w**2 * variance(g, resolution) / len(g) for w, g in zip(weights, groups, strict=True)]
    total = sum(parts)
    # Divided by the total first: squares of tiny variances would underflow.
    freedom = 1 / sum((part / total) ** 2 / (len(g) - 1) for part, g in zip(parts, groups, strict=True))
    return Welch(estimate, math.sqrt(total), freedom)
