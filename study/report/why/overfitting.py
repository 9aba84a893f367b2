"""The chapter on overfitting: whether a deep plain net errs on test images though it has learned its own."""

import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from study.report.figures import overfitting as figure
from study.report.figures.drawing import Picture
from study.report.figures.style import COLUMN
from study.report.why.chapter import Chapter, Evidence
from study.report.why.drawing import make_picture
from study.statistics.interval import Interval
from study.statistics.welch import difference
from study.verdict import selection as c
from study.verdict.text import interval, points

ERRORS = ("final_test_error", "final_train_error", "generalisation_gap")


class Changes(NamedTuple):
    """What changes from a shallow plain net to the deepest, in points."""

    shallow: str
    deep: str
    gap: float
    """Of the shallow one."""
    test: Interval
    train: Interval
    gaps: Interval


def overfitting_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell whether the deepest plain net's test error is one of overfitting; None without two that have a test error.

    Args:
        evidence: of which the runs are used.
        folder: where figures go.
    """
    changes = find_changes(evidence.runs)
    if changes is None:
        return None
    data = figure.errors_data(evidence.runs, changes.gap, changes.shallow)
    picture = _picture(data, evidence, folder)
    said = (_errors(changes), _gap(changes))
    return Chapter("overfitting", "Is it overfitting?", said, (picture,))


def find_changes(runs: pd.DataFrame) -> Changes | None:
    """Compare the deepest plain net with the shallower one of the least mean test error; None without both.

    A net too small for its images is worse in everything, and would hide what depth does.
    """
    plain = c.with_gap(runs[runs["architecture"] == "plain"]).dropna(subset=list(ERRORS))
    known = c.depths(plain)
    if len(known) < 2:
        return None
    deep = known[-1]
    shallow = min(known[:-1], key=lambda depth: float(c.values(plain, depth, "final_test_error").mean()))
    found = [
        difference(c.values(plain, deep, key), c.values(plain, shallow, key), c.resolution(plain, key))
        for key in ERRORS
    ]
    names = [c.net_name(plain, "plain", depth) for depth in (shallow, deep)]
    return Changes(names[0], names[1], float(c.values(plain, shallow, "generalisation_gap").mean()), *found)


def _errors(changes: Changes) -> str:
    """Say whether training error rises with test error."""
    test, train = changes.test, changes.train
    text = f"From {changes.shallow}, the best of the shallower plain nets on test images, to {changes.deep} test error "
    text += f"changes by {_points(test)} and training error by {_points(train)}: "
    if math.isnan(test.low) or math.isnan(train.low):
        return f"{text}one seed can't tell whether the deeper net overfits."
    if test.high <= 0:
        return f"{text}the deeper net isn't worse on test images, and there is nothing to explain."
    if test.low <= 0:
        return f"{text}whether the deeper net is worse on test images can't be told."
    if train.low > 0:
        return f"{text}both rise, and what is worse on its own training images isn't overfitting."
    if train.high < 0:
        return f"{text}it is better on its own training images and worse on others, which is overfitting."
    return f"{text}whether it's worse on its own training images too can't be told, nor whether it overfits."


def _gap(changes: Changes) -> str:
    """Say whether the gap between the errors widens, as it would with overfitting."""
    gaps = changes.gaps
    text = f"The gap between the two errors, {points(changes.gap)} points in {changes.shallow}, changes by "
    text += f"{_points(gaps)}: "
    if math.isnan(gaps.low) or gaps.low <= 0 <= gaps.high:
        return f"{text}whether it widens, as it would by overfitting, can't be told."
    if gaps.low > 0:
        return f"{text}it widens, as it would by overfitting."
    return f"{text}it narrows, where overfitting would widen it."


def _points(one: Interval) -> str:
    if math.isnan(one.low):
        return f"{points(one.estimate)} points (too few seeds for an interval)"
    bounds = interval(one.estimate, one.low, one.high)
    return f"{points(one.estimate, one.low, one.high)} points (95% interval {bounds})"


def _picture(data: figure.ErrorsData, evidence: Evidence, folder: Path) -> Picture:
    count = sum(len(train) for _, _, train, _ in data.nets)
    caption = (
        f"Final test error against final training error (clean images, evaluation mode), a mark a run, {count} runs; "
        "deeper nets are darker, residual ones hollow. Overfitting would move a net up, away from the line of equal "
        f"errors, beyond the broken line of the gap of {data.gap_of}; what isn't learned moves it along."
    )
    caption += " The axes are linear up to 1% and logarithmic above." if data.compressed else ""
    cells = [
        f"{kind} {depth} layers {train.mean():.2f}% and {test.mean():.2f}%" for kind, depth, train, test in data.nets
    ]
    alt = f"Chart of test error against training error. Means of training and test error: {', '.join(cells)}."
    size = {"height": 3.9, "width": 1.3 * COLUMN}
    texts = ("Test error against training error", caption, alt)
    return make_picture(evidence, folder, "overfitting", texts, partial(figure.draw_errors, data), data.frame(), **size)
