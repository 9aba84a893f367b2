"""The chapter on overfitting: whether a deep plain net errs on test images though it has learned its own."""

from typing import Any

import pandas as pd

from study.report.figures.overfitting import overfitting_drawing
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.welch import difference_in_percent
from study.verdict import selection as c

ERRORS = {"test": "final_test_error", "train": "final_train_error", "gaps": "generalisation_gap"}


@chapter("overfitting", "Is it overfitting?")
def overfitting_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether the deepest plain net errs by overfitting; None without two plain nets that have a test error."""
    changes = find_changes(evidence.runs)
    if changes is None:
        return None
    return Findings(changes, [overfitting_drawing(evidence.runs, changes["gap"], changes["shallow"])])


def find_changes(runs: pd.DataFrame) -> dict[str, Any] | None:
    """Return what changes from the shallower plain net of the least mean test error to the deepest; None without both.

    The names of both, the `gap` of the shallow one, and changes of `test` and `train` error and of the `gaps`, in
    points. A net too small for its images is worse in everything, and would hide what depth does.
    """
    plain = c.with_gap(runs[runs["architecture"] == "plain"]).dropna(subset=list(ERRORS.values()))
    *shallower, deep = c.depths(plain) or [0]
    if not shallower:
        return None
    shallow = min(shallower, key=lambda depth: float(c.values(plain, depth, "final_test_error").mean()))
    changes = {
        name: difference_in_percent(
            c.values(plain, deep, key),
            c.values(plain, shallow, key),
            c.resolution(plain, key),
            most=200.0 if key == "generalisation_gap" else 100.0,
        )
        for name, key in ERRORS.items()
    }
    gap = float(c.values(plain, shallow, "generalisation_gap").mean())
    ends = {"shallow": shallow, "deep": deep}
    return {name: c.net_name(plain, "plain", depth) for name, depth in ends.items()} | {"gap": gap, **changes}
