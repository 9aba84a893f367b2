"""The chapter on training on from a solution that was built: whether the solver stays at it, leaves it or finds back.

The experiment that He et al. 2015 (arXiv 1512.03385), section 1, leave open: "our current solvers on hand are unable to
find solutions that are comparably good or better than the constructed solution".
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from study.report.figures.continuation import (
    ContinuationData,
    Course,
    Panel,
    continuation_data,
    continuation_drawing,
)
from study.report.tables.writer import Column, Table, count, or_nothing, with_interval
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.interval import Interval
from study.statistics.welch import excess
from study.verdict import selection as c
from study.verdict.findings import METRIC
from study.verdict.text import points

Fate = Literal["stays", "improves", "returns", "leaves", "unclear"]
SHORT: dict[Fate, str] = {
    "stays": "stays",
    "improves": "improves",
    "returns": "leaves, comes back",
    "leaves": "leaves",
    "unclear": "can't be told",
}
AT_SOLUTION = ("stays", "improves", "returns")


class Outcome(NamedTuple):
    """What became of one net that was trained on; errors in percent, means over seeds."""

    panel: Panel
    course: Course
    start: float
    """Of the solution, which is the shallow net's."""
    highest: float
    left_at: float
    """First iteration seen at which the error is above the solution's by more than the smallest effect; NaN if none."""
    final: Interval
    """The last error minus the solution's, in each seed."""
    fate: Fate

    @property
    def name(self) -> str:
        """Which net, from where and at which rate: ``plain-56 built from plain-8, at rate 0.1``."""
        return f"plain-{self.panel.deep} built from plain-{self.panel.shallow}, at rate {self.panel.rate:.3g}"


@chapter("continuation", "Does training stay at a good solution?")
def continuation_chapter(evidence: Evidence) -> Findings | None:
    """Tell what becomes of deep nets that are trained on from a solution; None where none were."""
    data = continuation_data(evidence.rows("continuation"), evidence.runs)
    if data is None:
        return None
    smallest = evidence.smallest_effect
    nets = outcomes(data, c.resolution(evidence.runs, METRIC), smallest)
    ends = [
        f"{net.name}, noise {net.course.noise:g}: {net.course.mean[0]:.2f}% at first, {net.highest:.2f}% at most, "
        f"{net.course.mean[-1]:.2f}% at the end"
        for net in nets
    ]
    drawing = continuation_drawing(data, f"Charts of training error by iteration. {'; '.join(ends)}.")
    return Findings(find_fates(data, nets, evidence.runs, smallest), [drawing], [outcomes_table(nets, smallest)])


def outcomes(data: ContinuationData, resolution: float, smallest: float) -> tuple[Outcome, ...]:
    """Return what became of every net and noise, against the solution of its panel.

    It stays within the smallest effect of the solution, and never was above it by more; or was, and comes back.

    Args:
        data: all panels.
        resolution: what one training image is worth in percent.
        smallest: smallest effect of interest, in points of training error.
    """
    return tuple(
        _outcome(panel, course, panel.own or panel.courses[0], resolution, smallest)
        for panel in data.panels
        for course in panel.courses
    )


def _outcome(panel: Panel, course: Course, base: Course, resolution: float, smallest: float) -> Outcome:
    same = len(base.errors) == len(course.errors)
    start = base.errors[:, 0] if same else np.full(len(course.errors), base.mean[0])
    final = excess(course.errors[:, -1] - start, [0.0], resolution)
    above = course.mean - float(start.mean()) > smallest
    left_at = float(course.iteration[above.argmax()]) if above.any() else np.nan
    fates: dict[str, Fate] = {"more": "leaves", "less": "improves", "no more": "returns" if above.any() else "stays"}
    fate = fates.get(final.direction(smallest), "unclear")
    return Outcome(panel, course, float(start.mean()), float(course.mean.max()), left_at, final, fate)


