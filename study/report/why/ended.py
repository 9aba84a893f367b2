"""What a probe measured at the end of training, and which nets' are held against each other."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.moments import END, at_moments
from study.report.why.evidence import Evidence
from study.statistics.interval import Interval
from study.statistics.welch import difference
from study.verdict import selection as c

Values = NDArray[np.float64]


class Against(NamedTuple):
    """A net and one that it's held against, with what a seed of each has, (seeds,)."""

    net: str
    other: str
    values: Values
    others: Values

    def difference(self, resolution: float) -> Interval:
        """Return the difference of means, with Welch's interval."""
        return difference(self.values, self.others, resolution)


def ended(evidence: Evidence, table: str) -> pd.DataFrame:
    """Return a probe's rows at the end of runs that finished; empty where there are none."""
    rows = evidence.rows(table)
    if rows.empty:
        return rows
    rows = at_moments(rows, evidence.runs)
    return rows[rows["moment"] == END].reset_index(drop=True)


def deepest_pair(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the names of the plain and the residual net of the greatest depth that both have."""
    both = [c.depths(frame[frame["architecture"] == kind]) for kind in ("plain", "residual")]
    shared = sorted({*both[0]} & {*both[1]})
    if not shared:
        return None
    return c.net_name(frame, "plain", shared[-1]), c.net_name(frame, "residual", shared[-1])


def plain_ends(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the names of the deepest and the shallowest plain net, where there are two."""
    known = c.depths(frame[frame["architecture"] == "plain"])
    if len(known) < 2:
        return None
    return c.net_name(frame, "plain", known[-1]), c.net_name(frame, "plain", known[0])


def against(frame: pd.DataFrame, net: str, other: str, column: str) -> Against:
    """Hold a column of one net's rows, one a seed, against another's; values that aren't numbers are left out."""
    by_net: Mapping[str, Values] = {name: _finite(frame.loc[frame["net"] == name, column]) for name in (net, other)}
    return Against(net, other, by_net[net], by_net[other])


def _finite(column: "pd.Series[float]") -> Values:
    values = np.asarray(column, dtype=np.float64)
    return values[np.isfinite(values)]
