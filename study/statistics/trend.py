"""Whether error rises along ordered depths: Jonckheere and Terpstra's test with its exact distribution."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from study.statistics.interval import clean

MOST_STATES = 20_000
"""Up to so many states the distribution is counted out; 4 depths of 10 seeds have 14,641."""
DRAWS = 99_999


class Trend(NamedTuple):
    """Whether error rises along the depths; `p` is one-sided, `p_adjusted` as a part of the fixed sequence."""

    p: float
    p_adjusted: float
    groups: int
    n: int
    """Seeds of the smallest group."""
    exact: bool = False
    """Whether `p` counts all ways to deal the values out, not a sample of them."""


def jonckheere(groups: Sequence[ArrayLike]) -> Trend:
    """(depths,) of (seeds,) -> whether values rise along the order of the groups.

    Jonckheere and Terpstra's test (Terpstra, 1952, Indagationes Mathematicae 14; Jonckheere, 1954, Biometrika 41): the
    number of pairs of values from two groups in which the later group's is larger, ties counting half, against all ways
    to deal the values out, one-sided. Three seeds can't reach 0.05 in a permutation test of a pair; an order over four
    depths can.

    The p-value is exact: the ways are counted value by value. Only where the groups can be filled in part in more than
    `MOST_STATES` ways is it that of 99,999 deals drawn with a fixed seed. Fewer than three groups, or a group of fewer
    than two values: p is NaN.

    Exact is meant of groups that share a distribution. Where spreads grow with depth though means don't, as 1, 1, 2, 4,
    bench/intervals.py measures 6 to 9% of calls at 5%; the rule, which then tests the outermost nets, stays below.
    """
    cleaned = [clean(group) for group in groups]
    n = min((len(group) for group in cleaned), default=0)
    if len(cleaned) < 3 or n < 2:
        return Trend(math.nan, math.nan, len(cleaned), n)
    sizes = tuple(len(group) for group in cleaned)
    if math.prod(size + 1 for size in sizes) <= MOST_STATES:
        ways = _ways(sizes, tuple(np.unique(np.concatenate(cleaned), return_counts=True)[1].tolist()))
        p = float(ways[round(2 * float(rises(*cleaned))) :].sum() / ways.sum())
        return Trend(min(1.0, p), math.nan, len(cleaned), n, exact=True)
    drawn = stats.permutation_test(
        cleaned, rises, alternative="greater", vectorized=True, n_resamples=DRAWS, batch=5_000, rng=0
    )
    return Trend(float(drawn.pvalue), math.nan, len(cleaned), n)


def rises(*groups: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return Jonckheere and Terpstra's statistic of groups (..., seeds)."""
    groups = tuple(np.moveaxis(group, axis, -1) for group in groups)
    total = np.zeros(np.broadcast_shapes(*(group.shape[:-1] for group in groups)))
    for earlier, later in combinations(groups, 2):
        step = later[..., None, :] - earlier[..., :, None]  # (..., seeds, seeds)
        total = total + ((step > 0) + 0.5 * (step == 0)).sum(axis=(-1, -2))
    return total


@lru_cache(maxsize=64)
def _ways(sizes: tuple[int, ...], blocks: tuple[int, ...]) -> NDArray[np.float64]:
    """Return how many ways, up to a constant, give each half step of the statistic; `blocks` of equal values, rising.

    Values are dealt out from the least on; what the statistic gains by the next block depends only on how many smaller
    values each group has. All terms are positive, so nothing is lost by rounding but the last digits.
    """
    length = 2 * sum(a * b for a, b in combinations(sizes, 2)) + 1
    start = np.zeros(length)
    start[0] = 1.0
    states = {(0,) * len(sizes): start}
    for block in blocks:
        following: dict[tuple[int, ...], NDArray[np.float64]] = {}
        for filled, ways in states.items():
            free = [size - have for size, have in zip(sizes, filled, strict=True)]
            for shares in _shares(block, free):
                gain = smaller = same = 0
                for have, take in zip(filled, shares, strict=True):
                    gain += take * (2 * smaller + same)
                    smaller, same = smaller + have, same + take
                choices = math.prod(map(math.comb, free, shares))
                key = tuple(map(add, filled, shares))
                if key not in following:
                    following[key] = np.zeros(length)
                following[key][gain:] += choices * ways[: length - gain]
        states = following
    return states[sizes]


def _shares(block: int, free: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield every way to split a block of values over groups with so many places free."""
    if not free:
        yield ()
        return
    for take in range(max(0, block - sum(free[1:])), min(block, free[0]) + 1):
        yield from ((take, *rest) for rest in _shares(block - take, free[1:]))
