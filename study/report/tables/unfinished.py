"""The runs of a study that are under way: how far each has come."""

import math

import pandas as pd

from study.report.metrics import axis
from study.report.tables.results import NOTHING, Table
from study.verdict import selection as c

COLUMNS = ["run_id", "variant", "name", "step", "total_iterations"]
ERRORS = ("train_error", "test_error")


def unfinished_table(runs: pd.DataFrame, curves: pd.DataFrame) -> Table:
    """Return the runs that train now, with the errors of their last points; none of them is counted."""
    mine = c.ordered(runs[runs["outcome"] == "running"]).reindex(columns=COLUMNS)
    last = curves.groupby("run_id")[list(ERRORS)].last().to_dict("index") if len(curves) else {}
    points = [last.get(run_id, {}) for run_id in mine["run_id"]]
    numbers = mine.assign(**{key: [point.get(key, math.nan) for point in points] for key in ERRORS})
    shown = {
        "Run": [c.title(run) for _, run in numbers.iterrows()],
        "Done": [_part(*pair) for pair in zip(numbers["step"], numbers["total_iterations"], strict=True)],
        axis("step"): [f"{step:,.0f}" for step in numbers["step"]],
        **{axis(key): [NOTHING if math.isnan(one) else f"{one:.2f}" for one in numbers[key]] for key in ERRORS},
    }
    caption = "Runs under way, with the errors of their last points, as trained; they are not counted yet."
    return Table("unfinished", caption, numbers, pd.DataFrame(shown))


def _part(step: float, total: float) -> str:
    return f"{100 * step / total:.0f}%" if total > 0 else NOTHING
