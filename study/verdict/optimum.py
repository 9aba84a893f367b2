"""Where the curve of error against depth turns: the depth of least mean training error, and which nets are worse."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from study.verdict import selection as c
from study.verdict.pairs import Pair


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
