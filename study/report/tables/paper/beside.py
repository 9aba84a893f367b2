"""A study's error beside the paper's: which figure of the paper is of the same net, and how far apart they are."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from study.report.paper import Figure, Split, dataset_of, load_paper
from study.report.tables.results import NOTHING
from study.statistics.interval import Interval, mean_interval
from study.verdict import selection as c

VIEWS = {"center": "centre", "ten-crop": "ten crops", "multi-scale": "five scales"}
"""What a test error is of, as tables say it."""
SIGNS = {"above": ">", "below": "<"}


class Beside(NamedTuple):
    """A cell's error over its seeds, and the paper's figure for that net, if it has one."""

    mean: Interval
    best: float
    measure: str
    figure: Figure | None

    @property
    def comparable(self) -> bool:
        """Whether the paper's figure is a number of the same measure, so that a difference means something."""
        return self.figure is not None and self.figure.bound == "exact" and self.figure.measure == self.measure

    @property
    def difference(self) -> tuple[float, float, float]:
        """Ours minus the paper's in points, and its 95% t interval from the spread of our seeds alone."""
        if self.figure is None or not self.comparable:
            return math.nan, math.nan, math.nan
        paper = self.figure.error
        return self.mean.estimate - paper, self.mean.low - paper, self.mean.high - paper

    def numbers(self) -> dict[str, Any]:
        """Return the columns of a CSV file on the paper."""
        figure, (estimate, low, high) = self.figure, self.difference
        given = figure._asdict() if figure else {}
        kept = ("error", "sd", "runs", "best", "bound", "measure", "reading", "low", "high", "place")
        return {
            **{f"paper_{key}": given.get(key) for key in kept},
            "difference": estimate, "difference_low": low, "difference_high": high,
        }  # fmt: skip

    def shown(self) -> dict[str, str]:
        """Return the columns of a table on the paper."""
        return {
            "Paper (%)": paper_text(self.figure, self.measure),
            "Ours minus paper (points)": signed(*self.difference),
            "Place": self.figure.place if self.figure else NOTHING,
        }


def measured(cell: pd.DataFrame) -> tuple[str, str]:
    """Return the column of a cell's test error that is nearest to the paper's, and its measure.

    The error over several views, where the recipe asks for them and all runs have it; else that of the centre.
    """
    views = set(cell["test_views"]) if "test_views" in cell else set()
    if len(views) == 1 and views <= set(VIEWS) - {"center"} and cell["final_test_error_views"].notna().all():
        return "final_test_error_views", str(views.pop())
    return "final_test_error", "center"


def shortcut_of(run: "pd.Series[Any]") -> str:
    """Return the option of a run's shortcuts: none, A, B or C; a residual net's is A where the frame has no column."""
    if run["architecture"] != "residual":
        return "none"
    return str(run.get("shortcut", "A"))


def beside(cell: pd.DataFrame, split: Split) -> Beside:
    """Set the final error of a cell, (seeds,) rows of one net, beside the paper's."""
    column, measure = measured(cell) if split == "test" else ("final_train_error", "center")
    first = cell.iloc[0]
    data = dataset_of(first)
    figure = load_paper().find(data, str(first["net"]), shortcut_of(first), split, measure) if data else None
    values = cell[column].to_numpy(dtype=np.float64)
    best = float(np.nanmin(values)) if np.isfinite(values).any() else math.nan
    return Beside(mean_interval(values), best, measure, figure)


def cells_of(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the variant and the runs that count of each cell, plain nets first, shallow ones first."""
    groups = c.counted(runs).groupby(["variant", "architecture", "depth"], sort=False)
    return [(str(key[0]), cell) for key, cell in groups]


def paper_text(figure: Figure | None, measure: str) -> str:
    """Write an error of the paper: with its spread where it has one, and with what makes it unlike ours."""
    if figure is None:
        return NOTHING
    text = f"{figure.error:.2f}" if figure.bound == "exact" else f"{SIGNS[figure.bound]} {figure.error:g}"
    if figure.sd is not None:
        text = f"{text} ± {figure.sd:.2f} ({figure.runs})"
    notes = [f"best {figure.best:.2f}"] if figure.best is not None else []
    notes += [f"read off ±{figure.reading:g}"] if figure.reading is not None else []
    notes += [VIEWS[figure.measure]] if figure.measure != measure else []
    return ", ".join([text, *notes])


def ours_text(mean: Interval) -> str:
    """Write a mean over seeds with the two decimals of the paper: ``8.75 ± 0.21 (5)``."""
    if mean.seeds == 0:
        return NOTHING
    return f"{mean.estimate:.2f} (1)" if mean.seeds == 1 else f"{mean.estimate:.2f} ± {mean.sd:.2f} ({mean.seeds})"


def signed(estimate: float, low: float, high: float) -> str:
    """Write a difference with its sign, and its interval where it has one."""
    if math.isnan(estimate):
        return NOTHING
    middle, low, high = (round(value, 2) + 0.0 for value in (estimate, low, high))  # 0.0: no -0.00
    text = f"{middle:+.2f}" if middle else "0.00"
    return text if math.isnan(low) else f"{text} ({low:.2f} to {high:.2f})"


def drop_single(shown: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Leave out those columns of a table that say the same in every row."""
    return shown.drop(columns=[name for name in columns if name in shown and shown[name].nunique() < 2])
