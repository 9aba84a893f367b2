"""Means, differences and differences of differences over seeds, with intervals that hold for few and equal values.

Errors are counts of images, so equal values over seeds don't mean that nothing varies: a mean over N images is rounded
to 100/N percent. Every comparison takes this `resolution` and lets no cell's variance fall below resolution^2 / 12,
the variance of that rounding (Sheppard, 1898, Proc. London Math. Soc. 29). Nothing is then divided by zero, and no
p-value is zero because three seeds happened to agree.

The verdict rests on Welch's intervals and tests: of those here they alone stay near their level from three seeds on,
whatever the spreads. bench/intervals.py measures a coverage of 93-96% of normal errors with spreads of up to 4 to 1,
and of 92-95% of exponential ones, where bootstrap intervals have 75-92% (bench/README.md has the table).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.statistics.power import MOST_SEEDS, Equivalence, equivalence, seeds_needed
from study.statistics.resampling import Bootstrap, Permutation, bootstrap_interval, permutation_test
from study.statistics.superiority import Probability, probability_of_degradation
from study.statistics.trend import Trend, trend
from study.statistics.welch import CONFIDENCE, clean, welch

__all__ = [
    "CONFIDENCE", "MOST_SEEDS", "Bootstrap", "Contrast", "Difference", "Equivalence", "Mean", "Permutation",
    "Probability", "Trend", "bootstrap_interval", "difference", "difference_in_differences", "equivalence", "holm",
    "mean_interval", "permutation_test", "probability_of_degradation", "seeds_needed", "trend",
]  # fmt: skip


class Mean(NamedTuple):
    """Mean over seeds: its t interval, the standard deviation (n - 1) and the number of seeds."""

    estimate: float
    sd: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """Mean of the deep net minus mean of the shallow net; `p` is two-sided, as the interval is."""

    estimate: float
    low: float
    high: float
    p: float
    n_deep: int
    n_shallow: int


class Contrast(NamedTuple):
    """What the shortcuts remove: (deep - shallow) of plain nets minus that of residual nets; `p` is two-sided."""

    estimate: float
    low: float
    high: float
    p: float
    n: int


def mean_interval(values: ArrayLike) -> Mean:
    """(seeds,) -> mean with Student's t interval (Student, 1908, Biometrika 6).

    NaN values are left out. One value has no deviation and no interval (NaN); no value has no mean either.
    """
    kept = clean(values)
    n = len(kept)
    if n == 0:
        return Mean(math.nan, math.nan, math.nan, math.nan, 0)
    mean = float(kept.mean())
    if n == 1:
        return Mean(mean, math.nan, math.nan, math.nan, 1)
    sd = float(kept.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    return Mean(mean, sd, mean - half, mean + half, n)


def difference(deep: ArrayLike, shallow: ArrayLike, resolution: float) -> Difference:
    """(seeds of the deep net,), (seeds of the shallow net,) -> difference of means.

    Welch's unequal-variances interval and two-sided test (Welch, 1947, Biometrika 34), with each cell's variance not
    below that of rounding to `resolution` percent. Fewer than two seeds in either cell: no interval and no p (NaN).
    """
    groups = [clean(deep), clean(shallow)]
    found = welch(groups, [1.0, -1.0], resolution)
    if math.isnan(found.error):
        return Difference(found.estimate, math.nan, math.nan, math.nan, len(groups[0]), len(groups[1]))
    low, high = found.interval()
    return Difference(found.estimate, low, high, found.p(), len(groups[0]), len(groups[1]))


def difference_in_differences(
    plain_deep: ArrayLike,
    plain_shallow: ArrayLike,
    residual_deep: ArrayLike,
    residual_shallow: ArrayLike,
    resolution: float,
) -> Contrast:
    """Four times (seeds,) -> (plain deep - plain shallow) - (residual deep - residual shallow).

    A linear contrast of four independent means with Satterthwaite's degrees of freedom (Satterthwaite, 1946,
    Biometrics Bulletin 2), two-sided, with the same least variance as `difference`. `n` is the smallest cell's.
    """
    groups = [clean(cell) for cell in (plain_deep, plain_shallow, residual_deep, residual_shallow)]
    found = welch(groups, [1.0, -1.0, -1.0, 1.0], resolution)
    n = min(len(group) for group in groups)
    if math.isnan(found.error):
        return Contrast(found.estimate, math.nan, math.nan, math.nan, n)
    low, high = found.interval()
    return Contrast(found.estimate, low, high, found.p(), n)


def holm(p_values: Sequence[float]) -> list[float]:
    """(m,) -> (m,) p-values adjusted by Holm's step-down rule (Holm, 1979, Scand. J. Statist. 6).

    A NaN, a test that was planned and couldn't be made, stays NaN and counts as the largest: a cell without seeds
    never makes the other tests easier.
    """
    p = np.asarray(p_values, dtype=float)
    planned = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(planned, kind="stable")
    factors = len(p) - np.arange(len(p))
    stepped = np.minimum(1.0, np.maximum.accumulate(planned[order] * factors))
    adjusted = np.empty_like(planned)
    adjusted[order] = stepped
    return [float(value) for value in np.where(np.isnan(p), np.nan, adjusted)]
