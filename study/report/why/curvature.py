"""The curvature of the loss: the Hessian's largest eigenvalue around nets, also at a loss that all of them reached."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from study.report.metrics import axis
from study.report.tables.writer import Column, Table, or_nothing
from study.report.why.chapter import Evidence, Findings
from study.report.why.comparison import compare, deepest_pair, plain_ends
from study.verdict import selection as c
from study.verdict.text import number

LEVELS = (2.0, 1.0, 0.1)
"""Losses at which the table compares nets beside the one that all reached, in nats."""
CLEAR = math.log(2.0)
"""Logarithm of the least factor between single seeds that counts: another seed moves eigenvalues by less."""
RESOLUTION = math.log(1.02)
"""Of eigenvalues, which are found to about two percent."""


def find_curvature(evidence: Evidence) -> Findings | None:
    """Return what `why/curvature.j2` tells, with a table; None where curvature wasn't measured beside the loss."""
    ended, rows = evidence.compared("curvature", "eigenvalue"), evidence.rows("curvature")
    if ended.empty or "loss" not in rows:  # recorded by a version that measured no loss
        return None
    courses = {str(run_id): course for run_id, course in _usable(rows).groupby("run_id")}
    ended = ended[ended["run_id"].isin(list(courses)) & (ended["loss"] > 0) & (ended["eigenvalue"] > 0)]
    if ended.empty:
        return None
    pairs = [pair for pair in (plain_ends(ended), deepest_pair(ended)) if pair is not None]
    nets = list(dict.fromkeys(net for pair in pairs for net in pair)) or list(ended["net"].unique())
    of_runs = [courses[run_id] for run_id in ended["run_id"]]
    runs = ended.assign(
        moments=[len(course) for course in of_runs],
        first=[course["loss"].iloc[0] for course in of_runs],
        lowest=[course["loss"].min() for course in of_runs],
        **{f"at_{level:g}": [at_loss(course, level) for course in of_runs] for level in LEVELS},
    )
    level = float(runs.loc[runs["net"].isin(nets), "lowest"].max())
    runs = runs.assign(equal_loss=level, at_equal_loss=[at_loss(course, level) for course in of_runs])
    logs = runs.assign(log_eigenvalue=np.log(runs["at_equal_loss"]))
    compared = [compare(logs, pair, "log_eigenvalue", CLEAR, RESOLUTION) for pair in pairs]
    facts = {
        "ends": [_mean(runs[runs["net"] == net]) for net in nets],
        "level": level,
        "compared": [pair for pair in compared if len(pair.values) and len(pair.others)],
        "without": [_without(part) for net in nets if (part := runs[runs["net"] == net])["at_equal_loss"].isna().any()],
        "pairs": pairs,
    }
    return Findings(facts, tables=[curvature_table(runs, level)])


def _usable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return in the order of steps the moments whose eigenvalue converged and has a logarithm, as has the loss."""
    numbers = rows[["loss", "eigenvalue"]]
    known = ((numbers > 0) & (numbers < math.inf)).all(axis=1)
    return rows[known & rows["converged"].astype(bool)].sort_values("step")


def at_loss(course: pd.DataFrame, level: float) -> float:
    """Return the eigenvalue of a run when its loss first fell to a level; NaN where it wasn't seen to.

    Between the moments before and after, the logarithm of the eigenvalue is linear in that of the loss. Nothing is
    extrapolated.

    Args:
        course: rows of a run in the order of its steps, with `loss` and `eigenvalue`, all positive.
        level: in nats.
    """
    if course["loss"].iloc[0] == level:
        return float(course["eigenvalue"].iloc[0])
    for (before, a), (after, b) in pairwise(course[["loss", "eigenvalue"]].to_numpy(dtype=np.float64)):
        if before > level >= after:  # not their logarithms: NumPy rounds these otherwise than Python
            return math.exp(np.interp(math.log(level), np.log([after, before]), np.log([b, a])))
    return math.nan


def _mean(runs: pd.DataFrame) -> dict[str, Any]:
    """Return what is told of a net at the end of training: geometric means over its seeds."""
    return {
        "net": runs["net"].iloc[0],
        "loss": math.exp(np.log(runs["loss"]).mean()),
        "eigenvalue": math.exp(np.log(runs["eigenvalue"]).mean()),
        "converged": runs["converged"].astype(bool).all(),
        "seeds": len(runs),
    }


def _without(runs: pd.DataFrame) -> dict[str, Any]:
    """Return which seeds of a net have no eigenvalue at the equal loss, and the highest loss at which they begin."""
    lacking = runs[runs["at_equal_loss"].isna()]
    net, first = runs["net"].iloc[0], lacking["first"].max()
    return {"net": net, "first": first, "seeds": len(runs), "lacking": len(lacking)}


def curvature_table(runs: pd.DataFrame, level: float) -> Table:
    """Return a row a run: the eigenvalue at the end of training and at equal losses."""
    digits = or_nothing(lambda value: number(value, 3))
    columns = [
        Column("Net", ("net", "seed"), "{} seed {}".format),
        Column("Moments", "moments"),
        Column("First loss (nats)", "first", digits),
        Column("Last loss (nats)", "loss", digits),
        Column(
            axis("eigenvalue"), ("eigenvalue", "converged"), lambda value, done: f"{digits(value)}{'*' * (not done)}"
        ),
        Column(f"At {number(level, 3)} nats", "at_equal_loss", digits),
        *(Column(f"At {value:g} nats", f"at_{value:g}", digits) for value in LEVELS),
    ]
    return Table.of("why-curvature", c.ordered(runs.drop(columns=["moment"])), columns)
