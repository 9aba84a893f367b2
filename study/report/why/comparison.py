"""Which nets a chapter compares with each other, and whether what was measured of them differs."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.statistics.interval import Interval
from study.statistics.welch import difference
from study.verdict import selection as c

Values = NDArray[np.float64]


class Comparison(NamedTuple):
    """What was measured of two nets, a value a seed, (seeds,)."""

    net: str
    other: str
    values: Values
    others: Values
    difference: Interval
    """Of the means, with Welch's interval."""
    clear: float
    """Least difference that counts where there is no interval."""

    @property
    def direction(self) -> int:
        """1 where the first net's mean is higher, -1 where it is lower, 0 where the seeds don't decide."""
        estimate, low, high = self.difference[:3]
        if math.isnan(low):
            return int(math.copysign(1, estimate)) if abs(estimate) >= self.clear else 0
        return 1 if low > 0 else -1 if high < 0 else 0

    @property
    def single(self) -> bool:
        """Whether each net has one seed."""
        return len(self.values) == len(self.others) == 1


def compare(
    frame: pd.DataFrame, pair: tuple[str, str], column: str, clear: float, resolution: float = 0.1
) -> Comparison:
    """Compare a column of two nets' rows, one a seed; values that aren't numbers are left out.

    Args:
        frame: rows with their `net`.
        pair: the names of both nets.
        column: what is compared, in percent or points.
        clear: least difference that counts where a net has one seed.
        resolution: what values are rounded to at best: what another sample of images or points changes.
    """
    values, others = (_finite(frame.loc[frame["net"] == net, column]) for net in pair)
    return Comparison(*pair, values, others, difference(values, others, resolution), clear)


def _finite(column: "pd.Series[float]") -> Values:
    values = np.asarray(column, dtype=np.float64)
    return values[np.isfinite(values)]


def deepest_pair(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the names of the plain and the residual net of the greatest depth that both have."""
    plain, residual = ({*c.depths(frame[frame["architecture"] == kind])} for kind in ("plain", "residual"))
    if not plain & residual:
        return None
    depth = max(plain & residual)
    return c.net_name(frame, "plain", depth), c.net_name(frame, "residual", depth)


def plain_ends(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the names of the deepest and the shallowest plain net, where there are two."""
    depths = c.depths(frame[frame["architecture"] == "plain"])
    if len(depths) < 2:
        return None
    return c.net_name(frame, "plain", depths[-1]), c.net_name(frame, "plain", depths[0])
