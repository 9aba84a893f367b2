"""What a value's variance comes from: its group, such as a split of the images, and chance within the group."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from study.statistics.interval import clean


class Components(NamedTuple):
    """Standard deviations of a one-way model with random groups; NaN where they can't be had."""

    between: float
    """Of the groups' true means; 0 where they differ no more than by chance."""
    within: float
    """Of the values of a group."""
    share: float
    """Part of a single value's variance that groups make, the intraclass correlation; NaN where nothing varies."""


def variance_components(groups: Sequence[ArrayLike]) -> Components:
    """Return how values, (groups,) of (values,), vary between groups and within them, by the method of moments.

    Mean squares of the one-way analysis of variance are set equal to their expectations (Searle, Casella and McCulloch,
    1992, Variance Components, section 3.6), for groups of unequal sizes too; a negative variance is 0. Fewer than two
    groups, or no group of two values: NaN.
    """
    cleaned = [group for group in map(clean, groups) if len(group)]
    sizes = np.array([len(group) for group in cleaned], dtype=np.float64)
    total, count = sizes.sum(), len(cleaned)
    if count < 2 or total == count:
        return Components(math.nan, math.nan, math.nan)
    means = np.array([group.mean() for group in cleaned])
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in cleaned) / float(total - count)
    of_means = float(sizes @ (means - sizes @ means / total) ** 2) / (count - 1)
    typical = float(total - (sizes**2).sum() / total) / (count - 1)  # size of a group; their mean where all are equal
    between = max(0.0, (of_means - within) / typical)
    share = between / (between + within) if between + within > 0 else math.nan
    return Components(math.sqrt(between), math.sqrt(within), share)
