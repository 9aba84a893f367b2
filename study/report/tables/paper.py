"""Errors in the form of the paper's Tables 2, 3 and 6 and beside them, where data set and net are the paper's own."""

import math
from typing import Any, NamedTuple

import pandas as pd

from study.report.metrics import FINAL_ERRORS, axis
from study.report.paper import Figure, Split, dataset_of, load_paper, shortcut_of, unlike_paper
from study.report.tables.writer import BOUNDS, NOTHING, Column, Table, count, number, variant_column
from study.statistics.interval import Interval, mean_percent
from study.statistics.welch import difference_in_percent
from study.verdict import selection as c

SPLITS: tuple[Split, ...] = ("train", "test")
OPTIONS = ("none", "A", "B", "C")
VIEWS = {"center": "centre", "ten-crop": "ten crops", "multi-scale": "five scales"}
"""What a test error is of, as tables say it."""
SIGNS = {"above": ">", "below": "<"}
COMPARED = (
    "The paper's figures are those of He et al. 2015 (arXiv 1512.03385). Differences are ours minus the paper's, with "
    "a 95% t interval from the spread of our seeds alone, as most of the paper's figures are of one run."
)
AVERAGED = "Where there are several views of an image, their probabilities are averaged."
READ_OFF = "Numbers read off come from the pixels of a figure; the error of reading is given in points."
PAPER_COLUMNS = ("error", "sd", "runs", "best", "bound", "measure", "reading", "low", "high", "place")
"""Of a figure, in the CSV."""


class Cell(NamedTuple):
    """The runs of one net that count, their error, and the paper's figure for that net, if it has one."""

    variant: str
    runs: pd.DataFrame
    column: str
    """Of the error."""
    mean: Interval
    best: float
    measure: str
    """Views of an image, as a recipe's `test_views` names them."""
    figure: Figure | None

    @property
    def first(self) -> "pd.Series[Any]":
        """The first run."""
        return self.runs.iloc[0]

    @property
    def difference(self) -> tuple[float, float, float]:
        """Ours minus the paper's in points, and its 95% t interval from the spread of our seeds alone.

        Only where the paper's figure is a number of the same measure, so that a difference means something; else NaN.
        """
        if self.figure is None or self.figure.bound != "exact" or self.figure.measure != self.measure:
            return math.nan, math.nan, math.nan
        paper = self.figure.error
        return self.mean.estimate - paper, self.mean.low - paper, self.mean.high - paper

    @property
    def figure_text(self) -> str:
        """The paper's error: with its spread where it has one, and with what makes it unlike ours."""
        figure = self.figure
        if figure is None:
            return NOTHING
        text = f"{figure.error:.2f}" if figure.bound == "exact" else f"{SIGNS[figure.bound]} {figure.error:g}"
        text += f" ± {figure.sd:.2f} ({figure.runs})" if figure.sd is not None else ""
        text += f", best {figure.best:.2f}" if figure.best is not None else ""
        text += f", read off ±{figure.reading:g}" if figure.reading is not None else ""
        return text + (f", {VIEWS[figure.measure]}" if figure.measure != self.measure else "")

    def numbers(self) -> dict[str, Any]:
        """Return the columns of a CSV file on the paper."""
        figure = self.figure.model_dump() if self.figure else {}
        given = {f"paper_{key}": figure.get(key) for key in PAPER_COLUMNS}
        return given | dict(zip(("difference", "difference_low", "difference_high"), self.difference, strict=True))


BESIDE = (
    Column("Paper (%)", "cell", lambda cell: cell.figure_text),
    Column("Ours minus paper (points)", "cell", lambda cell: signed(*cell.difference)),
    Column("Place", "cell", lambda cell: cell.figure.place if cell.figure else NOTHING),
)


def cells_of(runs: pd.DataFrame, split: Split) -> list[Cell]:
    """Return the cells whose runs count, plain nets first, shallow ones first."""
    groups = c.counted(runs).groupby(["variant", "architecture", "depth"], sort=False)
    return [cell_of(str(key[0]), group, split) for key, group in groups]


def cell_of(variant: str, runs: pd.DataFrame, split: Split) -> Cell:
    """Set the final error of one net's runs, (seeds,) rows, beside the paper's.

    A test error is that which is nearest to the paper's: over several views, where the recipe asks for them and all
    runs have it; else that of the centre.
    """
    column, measure = f"final_{split}_error", "center"
    views = set(runs["test_views"]) if split == "test" and "test_views" in runs else set()
    if len(views) == 1 and views <= {*VIEWS} - {"center"} and runs["final_test_error_views"].notna().all():
        column, measure = "final_test_error_views", str(views.pop())
    first = runs.iloc[0]
    data = dataset_of(first)
    figure = load_paper().find(data, str(first["net"]), shortcut_of(first), split, measure) if data else None
    best = float(runs[column].min())
    return Cell(variant, runs, column, mean_percent(c.unit_means(runs, column)), best, measure, figure)


def _last(runs: pd.DataFrame) -> str:
    """Return how captions begin that tell errors."""
    units = c.units(c.counted(runs))
    return f"Mean ± standard deviation over {units} (number of {units}) of the error after the last iteration"


