"""The chapter on overfitting: whether a deep plain net errs on test images though it has learned its own."""

from typing import NamedTuple

import pandas as pd

from study.report.figures.overfitting import overfitting_drawing
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.interval import Interval
from study.statistics.welch import difference_in_percent
from study.verdict import selection as c

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


@chapter("overfitting", "Is it overfitting?")
def overfitting_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether the deepest plain net errs by overfitting; None without two plain nets that have a test error."""
    changes = find_changes(evidence.runs)
    if changes is None:
        return None
    return Findings(changes._asdict(), [overfitting_drawing(evidence.runs, changes.gap, changes.shallow)])


def find_changes(runs: pd.DataFrame) -> Changes | None:
    """Compare the deepest plain net with the shallower one of the least mean test error; None without both.

    A net too small for its images is worse in everything, and would hide what depth does.
    """
    plain = c.with_gap(runs[runs["architecture"] == "plain"]).dropna(subset=list(ERRORS))
    *shallower, deep = c.depths(plain) or [0]
    if not shallower:
        return None
    shallow = min(shallower, key=lambda depth: float(c.values(plain, depth, "final_test_error").mean()))
    test, train, gaps = (
        difference_in_percent(
            c.values(plain, deep, key),
            c.values(plain, shallow, key),
            c.resolution(plain, key),
            most=200.0 if key == "generalisation_gap" else 100.0,
        )
        for key in ERRORS
    )
    gap = float(c.values(plain, shallow, "generalisation_gap").mean())
    nets = {depth: c.net_name(plain, "plain", depth) for depth in (shallow, deep)}
    return Changes(nets[shallow], nets[deep], gap, test, train, gaps)
