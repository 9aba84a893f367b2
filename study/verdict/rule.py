"""The rule of the verdict: whether depth raises the training error of nets of one architecture.

It is applied to `final_train_error` (whole training split, clean images, evaluation mode), for each architecture:

- shown: some deeper net's mean error exceeds a shallower one's by more than the smallest effect of interest (Welch,
  one-sided, against that effect, adjusted p < 0.05). The hypotheses are tested in a fixed order: whether error rises
  along all depths (Jonckheere-Terpstra, nets of one seed left out), then the deepest against the shallowest net, then
  all other pairs (`statistics.multiplicity`).
- not seen: the 95% interval of every pair ends below the smallest effect (all of several tests must hold, which needs
  no adjustment: Berger, 1982, Technometrics 24).
- refuted: the same, with five seeds a net or more, and so many of them that a deeper net that fails in more than the
  share `rare_failure` of its seeds is excluded (Clopper-Pearson, one-sided 95%: 29 seeds without a failure for 10%).
- inconclusive: all else, with the reason; also where every run failed, since nets that learn nothing cannot differ.

A run fails if it diverged or ends within `FAILURE_MARGIN` points of guessing. Means of few seeds say little of
failures: a net that fails in one seed of ten has none in five seeds in 59% of studies.

Where runs are of several splits of the images, a net's seeds are here its splits, each with the mean of its runs
(`selection.values`); failures are counted by run. Splits aren't paired between nets: that errs to the safe side.

Nothing is compared that was trained differently: other lengths of training or other data withhold the verdict. So does
a tuned rate on the edge of what its search tried, where it could change the conclusion (`edges.Slack`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.config.protocol import Protocol, governing
from study.statistics.interval import Interval
from study.statistics.multiplicity import fixed_sequence, holm
from study.statistics.shares import highest_share, more_often
from study.statistics.trend import Trend, jonckheere
from study.statistics.welch import welch
from study.verdict.edges import NO_SLACK, Slack

Status = Literal["shown", "not seen", "refuted", "inconclusive"]
Reason = Literal[
    "", "one seed", "one depth", "no result", "unequal training", "unequal data", "edge", "guessing", "imprecise"
]
Couple = tuple[int, int]
"""Depths of a shallow and of a deeper net."""

ALPHA = 0.05
LEAST_SEEDS = 5
"""Seeds of each net below which nothing is refuted."""
FAILURE_MARGIN = 10.0
"""Points of error: a run that ends closer to guessing than this has failed."""


@dataclass(frozen=True)
class Rule:
    """What a study sets before its first run: what counts as an effect."""

    smallest_effect: float = 0.5
    """Smallest difference of interest, in points of training error."""
    rare_failure: float = 0.1
    """Share of failing seeds that a refutation must exclude."""

    @classmethod
    def of(cls, protocols: Sequence[Protocol]) -> "Rule":
        """Return the rule that was set before the first result; the default one if none was stored."""
        protocol = governing(protocols)
        return cls() if protocol is None else cls(protocol.smallest_effect, protocol.rare_failure)


@dataclass(frozen=True)
class Failures:
    """How many runs of a net failed."""

    net: str
    failed: int
    seeds: int

    @property
    def highest(self) -> float:
        """Share of failing seeds that isn't excluded, one-sided 95%."""
        return highest_share(self.failed, self.seeds) if self.seeds else 1.0


@dataclass(frozen=True)
class Tests:
    """The tests of one architecture's nets in one metric; a positive difference means that the deep net errs more."""

    __test__ = False  # not a test of pytest's

    seeds: Mapping[int, int]
    """By depth, ascending."""
    trend: Trend
    """Its p is NaN where the order of the depths can't be tested."""
    differences: Mapping[Couple, Interval]
    errors: Mapping[Couple, float]
    """Standard errors of the differences; NaN with fewer than two seeds of a net."""
    worse: Mapping[Couple, float]
    """p-values of a difference of at most the smallest effect, adjusted by the fixed sequence."""
    worse_without_trend: Mapping[Couple, float]
    """The same where the order of the depths shows nothing."""
    better: Mapping[Couple, float]
    """p-values of the deep net not being better by more than the smallest effect, by Holm over the pairs."""

    @property
    def ends(self) -> Couple:
        """The shallowest and the deepest net."""
        depths = list(self.seeds)
        return depths[0], depths[-1]


