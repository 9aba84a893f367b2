"""Every shallow net against every deeper one of its architecture, with Holm's adjustment inside the architecture."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from study.statistics.interval import Interval
from study.statistics.power import seeds_needed
from study.statistics.resampling import Bootstrap, Permutation, bootstrap_interval, permutation_test
from study.statistics.superiority import probability_of_superiority
from study.statistics.welch import Equivalence, difference, equivalence, holm
from study.verdict.selection import resolution, values, with_gap

ALPHA = 0.05


class Pair(NamedTuple):
    """A deep net against a shallow one; a positive difference means that the deep net errs more.

    The verdict rests on `difference` and `p_holm`; the other statistics are shown beside them.
    """

    variant: str
    architecture: str
    metric: str
    shallow: int
    deep: int
    shallow_net: str
    deep_net: str
    difference: Interval
    p_holm: float
    bootstrap: Bootstrap
    permutation: Permutation
    probability: Interval
    equivalence: Equivalence
    needed: int | None
    """Least seeds a net that would settle an undecided pair; None of a decided one and of one without a spread."""

    def worse(self, smallest: float) -> bool:
        """Tell whether the deep net is shown to err more, by the smallest effect at least."""
        return self.p_holm < ALPHA and self.difference.estimate >= smallest

    def harmless(self, smallest: float) -> bool:
        """Tell whether it is excluded that the deep net errs more by the smallest effect."""
        return self.difference.high < smallest

    def record(self) -> dict[str, Any]:
        """Return the fields as verdict.json and the table of pairs have them: a probability has no p-value."""
        probability = {key: value for key, value in self.probability.record().items() if key != "p"}
        return self._asdict() | {"probability": probability}


def pairs(
    cells: pd.DataFrame, planned: Mapping[int, str], metric: str, smallest: float, *, others: Sequence[float] = ()
) -> list[Pair]:
    """Compare all depths of one architecture in one variant.

    `planned` are the depths, with their nets' names, that the study has runs of, ended or not: a pair that can't be
    tested yet still counts in Holm's adjustment. So do `others`, the p-values of further tests of the same claim.
    `smallest` is the smallest effect of interest, in points.
    """
    if cells.empty:
        return []
    cells, step = with_gap(cells), resolution(cells, metric)
    couples = list(combinations(sorted(planned), 2))
    seeds = [(values(cells, deep, metric), values(cells, shallow, metric)) for shallow, deep in couples]
    changes = [difference(*both, step) for both in seeds]
    adjusted = holm([*(change.p for change in changes), *others])[: len(changes)]
    first = cells.iloc[0]
    out = []
    for (shallow, deep), both, change, p in zip(couples, seeds, changes, adjusted, strict=True):
        pair = Pair(
            variant=str(first["variant"]),
            architecture=str(first["architecture"]),
            metric=metric,
            shallow=shallow,
            deep=deep,
            shallow_net=planned[shallow],
            deep_net=planned[deep],
            difference=change,
            p_holm=p,
            bootstrap=bootstrap_interval(*both),
            permutation=permutation_test(*both),
            probability=probability_of_superiority(*both),
            equivalence=equivalence(*both, smallest, step),
            needed=None,
        )
        if not pair.worse(smallest) and not pair.harmless(smallest):
            tests = len(couples) + len(others)
            pair = pair._replace(needed=seeds_needed(*both, smallest, step, tests=tests))
        out.append(pair)
    return out
