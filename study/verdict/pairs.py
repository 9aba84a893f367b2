"""Every shallow net against every deeper one of its architecture: the rule's tests with all that is shown beside."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from study.statistics.interval import Interval
from study.statistics.multiplicity import SEQUENCE_SHARE
from study.statistics.power import seeds_needed
from study.statistics.resampling import Bootstrap, Permutation, bootstrap_interval, permutation_test
from study.statistics.superiority import probability_of_superiority
from study.statistics.welch import Equivalence, equivalence
from study.verdict.rule import ALPHA, Failures, Tests, run_tests
from study.verdict.selection import resolution, unit, values, with_gap


class Pair(NamedTuple):
    """A deep net against a shallow one; a positive difference means that the deep net errs more.

    The verdict rests on `difference` and `p_worse`; the other statistics are shown beside them.
    """

    variant: str
    architecture: str
    metric: str
    shallow: int
    deep: int
    shallow_net: str
    deep_net: str
    difference: Interval
    error: float
    """Standard error of the difference; NaN with fewer than two seeds of a net."""
    p_worse: float
    """One-sided, of a difference of at most the smallest effect, adjusted by the fixed sequence (`rule.Tests`)."""
    p_better: float
    """The same on the other side, by Holm over all pairs."""
    bootstrap: Bootstrap
    permutation: Permutation
    probability: Interval
    equivalence: Equivalence
    needed: int | None
    """Least seeds a net that would settle an undecided pair; None of a decided one and of one without a spread."""

    @property
    def worse(self) -> bool:
        """Whether the deep net is shown to err more by more than the smallest effect."""
        return self.p_worse < ALPHA

    @property
    def better(self) -> bool:
        """Whether the deep net is shown to err less by more than the smallest effect."""
        return self.p_better < ALPHA

    @property
    def harmless(self) -> bool:
        """Whether the 95% interval ends below the smallest effect."""
        return self.equivalence.p_below < ALPHA / 2

    def record(self) -> dict[str, Any]:
        """Return the fields as verdict.json and the table of pairs have them: a probability has no p-value."""
        probability = {key: value for key, value in self.probability.record().items() if key != "p"}
        return self._asdict() | {"probability": probability}


def compare_depths(
    cells: pd.DataFrame, planned: Mapping[int, str], metric: str, failures: Mapping[int, Failures], smallest: float
) -> tuple[Tests, tuple[Pair, ...]]:
    """Compare all depths of one architecture in one variant.

    `planned` are the depths, with their nets' names, that the study has runs of, ended or not: a pair that can't be
    tested yet still counts in the adjustment. `failures` are the failing runs of each, by depth; `smallest` is the
    smallest effect of interest, in points.
    """
    cells, step = with_gap(cells), resolution(cells, metric)
    seeds = {depth: values(cells, depth, metric) for depth in sorted(planned)}
    tests = run_tests(seeds, failures, smallest, step, most=200.0 if metric == "generalisation_gap" else 100.0)
    if cells.empty:
        return tests, ()
    first = cells.iloc[0]
    out = []
    for (shallow, deep), difference in tests.differences.items():
        both = seeds[deep], seeds[shallow]
        pair = Pair(
            variant=str(first["variant"]),
            architecture=str(first["architecture"]),
            metric=metric,
            shallow=shallow,
            deep=deep,
            shallow_net=planned[shallow],
            deep_net=planned[deep],
            difference=difference._replace(unit=unit(cells)),
            error=tests.errors[shallow, deep],
            p_worse=tests.worse[shallow, deep],
            p_better=tests.better[shallow, deep],
            bootstrap=bootstrap_interval(*both),
            permutation=permutation_test(*both),
            probability=probability_of_superiority(*both),
            equivalence=equivalence(*both, smallest, step),
            needed=None,
        )
        if not pair.worse and not pair.harmless:
            pair = pair._replace(needed=seeds_needed(*both, smallest, step, level=_level(tests, (shallow, deep))))
        out.append(pair)
    return tests, tuple(out)


def _level(tests: Tests, couple: tuple[int, int]) -> float:
    """Return the level of a couple's test, if the trend is significant, at the first step of Holm's rule."""
    if len(tests.differences) == 1:
        return ALPHA
    return ALPHA * SEQUENCE_SHARE if couple == tests.ends else ALPHA / (len(tests.differences) - 1)