def two_decimals(mean: float, sd: float, n: int) -> str:
    """Write a mean over seeds with the two decimals of the paper: ``8.75 ± 0.21 (5)``."""
    if n == 0:
        return NOTHING
    return f"{mean:.2f} (1)" if n == 1 else f"{mean:.2f} ± {sd:.2f} ({n})"


def signed(estimate: float, low: float, high: float) -> str:
    """Write a difference with its sign, and its interval where it has one."""
    if math.isnan(estimate):
        return NOTHING
    middle, low, high = (round(value, 2) + 0.0 for value in (estimate, low, high))  # 0.0: no -0.00
    text = f"{middle:+.2f}" if middle else "0.00"
    return text if math.isnan(low) else f"{text} ({low:.2f} to {high:.2f})"


def _mean_column(heading: str, name: str) -> Column:
    return Column(heading, [f"{name}_{part}" for part in ("estimate", "sd", "n")], two_decimals)


def _mean_numbers(name: str, mean: Interval) -> dict[str, float | str]:
    return {f"{name}_{part}": value for part, value in mean.record().items()}


def errors_table(runs: pd.DataFrame) -> Table:
    """Return test errors by net in the form of Table 6, with the paper's where data set and net are its own."""
    cells = cells_of(runs, "test")
    text = (
        f"Test error by net, as in Table 6 of the paper. {_last(runs)}, on the test images, and the least error of "
        "a seed, for itself alone. "
    )
    centre = {cell.measure for cell in cells} == {"center"}
    text += "The net sees one view of each image, its centre." if centre else AVERAGED
    return _errors_table("errors", "final_test_error", text, cells)


def training_errors_table(runs: pd.DataFrame) -> Table:
    """Return final training errors beside the ends of Figure 6's curves; no row where the study has no such net."""
    cells = cells_of(runs, "train")
    text = (
        f"Training error by net, beside the ends of the curves in Figure 6 of the paper. {_last(runs)}, on the whole "
        "training split, clean images, evaluation mode. The paper doesn't say how it measures training error: its "
        "curves look like a noisy part of the training images."
    )
    cells = cells if any(cell.figure for cell in cells) else []
    return _errors_table("training-errors", "final_train_error", text, cells)


def _errors_table(name: str, error: str, text: str, cells: list[Cell]) -> Table:
    test, compared = name == "errors", any(cell.figure for cell in cells)
    numbers = pd.DataFrame(
        [
            {
                "variant": cell.variant,
                "net": cell.first["net"],
                "architecture": cell.first["architecture"],
                "depth": int(cell.first["depth"]),
                "parameters": cell.first["parameters"],
                "measure": cell.measure,
                **_mean_numbers(error, cell.mean),
                "best": cell.best,
                **(cell.numbers() if compared else {}),
            }
            for cell in cells
        ]
    )
    columns = [*variant_column(numbers), Column("Net", "net"), Column(axis("depth"), "depth")]
    if test:
        columns.append(Column(axis("parameters"), "parameters", count))
        columns += _views_column("measure", cells)
    columns.append(_mean_column(axis(error), error))
    columns += [Column("Best seed (%)", "best", number(".2f"))] if test else []
    columns += BESIDE if compared else ()
    return Table.of(name, _errors_caption(text, cells), numbers, columns, {"cell": cells})


def _views_column(key: str, cells: list[Cell]) -> list[Column]:
    """Return the column of views of an image, where some error is of others than the centre."""
    other = any(cell.measure != "center" for cell in cells)
    return [Column("Views", key, lambda views: VIEWS.get(views, ""))] if other else []


def _errors_caption(text: str, cells: list[Cell]) -> str:
    """Return a caption with what has to be known of the paper's figures, where there are any."""
    figures = [(cell, cell.figure) for cell in cells if cell.figure]
    lost = sum(int((cell.runs["outcome"] == "diverged").sum()) for cell in cells)
    if lost:
        text += f" Diverged runs ({lost}) count with the error of guessing."
    if not figures:
        return text
    parts = [text, COMPARED]
    if any(figure.best is not None for _, figure in figures):
        parts.append("Where the paper has several runs, their mean is what ours is compared with, never the best one.")
    if any(figure.reading is not None for _, figure in figures):
        parts.append(READ_OFF)
    if any(figure.measure != cell.measure for cell, figure in figures):
        parts.append("Where the paper's error is of other views than ours, which are named, no difference is given.")
    return " ".join([*parts, unlike_paper(cell.runs for cell, _ in figures)])


