"""The chapter on shattered gradients: whether those of deep plain nets resemble white noise, before and after training.

Balduzzi et al. 2017, "The Shattered Gradients Problem" (arXiv 1702.08591).
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from study.report.figures.shattering import shattering_drawing
from study.report.moments import label, moments_of
from study.report.tables.writer import NOTHING, Table
from study.report.text import write
from study.report.why.chapter import Chapter, Evidence
from study.report.why.comparison import deepest_pair
from study.statistics.interval import Interval, mean_interval
from study.statistics.welch import ROUNDING, difference
from study.verdict import selection as c
from study.verdict.text import number


def shattering_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell how gradients at neighbouring points decorrelate with depth; None where it wasn't measured.

    Args:
        evidence: with the table `shattering`.
        folder: where figures go.
    """
    rows = evidence.at_moments("shattering")
    drawing = shattering_drawing(rows) if len(rows) else None
    if drawing is None:
        return None
    near = rows[rows["lag"] == 1]
    heading = ("shattering", "Are gradients shattered?")
    sentences = write("why/shattering", **findings(near), distance=float(near["distance"].mean()))
    return evidence.chapter(folder, heading, sentences, [drawing], [half_table(near)])


def findings(near: pd.DataFrame) -> dict[str, Any]:
    """Return how alike gradients of neighbouring points are at the first moment and the last, and what changed.

    Args:
        near: rows of the table `shattering` of the smallest distance, with their `moment`.
    """
    first, last = moments_of(near)[0], moments_of(near)[-1]
    known = near[near["autocorrelation"].notna()]
    start, end = known[known["moment"] == first], known[known["moment"] == last]
    starts = [_by_depth(near, start[start["architecture"] == kind]) for kind in c.architectures(start)]
    ends = [_later(near, end[end["architecture"] == kind], first, last) for kind in c.architectures(end)]
    pair = deepest_pair(start)
    return {
        "first": first,
        "last": last,
        "starts": starts,
        "pair": pair,
        "contrast": difference(_seeds(start, pair[1]), _seeds(start, pair[0]), ROUNDING) if pair else None,
        "ends": ends if last > first else [],
    }


def _seeds(known: pd.DataFrame, net: str) -> "pd.Series[float]":
    return known.loc[known["net"] == net, "autocorrelation"]


def _mean(values: "pd.Series[float]") -> Interval:
    """Return the mean with its interval, which ends at 1, as autocorrelations do."""
    mean = mean_interval(values)
    return mean._replace(high=min(mean.high, 1.0)) if mean.high > 1 else mean


def _by_depth(near: pd.DataFrame, start: pd.DataFrame) -> dict[str, Any]:
    """Return the means of an architecture's shallowest and deepest net, how they differ, and that of white noise."""
    depths, kind = c.depths(start), str(start["architecture"].iloc[0])
    shallow, deep = (c.net_name(start, kind, depth) for depth in (depths[0], depths[-1]))
    fall = difference(_seeds(start, deep), _seeds(start, shallow), ROUNDING) if len(depths) > 1 else None
    return {
        "shallow": (shallow, _mean(_seeds(start, shallow))) if len(depths) > 1 else None,
        "deep": (deep, _mean(_seeds(start, deep))),
        "fall": fall if fall and not math.isnan(fall.low) else None,
        "white": float(near.loc[near["net"] == deep, "white"].mean()),
    }


def _later(near: pd.DataFrame, end: pd.DataFrame, first: float, last: float) -> dict[str, Any]:
    """Return the mean of an architecture's deepest net at the last moment, and its change since the first."""
    net = str(end.loc[end["depth"] == end["depth"].max(), "net"].iloc[0])
    runs = near[near["net"] == net].pivot_table(index="run_id", columns="moment", values="autocorrelation")
    change = mean_interval(runs[last] - runs[first]) if first in runs else None
    return {"net": net, "mean": _mean(runs[last]), "change": change if change and not math.isnan(change.low) else None}


def half_table(near: pd.DataFrame) -> Table:
    """Return the autocorrelation of neighbouring points and the distance at which it has fallen to a half."""
    shown, numbers = [], []
    for kind in c.architectures(near):
        for depth in c.depths(near[near["architecture"] == kind]):
            net = c.net_name(near, kind, depth)
            cells = {"Net": net}
            for moment in moments_of(near):
                row, texts = _cell(near[(near["net"] == net) & (near["moment"] == moment)])
                numbers.append({"net": net, "moment": moment, **row})
                cells |= {f"{head}, {label(moment)}": text for head, text in texts.items()}
            shown.append(cells)
    caption = (
        "Autocorrelation of gradients at neighbouring points, and the distance, as a share of the line, at which it "
        "falls to a half: medians over seeds (number of seeds). Neighbours are "
        f"{number(float(near['distance'].mean()))} of a line apart, so that a shorter distance is an upper bound."
    )
    return Table("shattering", caption, pd.DataFrame(numbers), pd.DataFrame(shown))


def _cell(rows: pd.DataFrame) -> tuple[dict[str, float], dict[str, str]]:
    known = rows[rows["autocorrelation"].notna()]
    if known.empty:
        return {"seeds": 0}, {"Neighbours": NOTHING, "Half at": NOTHING}
    neighbours, half, step = (float(known[key].median()) for key in ("autocorrelation", "half_distance", "distance"))
    where = f"< {number(step)}" if half < step else number(half) if math.isfinite(half) else "nowhere"
    numbers = {"seeds": float(len(known)), "autocorrelation": neighbours, "half_distance": half}
    return numbers, {"Neighbours": f"{round(neighbours, 2) + 0.0:.2f} ({len(known)})", "Half at": where}
