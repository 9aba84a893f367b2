"""Means, differences and differences of differences over seeds, with intervals that hold for few and equal values.

Errors are counts of images, so equal values over seeds don't mean that nothing varies: a mean over N images is rounded
to 100/N percent. Every comparison takes this `resolution` and lets no cell's variance fall below resolution^2 / 12,
the variance of that rounding (Sheppard, 1898, Proc. London Math. Soc. 29). Nothing is then divided by zero, and no
p-value is zero because three seeds happened to agree.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
"""Level of every interval in the report."""


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


class Trend(NamedTuple):
    """Whether error rises along the depths; `p` is one-sided, `p_holm` adjusted together with the pairs' tests."""

    p: float
    p_holm: float
    groups: int
    n: int
    """Seeds of the smallest group."""


class Contrast(NamedTuple):
    """What the shortcuts remove: (deep - shallow) of plain nets minus that of residual nets; `p` is two-sided."""

    estimate: float
    low: float
    high: float
    p: float
    n: int


class _Welch(NamedTuple):
    estimate: float
    error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom)) * self.error
        return self.estimate - half, self.estimate + half

    def p(self) -> float:
        """Return the two-sided p-value."""
        return 2 * float(stats.t.sf(abs(self.estimate) / self.error, self.freedom))


def mean_interval(values: ArrayLike) -> Mean:
    """(seeds,) -> mean with Student's t interval (Student, 1908, Biometrika 6).

    NaN values are left out. One value has no deviation and no interval (NaN); no value has no mean either.
    """
    kept = _clean(values)
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
    groups = [_clean(deep), _clean(shallow)]
    welch = _welch(groups, [1.0, -1.0], resolution)
    if math.isnan(welch.error):
        return Difference(welch.estimate, math.nan, math.nan, math.nan, len(groups[0]), len(groups[1]))
    low, high = welch.interval()
    return Difference(welch.estimate, low, high, welch.p(), len(groups[0]), len(groups[1]))


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
    groups = [_clean(cell) for cell in (plain_deep, plain_shallow, residual_deep, residual_shallow)]
    welch = _welch(groups, [1.0, -1.0, -1.0, 1.0], resolution)
    n = min(len(group) for group in groups)
    if math.isnan(welch.error):
        return Contrast(welch.estimate, math.nan, math.nan, math.nan, n)
    low, high = welch.interval()
    return Contrast(welch.estimate, low, high, welch.p(), n)


def trend(groups: Sequence[ArrayLike]) -> Trend:
    """(depths,) of (seeds,) -> whether values rise along the order of the groups.

    Jonckheere and Terpstra's test (Jonckheere, 1954, Biometrika 41): the number of pairs of values from two groups in
    which the later group's is larger, ties counting half, against all ways to deal the values out, one-sided; exact up
    to 100,000 ways, else by as many drawn with a fixed seed. Pairs of three seeds can't reach 0.05 in a permutation
    test; an order over four depths can. Fewer than three groups, or a group of fewer than two values: p is NaN.
    """
    cleaned = [_clean(group) for group in groups]
    n = min((len(group) for group in cleaned), default=0)
    if len(cleaned) < 3 or n < 2:
        return Trend(math.nan, math.nan, len(cleaned), n)
    found = stats.permutation_test(
        cleaned, _rises, alternative="greater", vectorized=True, n_resamples=99_999, batch=5_000, rng=0
    )
    return Trend(float(found.pvalue), math.nan, len(cleaned), n)


def _rises(*groups: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return Jonckheere and Terpstra's statistic of groups (..., seeds)."""
    groups = tuple(np.moveaxis(group, axis, -1) for group in groups)
    total = np.zeros(np.broadcast_shapes(*(group.shape[:-1] for group in groups)))
    for earlier, later in combinations(groups, 2):
        step = later[..., None, :] - earlier[..., :, None]  # (..., seeds, seeds)
        total = total + ((step > 0) + 0.5 * (step == 0)).sum(axis=(-1, -2))
    return total


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


def _clean(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def _welch(groups: list[NDArray[np.float64]], weights: list[float], resolution: float) -> _Welch:
    """Return a weighted sum of means, its standard error and Satterthwaite's degrees of freedom."""
    if not resolution > 0:
        raise ValueError(f"a resolution is a positive number of percent, not {resolution}")
    if any(len(group) == 0 for group in groups):
        return _Welch(math.nan, math.nan, math.nan)
    estimate = sum(w * float(group.mean()) for w, group in zip(weights, groups, strict=True))
    if any(len(group) < 2 for group in groups):
        return _Welch(estimate, math.nan, math.nan)
    least = resolution**2 / 12
    parts = [w**2 * max(float(g.var(ddof=1)), least) / len(g) for w, g in zip(weights, groups, strict=True)]
    total = sum(parts)
    # Divided by the total first: squares of tiny variances would underflow.
    freedom = 1 / sum((part / total) ** 2 / (len(g) - 1) for part, g in zip(parts, groups, strict=True))
    return _Welch(estimate, math.sqrt(total), freedom)
