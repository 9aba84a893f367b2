"""How often the report's intervals hold the truth, and how often its tests raise a false alarm.

    OMP_NUM_THREADS=1 python bench/intervals.py [--draws 2000]

Studies are drawn from known distributions with 3, 5 and 10 seeds a net and given to the report's own functions. The
tables are Markdown; a share near 5 or 95% over 2,000 draws is known to a point (two standard errors). The verdict's
rule, which is made of these tests, is measured by bench/verdicts.py.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.statistics.resampling import bootstrap_interval, permutation_test
from study.statistics.superiority import probability_of_superiority
from study.statistics.trend import jonckheere
from study.statistics.welch import difference, difference_in_differences, equivalence

Array = NDArray[np.float64]
SEEDS = (3, 5, 10)
RESOLUTION = 0.001
DEPTHS = (8, 20, 32, 56)


class Truth(NamedTuple):
    """How errors of a deep and of a shallow net are distributed, and what is true of them."""

    deep: Callable[[np.random.Generator, int], Array]
    shallow: Callable[[np.random.Generator, int], Array]
    difference: float
    probability: float


TRUTHS = {
    "normal, equal spreads": Truth(
        lambda r, n: r.normal(1, 1, n), lambda r, n: r.normal(0, 1, n), 1, stats.norm.cdf(1 / np.sqrt(2))
    ),
    "normal, spreads 4 : 1": Truth(
        lambda r, n: r.normal(2, 4, n), lambda r, n: r.normal(0, 1, n), 2, stats.norm.cdf(2 / np.sqrt(17))
    ),
    "shallow net always at 0": Truth(
        lambda r, n: r.normal(1, 1, n), lambda r, n: np.zeros(n), 1, stats.norm.cdf(1)
    ),
    "exponential, 2 : 1": Truth(
        lambda r, n: r.exponential(2, n), lambda r, n: r.exponential(1, n), 1, 2 / 3
    ),
}  # fmt: skip
NULLS: dict[str, Callable[[np.random.Generator, int], list[Array]]] = {
    "normal, equal spreads": lambda r, n: [r.normal(0, 1, n) for _ in DEPTHS],
    "normal, spreads 1, 1, 2, 4": lambda r, n: [r.normal(0, sd, n) for sd in (1, 1, 2, 4)],
    "exponential": lambda r, n: [r.exponential(1, n) for _ in DEPTHS],
    "whole images, many ties": lambda r, n: [np.asarray(0.1 * r.poisson(0.7, n), dtype=np.float64) for _ in DEPTHS],
}


def newcombe(share: float, n: int) -> tuple[float, float]:
    """Newcombe's score interval of U / n^2 (2006, Statistics in Medicine 25, method 5), for comparison."""
    grid = np.linspace(1e-6, 1 - 1e-6, 2001)
    variance = grid * (1 - grid) * (1 + (n - 1) * ((1 - grid) / (2 - grid) + grid / (1 + grid))) / n**2
    inside = grid[(share - grid) ** 2 <= stats.norm.ppf(0.975) ** 2 * variance]
    return float(inside.min()), float(inside.max())


def coverage(truth: Truth, n: int, draws: int) -> list[float]:
    """Return the share of draws whose interval holds the truth, for each interval."""
    random, hits = np.random.default_rng(n), np.zeros(6)
    for _ in range(draws):
        deep, shallow = truth.deep(random, n), truth.shallow(random, n)
        twin = truth.shallow(random, n), truth.shallow(random, n)
        welch, boot = difference(deep, shallow, RESOLUTION), bootstrap_interval(deep, shallow)
        contrast = difference_in_differences(deep, shallow, *twin, RESOLUTION)
        same = equivalence(deep, shallow, 0.5, RESOLUTION)
        often = probability_of_superiority(deep, shallow)
        other = newcombe(often.estimate, n)
        held = [(one.low <= truth.difference <= one.high) for one in (welch, contrast, boot, same)]
        hits += [*held, often.low <= truth.probability <= often.high, other[0] <= truth.probability <= other[1]]
    return list(100 * hits / draws)


def alarms(null: Callable[[np.random.Generator, int], list[Array]], n: int, draws: int) -> list[float]:
    """Return the share of draws in which each test calls a difference that isn't there."""
    random, hits = np.random.default_rng(n), np.zeros(3)
    for _ in range(draws):
        cells = null(random, n)
        ends = cells[-1], cells[0]
        rise = jonckheere(cells)
        hits += [difference(*ends, RESOLUTION).p < 0.05, permutation_test(*ends).p < 0.05, rise.p < 0.05]
    return list(100 * hits / draws)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    print("| errors | seeds | difference (Welch) | difference in differences | bootstrap | 90% (equivalence) "
          "| P(deeper worse) | the same by Newcombe |\n| --- |" + " ---: |" * 7)  # fmt: skip
    for name, truth in TRUTHS.items():
        for n in SEEDS:
            print(f"| {name} | {n} | {' | '.join(f'{x:.1f}' for x in coverage(truth, n, draws))} |", flush=True)
    print("\n| no effect, four depths | seeds | Welch, one pair | permutation, one pair | trend |\n| --- |"
          + " ---: |" * 4)  # fmt: skip
    for name, null in NULLS.items():
        for n in SEEDS if "ties" not in name else SEEDS[:2]:
            print(f"| {name} | {n} | {' | '.join(f'{x:.1f}' for x in alarms(null, n, draws))} |", flush=True)


if __name__ == "__main__":
    main()
