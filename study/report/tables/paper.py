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
    def has_other_views(self) -> bool:
        """Whether the paper's figure is of other views of an image."""
        return self.figure is not None and self.figure.measure != self.measure

    @property
    def difference(self) -> tuple[float, float, float]:
        """Ours minus the paper's in points, and its 95% t interval from the spread of our seeds alone.

        Only where the paper's figure is a number of the same measure, so that a difference means something; else NaN.
        """
        if self.figure is None or self.figure.bound != "exact" or self.has_other_views:
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
        return text + (f", {VIEWS[figure.measure]}" if self.has_other_views else "")

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


def _units(runs: pd.DataFrame) -> str:
    return c.units(c.counted(runs))


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
    other_views = any(cell.measure != "center" for cell in cells)
    return _errors_table("errors", "final_test_error", cells, _units(runs), other_views=other_views)


def training_errors_table(runs: pd.DataFrame) -> Table:
    """Return final training errors beside the ends of Figure 6's curves; no row where the study has no such net."""
    cells = cells_of(runs, "train")
    cells = cells if any(cell.figure for cell in cells) else []
    return _errors_table("training-errors", "final_train_error", cells, _units(runs))


def _errors_table(name: str, error: str, cells: list[Cell], units: str, **values: Any) -> Table:
    compared = [cell for cell in cells if cell.figure]
    rows = [
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
    numbers, mean = pd.DataFrame(rows), _mean_column(axis(error), error)
    columns = [*variant_column(numbers), Column("Net", "net"), Column(axis("depth"), "depth")]
    if name == "errors":
        columns += [Column(axis("parameters"), "parameters", count), *_views_column("measure", cells)]
        columns += [mean, Column("Best seed (%)", "best", number(".2f"))]
    else:
        columns.append(mean)
    columns += BESIDE if compared else ()
    lost = sum(int((cell.runs["outcome"] == "diverged").sum()) for cell in cells)
    texts = {"cells": cells, "units": units, "lost": lost, "unlike": unlike_paper(cell.runs for cell in compared)}
    return Table.of(name, numbers, columns, {"cell": cells}, **texts, **values)


def _views_column(key: str, cells: list[Cell]) -> list[Column]:
    """Return the column of views of an image, where some error is of others than the centre."""
    other = any(cell.measure != "center" for cell in cells)
    return [Column("Views", key, lambda views: VIEWS.get(views, ""))] if other else []


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
    unlike, figures = unlike_paper(cell.runs for cell in compared), [cell.figure for cell in compared]
    texts = {"units": _units(runs), "figures": figures, "unlike": unlike}
    return Table.of("plain-residual", numbers, columns, {"cells": pairs}, **texts)


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
    texts = {"units": _units(runs), "unlike": unlike_paper(compared)}
    return Table.of("shortcuts", numbers, columns, {"cell": tests}, **texts)


def _rank(cell: Cell) -> int:
    option = shortcut_of(cell.first)
    return OPTIONS.index(option) if option in OPTIONS else len(OPTIONS)
