"""How often the verdict is right: made-up studies of known truth, judged by the rule.

    OMP_NUM_THREADS=1 python bench/verdicts.py [--draws 1000] [--seeds 2 3 5 10]

A study has plain nets of four depths. Its training errors are drawn from a known distribution, clipped to 0 and 100,
and given to the verdict's own functions as those of 5,000 images. The table is Markdown: for each truth and
number of seeds, the share of studies in which degradation is shown, not seen or refuted, in percent. The smallest
effect is 0.5 points; a run that ends at 80% or more has failed. Where the true rise of no pair is above the smallest
effect, "shown" is false; where some rise or rate of failures is, "refuted" is false. A share near 5% over 1,000 draws
is known to 1.4 points (two standard errors). With more than ten seeds there are a tenth as many draws: the trend's
p-value is then that of drawn deals, which take a second.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from study.verdict.rule import Failures, Rule, decide, run_tests

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], list[Array]]
DEPTHS = (8, 20, 32, 56)
IMAGES = 5000
FAILED = 80.0


class Truth(NamedTuple):
    """What errors are drawn from, and what a study of it must not say."""

    name: str
    draw: Draw
    """(generator, seeds) -> the errors of each depth, (seeds,) each."""
    false: str
    """The status that is false; empty where `shown` and `refuted` could both be right."""
    seeds: tuple[int, ...] = ()
    """Numbers of seeds, where not those of the command line."""


def normal(means: Sequence[float], spreads: Sequence[float]) -> Draw:
    """Return normal errors."""
    return lambda random, n: [random.normal(mean, sd, n) for mean, sd in zip(means, spreads, strict=True)]


def failing(shares: Sequence[float], level: float, spread: float) -> Draw:
    """Return nets that end near `level`, but for a share of seeds that end near guessing."""
    return lambda random, n: [
        np.where(random.random(n) < share, random.normal(89, 1, n), random.normal(level, spread, n)) for share in shares
    ]


def heavy_tailed(random: np.random.Generator, n: int) -> list[Array]:
    """Return errors with Student's t of two degrees of freedom."""
    return [20 + random.standard_t(2, n) for _ in DEPTHS]


def skewed(random: np.random.Generator, n: int) -> list[Array]:
    """Return errors of equal means whose upper tails grow with depth."""
    return [5 + scale * (random.exponential(1, n) - 1) for scale in (0.2, 0.5, 1, 4)]


def one_diverged(random: np.random.Generator, n: int) -> list[Array]:
    """Return equal nets, a random one of which has one diverged seed."""
    cells = [random.normal(5, 0.2, n) for _ in DEPTHS]
    cells[random.integers(len(cells))][0] = 90
    return cells


def one_missing(random: np.random.Generator, n: int) -> list[Array]:
    """Return equal nets, a random one of which lacks a seed."""
    cells = [random.normal(5, 0.2, n) for _ in DEPTHS]
    lacking = random.integers(len(cells))
    cells[lacking] = cells[lacking][1:]
    return cells


ALIKE = (1.0, 1.0, 1.0, 1.0)
TRUTHS = (
    Truth("no effect, equal spreads of 1", normal((10, 10, 10, 10), ALIKE), "shown"),
    Truth("no effect, spreads 1, 1, 2, 4", normal((20, 20, 20, 20), (1, 1, 2, 4)), "shown"),
    Truth("no effect, spreads 0.1 to 8", normal((30, 30, 30, 30), (0.1, 0.5, 2, 8)), "shown"),
    Truth("no effect, only the shallowest spreads", normal((30, 30, 30, 30), (8, 0.1, 0.1, 0.1)), "shown"),
    Truth("no effect, heavy tails", heavy_tailed, "shown"),
    Truth("no effect, tails that grow with depth", skewed, "shown"),
    Truth("no effect, every net fails in 10% of seeds", failing((0.1,) * 4, 5, 0.2), "shown"),
    Truth("no effect, every net fails in 30%", failing((0.3,) * 4, 5, 0.2), "shown"),
    Truth("no effect, every net fails in 50%", failing((0.5,) * 4, 5, 0.2), "shown"),
    Truth("no effect, one seed diverged", one_diverged, "shown"),
    Truth("no effect, one seed missing", one_missing, "shown"),
    Truth("a rise of 0.3, spread 0.1", normal((5, 5.1, 5.2, 5.3), (0.1,) * 4), "shown"),
    Truth("a rise of 0.45, spread 0.1", normal((5, 5.15, 5.3, 5.45), (0.1,) * 4), "shown"),
    Truth("a rise of 0.5, spread 0.1", normal((5, 5, 5, 5.5), (0.1,) * 4), "shown"),
    Truth("a rise of 0.6, spread 0.1", normal((5, 5.2, 5.4, 5.6), (0.1,) * 4), "refuted"),
    Truth("a rise of 1, spread 0.1", normal((5, 5.3, 5.6, 6), (0.1,) * 4), "refuted"),
    Truth("a rise of 1, spread 1", normal((5, 5.3, 5.6, 6), ALIKE), "refuted"),
    Truth("a rise of 3, spread 1", normal((5, 6, 7, 8), ALIKE), "refuted"),
    Truth("a rise of 10, spreads 1 to 4", normal((5, 6, 9, 15), (1, 1, 2, 4)), "refuted"),
    Truth("a rise of 50, spreads 0.1 to 15", normal((0.3, 3, 20, 54), (0.1, 1, 8, 15)), "refuted"),
    Truth("a fall, then a rise of 6, spread 0.5", normal((8, 2, 4, 8), (0.5,) * 4), "refuted"),
    Truth("the deepest fails in 10% of seeds", failing((0, 0, 0, 0.1), 0, 0.01), "refuted", (3, 5, 10, 29)),
    Truth("the deepest fails in 30%", failing((0, 0, 0, 0.3), 0, 0.01), "refuted", (3, 5, 10, 29)),
    Truth("no effect and no failure, all at 0", failing((0, 0, 0, 0), 0, 0.01), "shown", (3, 5, 10, 29)),
)


def statuses(truth: Truth, seeds: int, draws: int) -> Counter[str]:
    """Return how often each status comes out."""
    random, rule, out = np.random.default_rng(seeds), Rule(), Counter[str]()
    for _ in range(draws):
        errors = [np.clip(cell, 0, 100) for cell in truth.draw(random, seeds)]
        cells = dict(zip(DEPTHS, errors, strict=True))
        failures = {
            depth: Failures(f"plain-{depth}", int((cell >= FAILED).sum()), len(cell)) for depth, cell in cells.items()
        }
        tests = run_tests(cells, failures, rule.smallest_effect, 100 / IMAGES)
        out[decide(tests, failures, rule)[0]] += 1
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 10])
    args = parser.parse_args()
    print("| truth | false | seeds | shown | not seen | refuted | inconclusive |\n| --- | --- |" + " ---: |" * 5)
    for truth in TRUTHS:
        for seeds in truth.seeds or args.seeds:
            draws = args.draws if seeds <= 10 else args.draws // 10
            seen = statuses(truth, seeds, draws)
            shares = (100 * seen[status] / draws for status in ("shown", "not seen", "refuted", "inconclusive"))
            print(f"| {truth.name} | {truth.false} | {seeds} | {' | '.join(f'{x:.1f}' for x in shares)} |", flush=True)


if __name__ == "__main__":
    main()
