"""The chapter on the loss around nets: whether it is less convex around deep plain nets, and shortcuts mend it."""

import math
from functools import partial
from pathlib import Path

import pandas as pd

from study.report.figures import surface as figure
from study.report.figures.drawing import Picture
from study.report.figures.surface import Slice, SurfaceData
from study.report.metrics import axis
from study.report.tables.results import NOTHING, Table
from study.report.why.drawing import make_picture
from study.report.why.ended import ended
from study.report.why.evidence import Chapter, Evidence
from study.report.why.surface_words import sentences
from study.verdict import selection as c
from study.verdict.text import listed, number


def surface_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell whether the loss bends the wrong way more often around deep plain nets; None where it wasn't measured.

    Args:
        evidence: with the tables `surface`, `surface_summary` and, where there is one, `curvature`.
        folder: where figures go.
    """
    rows, found = ended(evidence, "surface"), ended(evidence, "surface_summary")
    if rows.empty or found.empty:
        return None
    summary = c.ordered(found.assign(nonconvex=100 * found["nonconvex"], basin=100 * found["basin"]))
    classes = int(summary["classes"].iloc[0])
    data = figure.surface_data(rows, classes)
    if data is None:
        return None
    sharp = ended(evidence, "curvature")
    pictures = (_contours(data, evidence, folder), _slices(data, evidence, folder))
    heading = "Is the loss around deep plain nets less convex?"
    return Chapter("surface", heading, sentences(summary, sharp, classes), pictures, (_table(summary, sharp),))


def _contours(data: SurfaceData, evidence: Evidence, folder: Path) -> Picture:
    seeds = sorted({one.seed for one in data.slices})
    caption = (
        "Training loss around trained nets along two random directions, each filter's as long as the filter (Li et "
        f"al. 2018, arXiv 1712.09913, section 4 and Figure 5), at the same contours for all nets. {_rows_note(data)} "
        f"Orange: ln {data.classes} = {data.basin:.2f} nats, the loss of guessing. One seed a net "
        f"({listed([str(seed) for seed in seeds])}), one pair of directions. Losses beyond the scale have the colour "
        "of its ends."
    )
    cells = []
    for statistics in data.statistics:
        for net in data.nets:
            one = data.of(net, statistics)
            if one is not None:
                low, centre = float(pd.Series(one.loss.ravel()).min()), _centre(one)
                share = 100 * float((one.loss < data.basin).mean())
                cells.append(f"{net}, {statistics} statistics: {number(centre, 3)} nats at the centre, lowest "
                             f"{number(low, 3)}, {share:.0f}% of the slice below ln {data.classes}")  # fmt: skip
    alt = f"Contour plots of the training loss. {'; '.join(cells)}."
    rows, columns = len(data.statistics), len(data.nets)
    draw = partial(figure.draw_contours, data)
    width = figure.contours_width(data)
    size = {"rows": rows, "columns": columns, "width": width, "height": figure.contours_height(data)}
    return make_picture(evidence, folder, "surface", ("The loss around nets", caption, alt), draw, data.frame(), **size)


def _rows_note(data: SurfaceData) -> str:
    notes = {"running": "the net's own running statistics, as in the paper's code",
             "batch": "those of the images at each point"}  # fmt: skip
    if len(data.statistics) == 1:
        return f"Batch norms use {notes[data.statistics[0]]}."
    return f"Batch norms use {notes['running']} (above), or {notes['batch']} (below)."


def _centre(one: Slice) -> float:
    return float(one.through[len(one.through) // 2])


def _slices(data: SurfaceData, evidence: Evidence, folder: Path) -> Picture:
    caption = (
        f"Training loss along the first of the two directions, through the net itself (0); plain nets dashed. Dotted: "
        f"ln {data.classes}. One seed a net. The axis is cut at {data.levels[-1]:g} nats."
    )
    cells = [
        f"{one.net}, {one.statistics} statistics: {number(float(one.through[0]), 3)} nats at {one.a[0]:g}, "
        f"{number(_centre(one), 3)} at 0, {number(float(one.through[-1]), 3)} at {one.a[-1]:g}"
        for one in data.slices
    ]
    alt = f"Line chart of the training loss along a direction. {'; '.join(cells)}."
    columns = len(data.statistics)
    size = {"columns": columns, "height": figure.slices_height(data), "sharey": True}
    texts = ("The loss along one direction", caption, alt)
    draw = partial(figure.draw_slices, data)
    return make_picture(evidence, folder, "surface-slice", texts, draw, data.frame(), **size)


def _table(summary: pd.DataFrame, sharp: pd.DataFrame) -> Table:
    """Return a row a run and kind of statistics; the eigenvalue is with running statistics."""
    numbers = summary.drop(columns=["moment"])
    if len(sharp):
        known = sharp[["run_id", "eigenvalue", "residual", "converged"]].assign(statistics="running")
        numbers = numbers.merge(known, on=["run_id", "statistics"], how="left")
    else:
        numbers = numbers.assign(eigenvalue=math.nan, residual=math.nan, converged=False)
    shown = {
        "Net": [f"{row['net']} seed {row['seed']}" for _, row in numbers.iterrows()],
        "Statistics": list(numbers["statistics"]),
        "Loss (nats)": [_cell(value, 3) for value in numbers["loss"]],
        axis("basin"): [_cell(value) for value in numbers["basin"]],
        axis("nonconvex"): [_cell(value) for value in numbers["nonconvex"]],
        axis("minima"): [f"{value:.0f}" for value in numbers["minima"]],
        "Curvature along 1": [_cell(value) for value in numbers["curvature_a"]],
        "Curvature along 2": [_cell(value) for value in numbers["curvature_b"]],
        axis("eigenvalue"): [_eigenvalue(row) for _, row in numbers.iterrows()],
    }
    caption = (
        "The loss around nets in numbers: at the net itself; the share of the slice whose loss is below that of "
        "guessing, and of its points those with a direction of negative curvature; local minima; second derivatives "
        "along the two directions (nats per filter norm squared); and the largest eigenvalue of the Hessian of all "
        "parameters, by power iteration, with running statistics (* not converged)."
    )
    return Table("why-surface", caption, numbers, pd.DataFrame(shown))


def _cell(value: float, digits: int = 2) -> str:
    return NOTHING if pd.isna(value) else number(float(value), digits)


def _eigenvalue(row: "pd.Series[float]") -> str:
    return _cell(row["eigenvalue"], 3) + "*" * (pd.notna(row["eigenvalue"]) and not bool(row["converged"]))
