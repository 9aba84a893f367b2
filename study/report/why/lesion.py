"""The chapter on lesions: whether residual nets depend less on single blocks, and on their order, than plain ones."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from study.report.figures import lesion as figure
from study.report.figures.drawing import Picture
from study.report.figures.layers import left_out
from study.report.figures.lesion import LesionData, Line
from study.report.figures.style import COLUMN, WIDTH
from study.report.tables.results import NOTHING, Table
from study.report.why.drawing import make_picture
from study.report.why.ended import ended
from study.report.why.evidence import Chapter, Evidence
from study.report.why.lesion_words import by_run, sentences
from study.verdict import selection as c
from study.verdict.text import listed, points

RESOLUTION = 0.1
"""Of a mean over blocks and images, in percent."""
SOURCE = "Veit et al. 2016, arXiv 1605.06431"


def lesion_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell what single blocks and their order are worth; None where it wasn't measured.

    Args:
        evidence: with the tables `lesion` and, where there is one, `reordering`.
        folder: where figures go.
    """
    rows, orders = _finite(ended(evidence, "lesion")), _finite(ended(evidence, "reordering"))
    if rows.empty and orders.empty:
        return None
    guessing = 100 * (1 - 1 / float(evidence.runs["classes"].dropna().min()))
    data = figure.lesion_data(rows, orders, guessing)
    if data is None:
        return None
    pictures = []
    if data.each:
        pictures.append(_each(data, evidence, folder))
    if data.random or len(data.shuffled):
        pictures.append(_groups(data, evidence, folder))
    heading = "Do nets with shortcuts depend less on each block?"
    said = sentences(rows, orders, RESOLUTION, guessing)
    return Chapter("lesion", heading, said, tuple(pictures), (_table(rows, orders),))


def _finite(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return rows
    kinds = rows["architecture"].isin(["plain", "residual"])
    return c.ordered(rows[kinds & np.isfinite(rows["rise"])])


def _each(data: LesionData, evidence: Evidence, folder: Path) -> Picture:
    seeds = _seeds(data.each)
    caption = (
        f"Rise of the training error when one block is taken out of a trained net, by its place ({SOURCE}, section 4.1 "
        "and Figure 3). Of a residual block the shortcut stays. Ringed: blocks that change the shape of the map, which "
        f"plain nets can't do without. Dotted: the rise to the error of guessing. {seeds}."
    )
    caption += left_out(data.depths, data.all_depths)
    cells = [
        f"{one.net}: mean {points(float(one.mean.mean()))}, largest {points(float(one.mean.max()))} at block "
        f"{one.place[int(one.mean.argmax())]:.0f} of {one.place[-1]:.0f}"
        for one in data.each
    ]
    alt = f"Charts of the rise of error in points without each block. {'; '.join(cells)}."
    panels = len(data.panels)
    draw, texts = partial(figure.draw_each, data), ("What a block is worth", caption, alt)
    size = {"columns": panels, "height": 2.6, "width": WIDTH if panels > 1 else 1.4 * COLUMN, "sharey": True}
    return make_picture(evidence, folder, "lesion", texts, draw, data.frame(), **size)


def _groups(data: LesionData, evidence: Evidence, folder: Path) -> Picture:
    parts, cells = [], []
    if data.random:
        draws = sorted({line.draws for line in data.random})
        parts.append(f"without several blocks drawn at random: mean and range over {listed([str(n) for n in draws])} "
                     f"draws, {_seeds(data.random, 'of').lower()}")  # fmt: skip
        cells += [
            f"{one.net}: {points(one.mean[0])} without {one.place[0]:.0f}, {points(one.mean[-1])} without "
            f"{one.place[-1]:.0f}"
            for one in data.random
        ]
    if len(data.shuffled):
        parts.append("with blocks of one stage swapped: a point a reordering, by Kendall's rank correlation of their "
                     "order with the trained one (1: the same)")  # fmt: skip
        cells += [
            f"{net} in another order: {points(part['rise'].mean())} in the mean, tau from "
            f"{part['kendall_tau'].min():.2f} to {part['kendall_tau'].max():.2f}"
            for net, part in data.shuffled.groupby("net", sort=False)
        ]
    sides = ["left", "right"] if len(parts) > 1 else [""]
    told = "; ".join(f"{side}, {part}" if side else part for side, part in zip(sides, parts, strict=True))
    caption = f"Rise of the training error of trained nets ({SOURCE}, Figure 5): {told}. Plain nets dashed and hollow."
    alt = f"Charts of the rise of error in points. {'; '.join(cells)}."
    size = {"columns": len(parts), "height": 2.8, "width": WIDTH if len(parts) > 1 else 1.4 * COLUMN, "sharey": True}
    draw, texts = partial(figure.draw_groups, data), ("Without several blocks, or their order", caption, alt)
    return make_picture(evidence, folder, "lesion-groups", texts, draw, data.groups_frame(), **size)


def _seeds(lines: tuple[Line, ...], link: str = "") -> str:
    """Say what lines rest on: ``One seed a net``, ``Means over 3 seeds, bands from the lowest to the highest``."""
    counts = {line.seeds for line in lines}
    if counts == {1}:
        return "One seed a net" if not link else "one seed a net"
    many = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f"of {many} seeds" if link else f"Means over {many} seeds, bands from the lowest to the highest"


def _table(rows: pd.DataFrame, orders: pd.DataFrame) -> Table:
    """Return a row a net: what one block is worth in the mean and at most, and another order."""
    each = rows[rows["kind"] == "each"]
    means = by_run(each)
    shuffled = by_run(orders) if len(orders) else pd.DataFrame(columns=["net", "rise"])
    found = []
    for net, part in each.groupby("net", sort=False):
        mine, rises = means[means["net"] == net], part.groupby("block")["rise"].mean()
        found.append({
            "net": net, "seeds": len(mine), "error": mine["whole"].mean(), "blocks": len(rises),
            "mean_rise": mine["rise"].mean(), "median_rise": rises.median(), "largest_rise": rises.max(),
            "needed": rises.idxmax(), "harmless": 100 * float((rises < 1).mean()),
            "reordered": shuffled.loc[shuffled["net"] == net, "rise"].mean(),
        })  # fmt: skip
    numbers = pd.DataFrame(found)
    return Table("why-lesion", CAPTION, numbers, _shown(numbers))


CAPTION = (
    "What a trained net's error, on the images that probes see, rises by without one block, in points: mean and median "
    "over blocks, the largest with its block, the share of blocks that are worth less than a point, and the mean over "
    "reorderings."
)


def _shown(numbers: pd.DataFrame) -> pd.DataFrame:
    if numbers.empty:
        return numbers
    return pd.DataFrame({
        "Net": numbers["net"],
        "Seeds": numbers["seeds"].map(str),
        "Error (%)": numbers["error"].map(points),
        "Blocks": numbers["blocks"].map(str),
        "Mean rise": numbers["mean_rise"].map(points),
        "Median rise": numbers["median_rise"].map(points),
        "Largest rise": [f"{points(row['largest_rise'])} ({row['needed']})" for _, row in numbers.iterrows()],
        "Below a point (%)": numbers["harmless"].map("{:.0f}".format),
        "Reordered": [_or_dash(value) for value in numbers["reordered"]],
    })  # fmt: skip


def _or_dash(value: float) -> str:
    return NOTHING if pd.isna(value) else points(value)
