"""Where the curve of error against depth turns: at the least error, and where the first net loses by its depth."""

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

import pandas as pd

from study.verdict import selection as c
from study.verdict.edges import NO_SLACK, Slack
from study.verdict.pairs import Pair
from study.verdict.rule import Failures, Rule, Tests, not_harmless, shown_by


class Turn(NamedTuple):
    """The depth of least mean error, and what is beyond doubt about the others."""

    depth: int
    net: str
    error: float
    """Mean over its seeds, in percent."""
    equal: tuple[str, ...]
    """Shallower nets with the same mean."""
    deeper: tuple[str, ...]
    """All deeper nets: none if the least error is the deepest net's, and the curve doesn't turn."""
    tested: tuple[str, ...]
    """Deeper nets that could be tested against it."""
    worse: tuple[str, ...]
    """Deeper nets that are worse beyond doubt."""
    shallower_worse: tuple[str, ...]
    """Shallower nets that are worse beyond doubt: up to here depth helps."""


class Reach(NamedTuple):
    """How deep the nets of an architecture go without loss of training error."""

    depth: int
    net: str
    """The deepest net up to which there is none."""
    worse: tuple[str, ...]
    """Deeper nets that are shown to be worse than a shallower one."""
    edge: tuple[str, ...]
    """Those that would be, if a rate beyond the edge of their search could not be better."""
    undecided: tuple[str, ...]
    """The other deeper nets."""

    @property
    def endless(self) -> bool:
        """Whether it is the deepest net that was trained."""
        return not (self.worse or self.edge or self.undecided)


def turn(counted: pd.DataFrame, planned: Mapping[int, str], pairs: Sequence[Pair], metric: str) -> Turn | None:
    """Return where the curve of an architecture turns; None where fewer than two depths have a result.

    Of equal means the deepest counts: up to there depth does no harm. Beyond doubt is what
    `Pair.worse` and `Pair.better` say: their adjustment is over all pairs, which holds for any pair, also for those
    with a net that is chosen for its least error.
    """
    results = {depth: c.values(counted, depth, metric) for depth in sorted(planned)}
    means = {depth: float(errors.mean()) for depth, errors in results.items() if len(errors)}
    if len(means) < 2:
        return None
    least = min(means.values())
    same = [depth for depth, mean in means.items() if math.isclose(mean, least, abs_tol=1e-9)]
    depth = same[-1]
    tested = [pair.deep_net for pair in pairs if pair.shallow == depth and not math.isnan(pair.p_worse)]
    worse = [pair.deep_net for pair in pairs if pair.shallow == depth and pair.worse]
    return Turn(
        depth=depth,
        net=planned[depth],
        error=least,
        equal=tuple(planned[other] for other in same[:-1]),
        deeper=tuple(planned[other] for other in means if other > depth),
        tested=tuple(tested),
        worse=tuple(worse),
        shallower_worse=tuple(pair.shallow_net for pair in pairs if pair.deep == depth and pair.better),
    )


def reach(tests: Tests, failures: Mapping[int, Failures], rule: Rule, slack: Slack) -> Reach | None:
    """Return how deep the nets of an architecture go without loss, whatever better rates would bring.

    From the shallowest on, a net is without loss if the 95% interval of its difference from every shallower one ends
    below the smallest effect; the first that isn't ends that. Such a fixed sequence needs no adjustment (Westfall and
    Krishen, 2001, J. Stat. Plan. Inference 99), and up to the deepest net it is what the rule calls not seen.

    None where that can't be said: of one seed, where a run up to there failed, and where no test tells any net.
    """
    not_without = {deep for _, deep in not_harmless(tests, rule, slack)}
    significant, worse = ({deep for _, deep in shown_by(tests, rule, loose)} for loose in (NO_SLACK, slack))
    within = list(takewhile(lambda depth: depth not in not_without, tests.seeds))
    told = len(within) > 1 or worse
    if not told or min(tests.seeds.values()) < 2 or any(failures[depth].failed for depth in within):
        return None
    deeper = {depth: net.net for depth, net in failures.items() if depth > within[-1]}
    return Reach(
        depth=within[-1],
        net=failures[within[-1]].net,
        worse=tuple(net for depth, net in deeper.items() if depth in worse),
        edge=tuple(net for depth, net in deeper.items() if depth in significant - worse),
        undecided=tuple(net for depth, net in deeper.items() if depth not in significant),
    )
