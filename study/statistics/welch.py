"""Differences of means of cells with unequal variances, by Welch's and Satterthwaite's t."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.statistics.interval import CONFIDENCE, Interval, clean, exponential, logarithms

ROUNDING = 1e-6
"""Of a logarithm of what a probe measures in single precision."""


class Welch(NamedTuple):
    """An estimate with its standard error and Satterthwaite's degrees of freedom; NaN where they can't be had."""

    estimate: float
    error: float
    freedom: float
    n: tuple[int, ...]

    def bounds(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the two-sided t interval."""
        half = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.estimate - half, self.estimate + half

    def p_below(self, bound: float) -> float:
        """Return the one-sided p-value of a true value of `bound` or more."""
        return float(stats.t.cdf((self.estimate - bound) / self.error, self.freedom))

    def p_above(self, bound: float) -> float:
        """Return the one-sided p-value of a true value of `bound` or less."""
        return float(stats.t.sf((self.estimate - bound) / self.error, self.freedom))

    def interval(self) -> Interval:
        """Return the estimate with its 95% interval and the two-sided p-value of a true value of zero."""
        if math.isnan(self.error):
            return Interval(self.estimate, math.nan, math.nan, n=self.n)
        p = 2 * float(stats.t.sf(abs(self.estimate) / self.error, self.freedom))
        return Interval(self.estimate, *self.bounds(), p, self.n)


class Equivalence(NamedTuple):
    """Whether the difference of two nets is smaller than the smallest effect of interest."""

    low: float
    high: float
    """90% interval: within the region on both sides where `p` is below 0.05."""
    p: float
    """Of two one-sided tests: a small one says that the difference is within the region to both sides."""
    p_below: float
    """One-sided: a small one says that the deeper net isn't worse by the smallest effect or more."""


def variance(values: NDArray[np.float64], resolution: float) -> float:
    """Return the variance (n - 1) of at least two values, not below that of rounding to `resolution`."""
    return max(float(values.var(ddof=1)), resolution**2 / 12)


def welch(cells: Sequence[ArrayLike], weights: Sequence[float], resolution: float) -> Welch:
    """(cells,) of (seeds,), (cells,) -> the weighted sum of means, without values that are NaN.

    Raises:
        ValueError: `resolution` isn't positive.
    """
    if not resolution > 0:
        raise ValueError(f"a resolution is a positive number of percent, not {resolution}")
    groups = [clean(cell) for cell in cells]
    n = tuple(len(group) for group in groups)
    if min(n) == 0:
        return Welch(math.nan, math.nan, math.nan, n)
    estimate = sum(w * float(group.mean()) for w, group in zip(weights, groups, strict=True))
    if min(n) < 2:
        return Welch(estimate, math.nan, math.nan, n)
    parts = [w**2 * variance(g, resolution) / len(g) for w, g in zip(weights, groups, strict=True)]
    total = sum(parts)
    # Divided by the total first: squares of tiny variances would underflow.
    freedom = 1 / sum((part / total) ** 2 / (count - 1) for part, count in zip(parts, n, strict=True))
    return Welch(estimate, math.sqrt(total), freedom, n)


def difference(deep: ArrayLike, shallow: ArrayLike, resolution: float) -> Interval:
    """(seeds of the deep net,), (seeds of the shallow net,) -> difference of means.

    Welch's unequal-variances interval and two-sided test (Welch, 1947, Biometrika 34), with each cell's variance not
    below that of rounding to `resolution` percent. Fewer than two seeds in either cell: no interval and no p (NaN).
    """
    return welch([deep, shallow], [1.0, -1.0], resolution).interval()


def difference_in_percent(deep: ArrayLike, shallow: ArrayLike, resolution: float, most: float = 100.0) -> Interval:
    """(seeds of the deep net,), (seeds of the shallow net,) in percent -> `difference`, cut off at `most` points."""
    return difference(deep, shallow, resolution).within(-most, most)


def difference_in_differences(
    plain_deep: ArrayLike,
    plain_shallow: ArrayLike,
    residual_deep: ArrayLike,
    residual_shallow: ArrayLike,
    resolution: float,
) -> Interval:
    """Four times (seeds,) -> (plain deep - plain shallow) - (residual deep - residual shallow).

    A linear contrast of four independent means with Satterthwaite's degrees of freedom (Satterthwaite, 1946,
    Biometrics Bulletin 2), two-sided, with the same least variance as `difference`, of errors in percent: cut off at
    200 points, twice what one difference can be.
    """
    cells = [plain_deep, plain_shallow, residual_deep, residual_shallow]
    return welch(cells, [1.0, -1.0, -1.0, 1.0], resolution).interval().within(-200, 200)


def excess(values: ArrayLike, reference: ArrayLike, resolution: float) -> Interval:
    """(seeds,), (seeds of the reference,) -> `difference_in_percent`; a single reference is taken as given.

    Args:
        values: errors in percent; NaN are left out.
        reference: errors in percent to compare with.
        resolution: what one image is worth in percent.
    """
    given = clean(reference)
    if len(given) != 1 or len(clean(values)) < 2:
        return difference_in_percent(values, given, resolution)
    mean = welch([values], [1.0], resolution).interval()
    estimate, low, high = (bound - float(given[0]) for bound in mean[:3])
    return Interval(estimate, low, high, n=(mean.seeds, 1)).within(-100, 100)


def ratio(deep: ArrayLike, shallow: ArrayLike) -> Interval:
    """(seeds of one net,), (seeds of another,) -> the ratio of geometric means, Welch's interval of the logarithms.

    `n` is that of the net with fewer seeds. Values that aren't above 0 and finite are left out.
    """
    logs = difference(logarithms(deep), logarithms(shallow), ROUNDING)
    return exponential(logs._replace(n=(min(logs.n),)))


def equivalence(deep: ArrayLike, shallow: ArrayLike, smallest: float, resolution: float) -> Equivalence:
    """(seeds of the deep net,), (seeds of the shallow net,) -> two one-sided tests against -`smallest` and `smallest`.

    Schuirmann's procedure (1987, J. Pharmacokinetics and Biopharmaceutics 15) with Welch's standard error, as
    `difference` has it. A deeper net that is better by far isn't equivalent, but its `p_below` is small. Fewer than two
    seeds in either net: NaN.
    """
    seen = welch([deep, shallow], [1.0, -1.0], resolution)
    if math.isnan(seen.error):
        return Equivalence(math.nan, math.nan, math.nan, math.nan)
    below, above = seen.p_below(smallest), seen.p_above(-smallest)
    return Equivalence(*seen.bounds(2 * CONFIDENCE - 1), max(below, above), below)
