"""Many tests of one claim: Holm's adjustment, and a fixed sequence that tests the most telling hypotheses first."""

import math
from collections.abc import Sequence

import numpy as np

SEQUENCE_SHARE = 0.8
"""Part of the level that the fixed sequence has; the other part tests all pairs whatever the sequence says."""


def holm(p_values: Sequence[float]) -> list[float]:
    """(m,) -> (m,) p-values adjusted by Holm's step-down rule (Holm, 1979, Scand. J. Statist. 6).

    A NaN, a test that was planned and couldn't be made, stays NaN and counts as the largest: a cell without seeds
    never makes the other tests easier.
    """
    p = np.asarray(p_values, dtype=float)
    planned = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(planned, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty_like(planned)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(planned[order] * factors))
    return [float(value) for value in np.where(np.isnan(p), np.nan, adjusted)]


def fixed_sequence(
    trend: float, pairs: Sequence[float], alone: Sequence[float], ends: int
) -> tuple[float, list[float]]:
    """Adjust the tests of an architecture's depths: the trend first, then the outermost pair, then the other pairs.

    A fallback procedure (Wiens and Dmitrienko, 2005, J. Biopharm. Stat. 15). The trend has `SEQUENCE_SHARE` of the
    level; where it is significant the outermost pair inherits that, and where this is significant too, the other pairs
    are tested by Holm's rule at the whole level. The rest of the level tests all pairs by Holm's rule whatever the
    trend says, so that a rise after a fall, which has no trend, can be shown. The probability of any false rejection
    stays below the level (the two routes to the outermost pair add up, and the events of the second route to another
    pair are a part of those of the first).

    Args:
        trend: p-value of the trend; NaN where it can't be tested, which leaves the second route alone.
        pairs: (m,) p-values of the pairs; NaN where one can't be tested.
        alone: (m,) the same for the second route, which no trend supports; a single pair has this one alone.
        ends: position of the outermost pair.

    Returns:
        The adjusted p-values of the trend and of the pairs; NaN stays NaN.
    """
    if len(pairs) == 1:
        return math.nan, list(alone)
    trend_adjusted = min(1.0, trend / SEQUENCE_SHARE)
    in_turn = max(_planned(trend_adjusted), min(1.0, _planned(pairs[ends]) / SEQUENCE_SHARE))
    others = iter(holm([p for place, p in enumerate(pairs) if place != ends]))
    adjusted = []
    for place, everywhere in enumerate(holm(alone)):
        after = in_turn if place == ends else max(in_turn, _planned(next(others)))
        adjusted.append(min(after, everywhere / (1 - SEQUENCE_SHARE), 1.0) if not math.isnan(everywhere) else math.nan)
    return trend_adjusted, adjusted


def _planned(p: float) -> float:
    return 1.0 if math.isnan(p) else p