def run_tests(
    cells: Mapping[int, NDArray[np.float64]],
    failures: Mapping[int, Failures],
    smallest: float,
    resolution: float,
    most: float = 100.0,
) -> Tests:
    """Test every deeper net against every shallower one, and the order of all depths.

    Where a run of a couple failed, few seeds can agree by luck and Welch's test takes that for a small spread. What no
    trend supports must then pass the test of the failures too.

    Args:
        cells: by depth, (seeds,) the values of a metric in percent; a net that has no run yet has an empty one, and
            counts in the adjustment.
        failures: of each net, by depth.
        smallest: smallest effect of interest, in points.
        resolution: what one image is worth, in percent.
        most: largest difference that two values can have, in points.
    """
    cells = dict(sorted(cells.items()))
    results = {(a, b): welch([cells[b], cells[a]], [1.0, -1.0], resolution) for a, b in combinations(cells, 2)}
    above = {couple: result.p_above(smallest) for couple, result in results.items()}
    alone = {couple: max(p, _p_of_failures(couple, failures)) for couple, p in above.items()}
    better = holm([result.p_below(-smallest) for result in results.values()])
    trend = jonckheere([values for values in cells.values() if len(values) > 1])
    seeds = {depth: len(values) for depth, values in cells.items()}
    ends = list(above).index((min(cells), max(cells)))
    trend_adjusted, worse = fixed_sequence(trend.p, list(above.values()), list(alone.values()), ends)
    _, untrended = fixed_sequence(math.nan, list(above.values()), list(alone.values()), ends)
    return Tests(
        seeds=seeds,
        trend=trend._replace(p_adjusted=trend_adjusted),
        differences={couple: result.interval().within(-most, most) for couple, result in results.items()},
        errors={couple: result.error for couple, result in results.items()},
        worse=dict(zip(results, worse, strict=True)),
        worse_without_trend=dict(zip(results, untrended, strict=True)),
        better=dict(zip(results, better, strict=True)),
    )


def decide(
    tests: Tests, failures: Mapping[int, Failures], rule: Rule, slack: Slack = NO_SLACK
) -> tuple[Status, Reason]:
    """Return what holds for the nets of at least two depths, and the reason where that is open.

    Args:
        tests: of the training error.
        failures: of each net, by depth.
        rule: what counts as an effect.
        slack: by how much nets could err less.
    """
    if shown_by(tests, rule, slack):
        return "shown", ""
    fewest = min(tests.seeds.values())
    if fewest < 2:
        return "inconclusive", "no result" if fewest == 0 else "one seed"
    if not_harmless(tests, rule, slack):
        return "inconclusive", "imprecise"
    if all_failed(failures):
        return "inconclusive", "guessing"
    deeper = [failures[depth] for depth in list(tests.seeds)[1:]]
    enough = fewest >= LEAST_SEEDS and all(net.highest <= rule.rare_failure for net in deeper)
    return ("refuted" if enough else "not seen"), ""


def shown_by(tests: Tests, rule: Rule, slack: Slack = NO_SLACK) -> list[Couple]:
    """Return the couples whose deeper net is shown to be worse, whatever better rates would bring."""
    worse = tests.worse if slack.keeps_order(list(tests.seeds)) else tests.worse_without_trend
    least = rule.smallest_effect
    return [
        couple
        for couple, p in worse.items()
        if p < ALPHA and tests.differences[couple].estimate - slack.of(couple[1]) > least
    ]


def not_harmless(tests: Tests, rule: Rule, slack: Slack = NO_SLACK) -> list[Couple]:
    """Return the couples of which a difference of the smallest effect isn't excluded, whatever rates would bring."""
    return [
        couple
        for couple, difference in tests.differences.items()
        if not difference.high + slack.of(couple[0]) < rule.smallest_effect
    ]


def all_failed(failures: Mapping[int, Failures]) -> bool:
    """Tell whether every run of every net failed; a net without a run aside."""
    runs = sum(net.seeds for net in failures.values())
    return 0 < runs == sum(net.failed for net in failures.values())


def _p_of_failures(couple: Couple, failures: Mapping[int, Failures]) -> float:
    """Return the p-value of the deeper net not failing more often; 0 where no run of the couple failed."""
    shallow, deep = (failures[depth] for depth in couple)
    if shallow.failed + deep.failed == 0:
        return 0.0
    return more_often((deep.failed, deep.seeds), (shallow.failed, shallow.seeds))
