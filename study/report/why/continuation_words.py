"""Whether training stays at a solution that was built, leaves it, or comes back: the numbers and the sentences."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from study.report.figures.continuation import ContinuationData, Course, Panel
from study.report.tables.results import count
from study.statistics.interval import Interval
from study.statistics.welch import excess
from study.verdict import selection as c
from study.verdict.rule import METRIC
from study.verdict.text import grounds, listed, more_or_less, points

Fate = Literal["stays", "improves", "returns", "leaves", "unclear"]
FATES: dict[Fate, str] = {
    "stays": "stays there",
    "improves": "improves on it",
    "returns": "leaves it and comes back",
    "leaves": "leaves it and doesn't come back",
    "unclear": "can't be said to end there or not",
}
MOST_ITEMS = 4
"""Nets that a sentence tells one by one."""
FEW = 2
"""Nets that the sentences after it do."""


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
    fate = _fate(final, smallest, left=bool(above.any()))
    return Outcome(panel, course, float(start.mean()), float(course.mean.max()), left_at, final, fate)


def _fate(final: Interval, smallest: float, *, left: bool) -> Fate:
    way = final.direction(smallest)
    if way == "more":
        return "leaves"
    if way == "less":
        return "improves"
    if way == "no more":
        return "returns" if left else "stays"
    return "unclear"


def sentences(
    data: ContinuationData, found: tuple[Outcome, ...], runs: pd.DataFrame, smallest: float
) -> tuple[str, ...]:
    """Say what becomes of nets as built, of the shallow nets beside them and of those with noise.

    Args:
        data: all panels.
        found: their `outcomes`.
        runs: of one variant, for the rates and the errors of the nets trained from scratch.
        smallest: smallest effect of interest, in points of training error.
    """
    built = [one for one in found if one.course.noise == 0]
    resolution = c.resolution(runs, METRIC)
    out = (_built(built, smallest), _own(built, resolution, smallest), _noise(data, found))
    return tuple(text for text in (*out, _scratch(built, runs, resolution, smallest)) if text)


def _built(built: list[Outcome], smallest: float) -> str:
    """Say of nets as built whether training stays there, those of one fate together."""
    if not built:
        return ""
    parts = []
    for fate, words in FATES.items():
        mine = [one for one in built if one.fate == fate]
        if len(mine) > MOST_ITEMS:
            rates = sorted({one.panel.rate for one in mine})
            span = f"{rates[0]:.3g}" if len(rates) == 1 else f"{rates[0]:.3g} to {rates[-1]:.3g}"
            parts.append(f"it {words} in {len(mine)} of {len(built)} cases (rates {span})")
        elif mine:
            parts.append(f"it {words} in {listed([f'{one.name} ({_course(one)})' for one in mine])}")
    said = "; ".join(parts).replace("it ", "SGD ", 1)
    single = "; one seed a net, so no intervals" if all(one.final.seeds == 1 for one in built) else ""
    return f"Trained on from the solution (where {smallest:g} points count as the same), {said}{single}."


def _course(one: Outcome) -> str:
    """Write what the error did: ``0.00% as built, above it from iteration 10 on, 90.0% at most, 0.15% after 160``."""
    parts = [f"{points(one.start)}% as built"]
    if not np.isnan(one.left_at) and one.fate != "stays":
        parts.append(f"above it from iteration {count(one.left_at)} on, {points(one.highest)}% at most")
    parts.append(f"{points(float(one.course.mean[-1]))}% after {count(float(one.course.iteration[-1]))}")
    if one.fate in ("stays", "improves") and not np.isnan(one.course.moved):
        parts.append(f"weights moved by {percent(one.course.moved)}% of their norm")
    if one.course.stopped:
        parts.append(f"the loss stopped being finite in {len(one.course.stopped)} of {len(one.course.errors)}")
    return ", ".join(parts if one.final.seeds == 1 else [*parts, grounds(one.final)])


def _own(built: list[Outcome], resolution: float, smallest: float) -> str:
    """Compare with the shallow nets trained on in the same way."""
    ways: dict[str, list[str]] = {"stays": [], "leaves": [], "unclear": []}
    for one in built:
        own = one.panel.own
        if own is not None:
            final = excess(own.errors[:, -1] - own.errors[:, 0], [0.0], resolution)
            way = final.direction(smallest)
            fate = "stays" if way in ("no more", "less") else "leaves" if way == "more" else "unclear"
            errors = f"{points(float(own.mean[0]))}% before, {points(float(own.mean[-1]))}% after"
            ways[fate].append(f"plain-{one.panel.shallow} at rate {one.panel.rate:.3g} ({errors})")
    total = sum(map(len, ways.values()))
    lost = {one.fate for one in built} & {"leaves", "returns", "unclear"}
    parts = []
    if ways["stays"]:
        so = ": the rate alone doesn't drive a net away" if lost else ""
        parts.append(f"keeps its error in {_some(ways['stays'], total)}{so}")
    if ways["leaves"]:
        parts.append(
            f"loses its own solution in {_some(ways['leaves'], total)}: such a rate is too high for the shallow net too"
        )
    if ways["unclear"]:
        parts.append(f"may or may not keep its error in {_some(ways['unclear'], total)}")
    return f"The shallow net itself, trained on in the same way, {'; it '.join(parts)}." if parts else ""


def _some(items: list[str], total: int) -> str:
    if len(items) <= FEW:
        return listed(items)
    return f"all {total} cases" if len(items) == total else f"{len(items)} of {total} cases"


def _noise(data: ContinuationData, found: tuple[Outcome, ...]) -> str:
    """Say from which noise training finds the solution again."""
    parts = []
    for panel in data.panels:
        mine = [one for one in found if one.panel is panel and one.course.noise > 0]
        if mine:
            back = [one for one in mine if one.fate in ("stays", "improves", "returns")]
            away = [one for one in mine if one.fate == "leaves"]
            open_ = [one for one in mine if one.fate == "unclear"]
            told = [f"at the solution from noise {_noises(back)}"] if back else []
            told += (
                [f"above {'it' if back else 'the solution'} from noise {_noises(away)} ({_spread(away)})"]
                if away
                else []
            )
            told += [f"where it can't be told from noise {_noises(open_)}"] if open_ else []
            parts.append(f"{mine[0].name}, ends {listed(told)}")
    if not parts:
        return ""
    if len(parts) > FEW:
        counts = [_count(noise, found) for noise in data.noises if noise > 0]
        return f"With noise on the inserted blocks, training ends at the solution or below in {listed(counts)}."
    return f"With noise on the inserted blocks, {'; '.join(parts)}."


def _count(noise: float, found: tuple[Outcome, ...]) -> str:
    mine = [one.fate in ("stays", "improves", "returns") for one in found if one.course.noise == noise]
    return f"{sum(mine)} of {len(mine)} cases from noise {noise:g}"


def _noises(some: list[Outcome]) -> str:
    return listed([f"{one.course.noise:g}" for one in some])


def _spread(some: list[Outcome]) -> str:
    least, most = (f(one.final.estimate for one in some) for f in (min, max))
    text = points(least, most) if least == most else f"{points(least, most)} to {points(most, least)}"
    return f"{text} points"


def _scratch(built: list[Outcome], runs: pd.DataFrame, resolution: float, smallest: float) -> str:
    """Compare the best end from the solution with training from scratch."""
    known = [one for one in built if len(one.panel.trained)]
    if not known:
        return ""
    deep = max(one.panel.deep for one in known)
    best = min((one for one in known if one.panel.deep == deep), key=lambda one: float(one.course.mean[-1]))
    found = excess(best.panel.trained, best.course.errors[:, -1], resolution)
    mine = runs[(runs["architecture"] == "plain") & (runs["depth"] == deep)]
    rates = listed([f"{rate:.3g}" for rate in sorted(set(mine["lr"].dropna()))]) if mine["lr"].notna().any() else ""
    verdict = {
        "more": "training from scratch doesn't find what training from a built start does",
        "rather more": f"more, though whether by more than {smallest:g} points can't be told",
        "no more": "a built start is of no help in the end",
        "less": "training from scratch ends better",
        "unclear": "whether a built start helps can't be told",
    }[found.direction(smallest)]
    at = f" at rate {rates}" if rates else ""
    return (
        f"From scratch{at} plain-{deep} ends at {points(float(best.panel.trained.mean()))}%, {more_or_less(found)} "
        f"than from the solution built from plain-{best.panel.shallow} ({grounds(found)}): {verdict}"
        f"{', as far as one seed can tell' if np.isnan(found.low) else ''}."
    )


def percent(share: float) -> str:
    """Write a share as percent with two digits at least: ``0.31``, ``310``."""
    return f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.2g}"
