"""The chapter on training on from a solution that was built: whether the solver stays at it, leaves it or finds back.

The experiment that He et al. 2015 (arXiv 1512.03385), section 1, leave open: "our current solvers on hand are unable to
find solutions that are comparably good or better than the constructed solution".
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from study.report.figures import continuation as figure
from study.report.figures.drawing import Picture
from study.report.figures.style import COLUMN, WIDTH
from study.report.tables.results import NOTHING, Table, count
from study.report.why.chapter import Chapter, Evidence
from study.report.why.continuation_words import Outcome, outcomes, percent, sentences
from study.report.why.drawing import make_picture
from study.verdict import selection as c
from study.verdict.rule import METRIC
from study.verdict.text import interval, points

SOURCE = "He et al. 2015, arXiv 1512.03385, section 1"
SHORT = {"stays": "stays", "improves": "improves", "returns": "leaves, comes back", "leaves": "leaves",
         "unclear": "can't be told"}  # fmt: skip


def continuation_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell what becomes of deep nets that are trained on from a solution; None where none were.

    Args:
        evidence: with the table `continuation`.
        folder: where figures go.
    """
    data = figure.continuation_data(evidence.rows("continuation"), evidence.runs)
    if data is None:
        return None
    found = outcomes(data, c.resolution(evidence.runs, METRIC), evidence.smallest_effect)
    said = sentences(data, found, evidence.runs, evidence.smallest_effect)
    picture = _picture(data, found, evidence, folder)
    heading = "Does training stay at a good solution?"
    return Chapter("continuation", heading, said, (picture,), (outcomes_table(found, evidence.smallest_effect),))


def _picture(
    data: figure.ContinuationData, found: tuple[Outcome, ...], evidence: Evidence, folder: Path
) -> Picture:  # fmt: skip
    counts = {len(course.errors) for panel in data.panels for course in panel.courses}
    seeds = "One seed a line" if counts == {1} else (
        f"Means over {min(counts)}{f' to {max(counts)}' if len(counts) > 1 else ''} seeds, bands from the lowest to "
        "the highest"
    )  # fmt: skip
    caption = (
        f"Training error (all training images, clean, evaluation mode) of deep plain nets built from shallow ones "
        f"({SOURCE}) and trained on by SGD with the study's schedule, whose first rate the title gives: as built, and "
        "with Gaussian noise on the inserted blocks' filters, relative to their norm."
    )
    if any(panel.own is not None for panel in data.panels):
        caption += " Dotted: the shallow net itself, trained on in the same way."
    if any(len(panel.trained) for panel in data.panels):
        caption += " Broken: the deep net trained from scratch in this study, at its end."
    caption += f" {seeds}; the axis of iterations is linear up to 1 and logarithmic above"
    caption += f", that of errors up to {data.linear:g}%." if data.linear else "."
    if any(course.stopped for panel in data.panels for course in panel.courses):
        caption += " Crosses: the loss wasn't finite any more; the net counts with the error of guessing from there on."
    if len(data.drawn) < len(data.panels):
        caption += f" Of {len(data.panels)} nets and rates, {len(data.drawn)} are drawn."
    ends = [
        f"{one.name}, noise {one.course.noise:g}: {one.course.mean[0]:.2f}% at first, {one.highest:.2f}% at most, "
        f"{one.course.mean[-1]:.2f}% at the end"
        for one in found
    ]
    alt = f"Charts of training error by iteration. {'; '.join(ends)}."
    rows, columns = figure.shape(data)
    size = {"rows": rows, "columns": columns, "height": 1.05 + 1.75 * rows, "sharey": True}
    width = WIDTH if columns > 1 else 1.4 * COLUMN
    texts = ("Training on from a solution", caption, alt)
    draw = partial(figure.draw_continuation, data)
    return make_picture(evidence, folder, "continuation", texts, draw, data.frame(), width=width, **size)


def outcomes_table(found: tuple[Outcome, ...], smallest: float) -> Table:
    """Return what became of every net, rate and noise."""
    numbers = pd.DataFrame([
        {"net": f"plain-{one.panel.shallow}", "built": f"plain-{one.panel.deep}", "lr": one.panel.rate,
         "noise": one.course.noise, "solution": one.start, "first": one.course.mean[0], "highest": one.highest,
         "left_at": one.left_at, "last": one.course.mean[-1], "iterations": int(one.course.iteration[-1]),
         "difference": one.final.estimate, "low": one.final.low, "high": one.final.high, "seeds": one.final.seeds,
         "moved": one.course.moved, "not_finite": len(one.course.stopped), "fate": one.fate}
        for one in found
    ])  # fmt: skip
    columns = {
        "Net": [f"plain-{one.panel.shallow} as plain-{one.panel.deep}" for one in found],
        "Rate": [f"{one.panel.rate:.3g}" for one in found],
        "Noise": [f"{one.course.noise:g}" for one in found],
        "First error (%)": [points(float(one.course.mean[0])) for one in found],
        "Highest (%)": [points(one.highest) for one in found],
        "Above the solution from iteration": [count(one.left_at) for one in found],
        "Last (%)": [points(float(one.course.mean[-1])) for one in found],
        "Last minus solution (points)": [_difference(one) for one in found],
        "Weights moved (% of their norm)": [_moved(one.course.moved) for one in found],
        "Training": [SHORT[one.fate] for one in found],
    }
    caption = (
        "Deep plain nets trained on from a solution that was built, and from it with noise: training errors, mean over "
        f"seeds, with the 95% interval of the difference to the solution (number of seeds), which within {smallest:g} "
        "points counts as none."
    )
    return Table("continuation", caption, numbers, pd.DataFrame(columns))


def _difference(one: Outcome) -> str:
    final = one.final
    if np.isnan(final.low):
        return f"{points(final.estimate)} ({final.seeds})"
    value = points(final.estimate, final.low, final.high)
    return f"{value}, {interval(final.estimate, final.low, final.high)} ({final.seeds})"


def _moved(distance: float) -> str:
    return NOTHING if np.isnan(distance) else percent(distance)
