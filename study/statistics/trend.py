"""Whether error rises along ordered depths: Jonckheere and Terpstra's test with its exact distribution."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from study.statistics.interval import clean

MOST_STATES = 20_000
"""Up to so many states the distribution is counted out; 4 depths of 10 seeds have 14,641."""
DRAWS, FEWER_DRAWS = 99_999, 9_999
MANY_VALUES = 500
"""Values of all groups beyond which `FEWER_DRAWS` are made: each takes longer."""
MOST_DEALT = 1 << 20
"""Values dealt out at a time."""


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
    `MOST_STATES` ways is it that of 99,999 deals drawn with a fixed seed, 9,999 of more than 500 values. Fewer than
    three groups, or a group of fewer than two values: p is NaN.

    Exact is meant of groups that share a distribution. Where spreads grow with depth though means don't, as 1, 1, 2, 4,
    bench/intervals.py measures 6 to 9% of calls at 5%; the rule, which then tests the outermost nets, stays below.
    """
    cleaned = [clean(group) for group in groups]
    n = min((len(group) for group in cleaned), default=0)
    if len(cleaned) < 3 or n < 2:
        return Trend(math.nan, math.nan, len(cleaned), n)
    owners, equal = _in_order(cleaned)
    sizes = tuple(len(group) for group in cleaned)
    if math.prod(size + 1 for size in sizes) <= MOST_STATES:
        ways = _ways(sizes, tuple(equal.tolist()))
        p = float(ways[_half_rises(owners[None], equal)[0] :].sum() / ways.sum())
        return Trend(min(1.0, p), math.nan, len(cleaned), n, exact=True)
    return Trend(_p_of_draws(owners, equal), math.nan, len(cleaned), n)


def _in_order(groups: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the group of each value, the least value first (N,), and how many values are equal (blocks,), rising."""
    values = np.concatenate(groups)
    owners = np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
    return owners[np.argsort(values, kind="stable")], np.unique(values, return_counts=True)[1]


def _half_rises(owners: NDArray[np.int32], equal: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return twice Jonckheere and Terpstra's statistic of each deal, for groups (deals, N) as of `_in_order`.

    Its memory and time grow with the number of values, not with its square.
    """
    end = np.repeat(np.cumsum(equal), equal)  # (N,): the number of values up to those that are equal to each
    first = end - np.repeat(equal, equal)
    total = np.zeros(len(owners), np.int64)
    for later in range(1, int(owners.max()) + 1):
        earlier = np.zeros((len(owners), owners.shape[1] + 1), np.int32)
        np.cumsum(owners < later, axis=1, out=earlier[:, 1:])
        below = earlier[:, first] + earlier[:, end]  # twice those that are less, and once those that are equal
        total += (below * (owners == later)).sum(axis=1)
    return total


def _p_of_draws(owners: NDArray[np.int32], equal: NDArray[np.int64]) -> float:
    """Return the share of deals, drawn ones and the given one, whose statistic is at least that of `owners`."""
    observed = _half_rises(owners[None], equal)[0]
    draws = DRAWS if len(owners) <= MANY_VALUES else FEWER_DRAWS
    random, left, above = np.random.default_rng(0), draws, 0
    while left:
        count = min(left, max(1, MOST_DEALT // len(owners)))
        deals = random.permuted(np.tile(owners, (count, 1)), axis=1)
        above += int((_half_rises(deals, equal) >= observed).sum())
        left -= count
    return (above + 1) / (draws + 1)


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