def find_fates(
    data: ContinuationData, nets: tuple[Outcome, ...], runs: pd.DataFrame, smallest: float
) -> dict[str, Any]:
    """Return what the sentences tell: of nets as built, of the shallow nets beside them and of those with noise.

    Args:
        data: all panels.
        nets: their `outcomes`.
        runs: of one variant, for the rates and the errors of the nets trained from scratch.
        smallest: smallest effect of interest, in points of training error.
    """
    built = [net for net in nets if net.course.noise == 0]
    noisy = [[net for net in nets if net.panel is panel and net.course.noise > 0] for panel in data.panels]
    resolution = c.resolution(runs, METRIC)
    return {
        "built": built,
        "by_fate": {fate: [net for net in built if net.fate == fate] for fate in SHORT},
        "own": _own_fates(built, resolution, smallest),
        "noisy": [_by_end(panel) for panel in noisy if panel],
        "noises": {
            noise: [net.fate in AT_SOLUTION for net in nets if net.course.noise == noise]
            for noise in data.noises
            if noise > 0
        },
        "scratch": _from_scratch(built, runs, resolution),
        "smallest": smallest,
        "percent": percent,
    }


def _own_fates(built: list[Outcome], resolution: float, smallest: float) -> dict[str, list[Panel]]:
    """Return the panels whose shallow nets, trained on in the same way, keep their error, lose it, or may do either."""
    fates: dict[str, list[Panel]] = {"stays": [], "leaves": [], "unclear": []}
    for net in built:
        own = net.panel.own
        if own is not None:
            direction = excess(own.errors[:, -1] - own.errors[:, 0], [0.0], resolution).direction(smallest)
            fate = {"no more": "stays", "less": "stays", "more": "leaves"}.get(direction, "unclear")
            fates[fate].append(net.panel)
    return fates


def _by_end(nets: list[Outcome]) -> dict[str, Any]:
    """Return a panel's nets with noise by where they end: back at the solution, above it, or undecided."""
    ends = {
        "back": [net for net in nets if net.fate in AT_SOLUTION],
        "away": [net for net in nets if net.fate == "leaves"],
        "open": [net for net in nets if net.fate == "unclear"],
    }
    rises = sorted(net.final.estimate for net in ends["away"])
    return {"name": nets[0].name, "ends": ends, "rises": (rises[0], rises[-1]) if rises else None}


def _from_scratch(built: list[Outcome], runs: pd.DataFrame, resolution: float) -> dict[str, Any] | None:
    """Compare the best end from the solution with training from scratch, of the deepest net that was trained so."""
    known = [net for net in built if len(net.panel.trained)]
    if not known:
        return None
    deep = max(net.panel.deep for net in known)
    best = min((net for net in known if net.panel.deep == deep), key=lambda net: float(net.course.mean[-1]))
    rates = runs.loc[(runs["architecture"] == "plain") & (runs["depth"] == deep), "lr"].dropna()
    more = excess(best.panel.trained, best.course.errors[:, -1], resolution)
    return {"panel": best.panel, "rates": [f"{rate:.3g}" for rate in sorted(set(rates))], "more": more}


def outcomes_table(nets: tuple[Outcome, ...], smallest: float) -> Table:
    """Return what became of every net, rate and noise."""
    rows = [
        {
            "net": f"plain-{net.panel.shallow}",
            "built": f"plain-{net.panel.deep}",
            "lr": net.panel.rate,
            "noise": net.course.noise,
            "solution": net.start,
            "first": net.course.mean[0],
            "highest": net.highest,
            "left_at": net.left_at,
            "last": net.course.mean[-1],
            "iterations": int(net.course.iteration[-1]),
            "difference": net.final.estimate,
            "low": net.final.low,
            "high": net.final.high,
            "seeds": net.final.seeds,
            "moved": net.course.moved,
            "not_finite": len(net.course.stopped),
            "fate": net.fate,
        }
        for net in nets
    ]
    columns = [
        Column("Net", ("net", "built"), "{} as {}".format),
        Column("Rate", "lr", "{:.3g}".format),
        Column("Noise", "noise", "{:g}".format),
        Column("First error (%)", "first", points),
        Column("Highest (%)", "highest", points),
        Column("Above the solution from iteration", "left_at", count),
        Column("Last (%)", "last", points),
        Column("Last minus solution (points)", ("difference", "low", "high", "seeds"), with_interval(points)),
        Column("Weights moved (% of their norm)", "moved", or_nothing(percent)),
        Column("Training", "fate", SHORT.__getitem__),
    ]
    return Table.of("continuation", pd.DataFrame(rows), columns, smallest=smallest)


def percent(share: float) -> str:
    """Write a share as percent with two digits at least: ``0.31``, ``310``."""
    return f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.2g}"
