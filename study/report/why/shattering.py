"""The chapter on shattered gradients: whether those of deep plain nets resemble white noise, before and after training.

Balduzzi et al. 2017, "The Shattered Gradients Problem" (arXiv 1702.08591).
"""

import math
from typing import Any

import pandas as pd

from study.report.figures.shattering import shattering_drawing
from study.report.moments import label, moments_of
from study.report.tables.writer import Column, Table, or_nothing, wide_table
from study.report.why.chapter import Evidence, Findings, chapter
from study.report.why.comparison import deepest_pair
from study.statistics.interval import Interval, mean_interval
from study.statistics.welch import ROUNDING, difference
from study.verdict import selection as c
from study.verdict.text import number


@chapter("shattering", "Are gradients shattered?")
def shattering_chapter(evidence: Evidence) -> Findings | None:
    """Tell how gradients at neighbouring points decorrelate with depth; None where it wasn't measured."""
    rows = evidence.at_moments("shattering")
    drawing = shattering_drawing(rows) if len(rows) else None
    if drawing is None:
        return None
    near = rows[rows["lag"] == 1]
    return Findings(find_decay(near), [drawing], [half_table(near)])


def find_decay(near: pd.DataFrame) -> dict[str, Any]:
    """Return how alike gradients of neighbouring points are at the first moment and the last, and what changed.

    Args:
        near: rows of the table `shattering` of the smallest distance, with their `moment`.
    """
    first, last = moments_of(near)[0], moments_of(near)[-1]
    known = near[near["autocorrelation"].notna()]
    start, end = known[known["moment"] == first], known[known["moment"] == last]
    pair = deepest_pair(start)
    return {
        "first": first,
        "last": last,
        "starts": [_by_depth(near, start[start["architecture"] == kind]) for kind in c.architectures(start)],
        "pair": pair,
        "contrast": difference(_seeds(start, pair[1]), _seeds(start, pair[0]), ROUNDING) if pair else None,
        "ends": [_later(near, end[end["architecture"] == kind], first, last) for kind in c.architectures(end)]
        if last > first
        else [],
        "distance": float(near["distance"].mean()),
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
    rows = []
    for net in c.ordered(near)["net"].unique():
        for moment in moments_of(near):
            seeds = near[(near["net"] == net) & (near["moment"] == moment) & near["autocorrelation"].notna()]
            medians = seeds[["autocorrelation", "half_distance", "distance"]].median()
            rows.append({"net": net, "moment": moment, "seeds": float(len(seeds)), **medians})
    numbers = pd.DataFrame(rows)
    distance = float(near["distance"].mean())
    table = wide_table("shattering", numbers, "moment", _moment_columns, distance=distance)
    return table._replace(numbers=numbers.drop(columns="distance"))


def _moment_columns(moment: float) -> list[Column]:
    return [
        Column(f"Neighbours, {label(moment)}", ("autocorrelation", "seeds"), or_nothing(_median)),
        Column(f"Half at, {label(moment)}", ("distance", "half_distance"), or_nothing(_half)),
    ]


def _median(autocorrelation: float, seeds: float) -> str:
    return f"{round(autocorrelation, 2) + 0.0:.2f} ({seeds:.0f})"


def _half(step: float, half: float) -> str:
    return f"< {number(step)}" if half < step else number(half) if math.isfinite(half) else "nowhere"