def differences_table(runs: pd.DataFrame) -> Table:
    """Return plain and residual errors of each depth that has both, and residual minus plain; training error first."""
    counted_runs, rows, pairs = c.counted(runs), [], []
    for variant in c.variants(counted_runs):
        nets = c.of_variant(counted_runs, variant)
        for depth in c.depths(nets):
            both = [nets[(nets["architecture"] == kind) & (nets["depth"] == depth)] for kind in ("plain", "residual")]
            if not any(net.empty for net in both):
                for split in SPLITS:
                    pairs.append([cell_of(variant, net, split) for net in both])
                    rows.append({"variant": variant, "depth": depth, **_difference_numbers(pairs[-1], split)})
    numbers, cells = pd.DataFrame(rows), [cell for pair in pairs for cell in pair]
    compared = [cell for cell in cells if cell.figure]
    columns = [
        *variant_column(numbers),
        Column(axis("depth"), "depth"),
        Column(axis("error"), "error", FINAL_ERRORS.__getitem__),
        *_views_column("views", [residual for _, residual in pairs]),
        _mean_column("Plain", "plain"),
        _mean_column("Residual", "residual"),
        Column("Residual minus plain", [f"residual_minus_plain_{part}" for part in BOUNDS], signed),
    ]
    if compared:
        columns += [
            Column("Paper: plain", "cells", lambda pair: pair[0].figure_text),
            Column("Paper: residual", "cells", lambda pair: pair[1].figure_text),
            Column("Paper: difference", "paper_residual_minus_plain", lambda d: signed(d, math.nan, math.nan)),
        ]
    text = (
        f"Plain against residual nets by depth, as in Table 2 of the paper. {_last(runs)}, with the difference of the "
        "means in points and its 95% interval (Welch's). Training error is of the whole training split, clean "
        "images, in evaluation mode."
    )
    if compared:
        text += " The paper's figures are those of He et al. 2015 (arXiv 1512.03385)."
        text += f" {READ_OFF}" if any(cell.figure and cell.figure.reading is not None for cell in compared) else ""
        text += f" {unlike_paper(cell.runs for cell in compared)}"
    return Table.of("plain-residual", text, numbers, columns, {"cells": pairs})


def _difference_numbers(pair: list[Cell], split: Split) -> dict[str, Any]:
    """Return the row of the CSV file on a plain and a residual net."""
    plain, residual = pair
    resolution = c.resolution(pd.concat([plain.runs, residual.runs]), plain.column)
    a, b = (c.unit_means(net.runs, net.column) for net in (residual, plain))
    ours = difference_in_percent(a, b, resolution)
    row: dict[str, Any] = {"error": f"final_{split}_error", "views": residual.measure if split == "test" else ""}
    row |= _mean_numbers("plain", plain.mean) | _mean_numbers("residual", residual.mean)
    for part in (*BOUNDS, "p"):
        row[f"residual_minus_plain_{part}"] = getattr(ours, part) if plain.measure == residual.measure else math.nan
    figures = {"plain": plain.figure, "residual": residual.figure}
    for name, figure in figures.items():
        row |= {f"paper_{name}": figure.error if figure else math.nan, f"paper_{name}_place": figure and figure.place}
    exact = all(figure is not None and figure.bound == "exact" for figure in figures.values())
    same = exact and len({figure.measure for figure in figures.values() if figure}) == 1
    row["paper_residual_minus_plain"] = row["paper_residual"] - row["paper_plain"] if same else math.nan
    return row


def shortcuts_table(runs: pd.DataFrame) -> Table:
    """Return a row a net and option, plain nets first in each depth; no row where the study has one option only."""
    pairs = [
        (train, test)
        for train, test in zip(cells_of(runs, "train"), cells_of(runs, "test"), strict=True)
        if test.first["architecture"] in ("plain", "residual")
    ]
    pairs.sort(key=lambda pair: (c.plain_variant(pair[1].variant), int(pair[1].first["depth"]), _rank(pair[1])))
    if len({shortcut_of(test.first) for _, test in pairs} - {"none"}) < 2:
        pairs = []
    tests = [test for _, test in pairs]
    compared = [test.runs for test in tests if test.figure]
    numbers = pd.DataFrame(
        [
            {
                "variant": c.plain_variant(test.variant),
                "net": test.first["net"],
                "depth": int(test.first["depth"]),
                "option": shortcut_of(test.first),
                "parameters": test.first["parameters"],
                "multiply_adds": test.first["multiply_adds"],
                **_mean_numbers("final_train_error", train.mean),
                **_mean_numbers("final_test_error", test.mean),
                "views": test.measure,
                **test.numbers(),
            }
            for train, test in pairs
        ]
    )
    columns = [
        *variant_column(numbers),
        Column("Net", "net"),
        Column("Shortcut", "option"),
        Column(axis("parameters"), "parameters", count),
        Column(axis("multiply_adds"), "multiply_adds", count),
        _mean_column(axis("final_train_error"), "final_train_error"),
        _mean_column(axis("final_test_error"), "final_test_error"),
        *_views_column("views", tests),
        *(BESIDE if compared else ()),
    ]
    text = (
        f"Options of the shortcut, as in Table 3 of the paper. {_last(runs)}. A (section 3.3 of the paper) pads with "
        "zeros and has no parameters, B projects where the size changes, C projects everywhere; none is a plain net."
    )
    if compared:
        text += f" {COMPARED} They are of test errors. {unlike_paper(compared)}"
    return Table.of("shortcuts", text, numbers, columns, {"cell": tests})


def _rank(cell: Cell) -> int:
    option = shortcut_of(cell.first)
    return OPTIONS.index(option) if option in OPTIONS else len(OPTIONS)
