"""How many seeds settle a difference, and what difference so many seeds show: the power of Welch's test."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.statistics.interval import CONFIDENCE, clean
from study.statistics.welch import variance

MOST_SEEDS = 100
"""Highest number of seeds a net that is searched; `MOST_SEEDS` + 1 stands for more."""
POWER = 0.8
DRAWS = 20_000
"""Simulated studies."""
MOST_SHIFT = 30.0
"""Noncentrality up to which the noncentral t is computed."""


def seeds_needed(
    deep: ArrayLike, shallow: ArrayLike, smallest: float, resolution: float, *, level: float = 0.05
) -> int | None:
    """(seeds of the deep net,), (seeds of the shallow net,) -> least seeds a net that would settle the pair.

    Assumes that the difference and the spreads seen are the true ones and that errors are normal: a guess from few
    seeds, and the spread of three is often off by half. If the difference is above `smallest`, settled is: the
    one-sided test against `smallest` at `level` shows it. Else: the 95% interval ends below `smallest`. Either with a
    probability of 80%, by the noncentral t distribution with Satterthwaite's degrees of freedom (Cohen, 1988,
    chapter 2; Harrison and Brady, 2004, Stata Journal 4).

    Returns:
        The seeds of each net, at most `MOST_SEEDS` + 1, which stands for more; None with fewer than two seeds.
    """
    a, b = clean(deep), clean(shallow)
    if min(len(a), len(b)) < 2:
        return None
    excess, spreads = float(a.mean() - b.mean()) - smallest, (variance(a, resolution), variance(b, resolution))
    n = np.arange(2, MOST_SEEDS + 1)
    enough = power(abs(excess), spreads, n, level if excess > 0 else (1 - CONFIDENCE) / 2) >= POWER
    return int(n[enough.argmax()]) if enough.any() else MOST_SEEDS + 1


def detectable(seeds: int, level: float) -> float:
    """Return the distance from its bound at which a difference is shown with a probability of 80%, in spreads.

    A spread is the standard deviation over seeds, equal in both nets, whose errors are normal. `level` is that of
    Welch's one-sided test with `seeds` of each net, at least two. The distance is a quantile of those that simulated
    studies need: `power`, which takes the variances as known, would promise too much of two or three seeds.
    """
    deep, shallow = np.random.default_rng(0).normal(size=(2, DRAWS, seeds))
    parts = deep.var(axis=1, ddof=1), shallow.var(axis=1, ddof=1)
    total = sum(parts)
    freedom = (seeds - 1) * total**2 / sum(part**2 for part in parts)
    needed = stats.t.ppf(1 - level, freedom) * np.sqrt(total / seeds) - (deep.mean(axis=1) - shallow.mean(axis=1))
    return float(np.quantile(needed, POWER))


def power(distance: float, variances: tuple[float, float], n: NDArray[np.int_], level: float) -> NDArray[np.float64]:
    """(sizes,) -> (sizes,) the power of Welch's one-sided test with n seeds a net.

    `distance` is that of the true difference from the bound that it is tested against.
    """
    total = sum(variances)
    freedom = (n - 1) / sum((part / total) ** 2 for part in variances)
    return _above(stats.t.ppf(1 - level, freedom), freedom, distance / np.sqrt(total / n))


def _above(least: NDArray[np.float64], freedom: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(T > least) of the noncentral t; of a shift that it can't be computed for, of the normal."""
    upper = stats.nct.sf(least, freedom, np.minimum(shift, MOST_SHIFT))
    return np.asarray(np.where((shift < MOST_SHIFT) & np.isfinite(upper), upper, stats.norm.sf(least - shift)))
