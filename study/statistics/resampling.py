"""Two looks at a difference of means that assume no distribution: bootstrap intervals and an exact permutation test."""

import math
from functools import lru_cache
from itertools import chain, combinations, product
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.statistics.interval import CONFIDENCE, clean

LEAST_BCA = 5
"""Seeds that each net needs for BCa."""
RESAMPLES = 4_999
MOST_DEALS = 200_000
"""Up to so many ways to deal the seeds out, all are counted: ten against ten have 184,756."""
DRAWN_DEALS = 19_999
CACHED = 4096
"""Results in the cache: the verdict compares the same two nets, and again under each choice of learning rates."""


class Bootstrap(NamedTuple):
    """A bootstrap interval of a difference of means; NaN where a net has fewer than two seeds."""

    low: float
    high: float
    method: Literal["BCa", "percentile", ""]


class Permutation(NamedTuple):
    """A two-sided permutation test of a difference of means."""

    p: float
    least: float
    """The smallest p that so many seeds can give: 0.1 for three against three."""
    exact: bool


def bootstrap_interval(deep: ArrayLike, shallow: ArrayLike) -> Bootstrap:
    """(seeds of the deep net,), (seeds of the shallow net,) -> 95% interval of mean(deep) - mean(shallow).

    From five seeds each on, Efron's BCa (1987, JASA 82) by `scipy.stats.bootstrap`, 4,999 resamples, fixed seed. Below,
    and where BCa isn't defined, as the seeds of both nets are equal, the percentile interval (Efron and Tibshirani,
    1993, section 13): BCa's acceleration would be a skewness of three or four values. If neither net has five seeds,
    all resamples are counted. Of equal seeds it has no width.

    Such intervals of few seeds are too narrow: the spread of n values that are drawn from themselves is smaller by
    sqrt((n - 1) / n), and no t quantile makes up for it. bench/intervals.py measures a coverage of 75-79% at three
    seeds, 82-88% at five and 88-92% at ten. No verdict rests on them: they are shown beside Welch's.
    """
    return _bootstrap_interval(tuple(clean(deep).tolist()), tuple(clean(shallow).tolist()))


@lru_cache(maxsize=CACHED)
def _bootstrap_interval(deep: tuple[float, ...], shallow: tuple[float, ...]) -> Bootstrap:
    a, b = np.array(deep), np.array(shallow)
    if min(len(a), len(b)) < 2:
        return Bootstrap(math.nan, math.nan, "")
    if min(len(a), len(b)) >= LEAST_BCA and np.ptp(a) + np.ptp(b) > 0:
        bca = _drawn(a, b, "BCa")
        if math.isfinite(bca.low) and math.isfinite(bca.high):
            return bca
    if max(len(a), len(b)) >= LEAST_BCA:
        return _drawn(a, b, "percentile")
    means = [values[np.array(list(product(range(len(values)), repeat=len(values))))].mean(axis=1) for values in (a, b)]
    low, high = np.quantile(np.subtract.outer(*means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Bootstrap(float(low), float(high), "percentile")


def _drawn(a: NDArray[np.float64], b: NDArray[np.float64], method: Literal["BCa", "percentile"]) -> Bootstrap:
    options: dict[str, Any] = {"vectorized": True, "n_resamples": RESAMPLES, "confidence_level": CONFIDENCE, "rng": 0}
    drawn = stats.bootstrap((a, b), _mean_difference, method=method, **options).confidence_interval
    return Bootstrap(float(drawn.low), float(drawn.high), method)


def _mean_difference(deep: NDArray[np.float64], shallow: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return np.asarray(deep.mean(axis=axis) - shallow.mean(axis=axis))


def permutation_test(deep: ArrayLike, shallow: ArrayLike) -> Permutation:
    """(seeds of the deep net,), (seeds of the shallow net,) -> two-sided test of the difference of means.

    Fisher and Pitman's test (Pitman, 1937, Supplement to JRSS 4): the part of all ways to deal the seeds out to the two
    nets that give a difference at least as large, to either side. Up to `MOST_DEALS` ways all are counted, else as many
    as 19,999 are drawn with a fixed seed and the one seen is counted with them (Phipson and Smyth, 2010, SAGMB 9). Its
    level holds for any distribution that both nets share, not for unequal spreads. Fewer than two seeds in either net:
    NaN.
    """
    return _permutation_test(tuple(clean(deep).tolist()), tuple(clean(shallow).tolist()))


@lru_cache(maxsize=CACHED)
def _permutation_test(deep: tuple[float, ...], shallow: tuple[float, ...]) -> Permutation:
    a, b = np.array(deep), np.array(shallow)
    if min(len(a), len(b)) < 2:
        return Permutation(math.nan, math.nan, False)
    both = np.concatenate([a, b])
    total = math.comb(len(both), len(a))
    least = (2 if len(a) == len(b) else 1) / total
    exact = total <= MOST_DEALS
    sums = both[(_deals if exact else _drawn_deals)(len(both), len(a))].sum(axis=1)
    # A deal's difference of means is linear in the sum of the first net's share.
    far = np.abs(sums - both.sum() * len(a) / len(both))
    seen = abs(a.sum() - both.sum() * len(a) / len(both))
    hits = int((far >= seen - 1e-9 * max(1.0, float(np.abs(both).sum()))).sum())
    if exact:
        return Permutation(hits / total, least, True)
    return Permutation((hits + 1) / (len(sums) + 1), max(least, 1 / (len(sums) + 1)), False)


@lru_cache(maxsize=4)
def _deals(n: int, take: int) -> NDArray[np.intp]:
    """Return (deals, take) the places that one of two groups can have among n."""
    flat = np.fromiter(chain.from_iterable(combinations(range(n), take)), dtype=np.intp)
    return flat.reshape(-1, take)


@lru_cache(maxsize=4)
def _drawn_deals(n: int, take: int) -> NDArray[np.intp]:
    """Return some of them: (`DRAWN_DEALS`, take)."""
    dealt = np.random.default_rng(0).permuted(np.broadcast_to(np.arange(n), (DRAWN_DEALS, n)), axis=1)
    return np.ascontiguousarray(dealt[:, :take])
