"""What was run: results by net, learning rates, the trials of the search, all runs, and those under way."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.metrics import FINAL_ERRORS, axis
from study.report.tables.writer import NOTHING, Column, Table, count, number, or_nothing, variant_column
from study.statistics.interval import mean_interval
from study.statistics.variance_components import variance_components
from study.verdict import selection as c
from study.verdict.findings import failed
from study.verdict.rule import FAILURE_MARGIN
from study.verdict.searches import other_fields, parse_point
from study.verdict.text import points
from study.verdict.variant import Variant

NETS = ["variant", "architecture", "depth"]
ERRORS = ("final_train_error", "final_test_error", "generalisation_gap")
LAST_ERRORS = ("train_error", "test_error")
RESULT_KEYS = ("variant", "net", "architecture", "depth", "parameters", "multiply_adds")
RESULT_COLUMNS = ["variant", "net", "depth", "parameters", "lr", "lr_tuned"]
"""What an empty table of results has."""


def results_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a cell: net, size, rates, failing runs, and mean, sd, interval, n and median of its errors."""
    rows: list[dict[str, Any]] = []
    counted = c.counted(runs)
    for _, cell in c.with_gap(counted.assign(failed=failed(counted))).groupby(NETS, sort=False):
        row: dict[str, Any] = {key: cell[key].iloc[0] for key in RESULT_KEYS}
        row["lr"] = ", ".join(f"{lr:.4g}" for lr in sorted(set(cell["lr"].dropna())))
        row["lr_tuned"] = bool(cell["lr_tuned"].astype(bool).all())
        row |= {
            "runs": len(cell),
            "diverged": int((cell["outcome"] == "diverged").sum()),
            "failed": cell["failed"].sum(),
        }
        for metric in ERRORS:
            mean = mean_interval(c.unit_means(cell, metric))
            mean = mean.within(-100 if metric == "generalisation_gap" else 0, 100)
            row |= {
                f"{metric}_{part}": value for part, value in (mean.record() | {"median": cell[metric].median()}).items()
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else RESULT_COLUMNS)


def _if_some(lost: int, seeds: int, *median: float) -> str:
    """Write a median, or how many seeds failed, of a net of which some did and others didn't."""
    if not 0 < lost < seeds:
        return NOTHING
    return points(*median) if median else f"{lost} of {seeds}"


MEDIANS = (
    *(
        Column(f"Median {FINAL_ERRORS[metric]} error (%)", ("failed", "runs", f"{metric}_median"), _if_some)
        for metric in FINAL_ERRORS
    ),
    Column("Failed", ("failed", "runs"), _if_some),
)


def results(runs: pd.DataFrame) -> Table:
    """Return the results, as read in a paper: mean +- sd (n); medians too where some seeds of a net failed."""
    numbers = results_table(runs)
    some = bool(len(numbers)) and bool(((numbers["failed"] > 0) & (numbers["failed"] < numbers["runs"])).any())
    columns = [
        *variant_column(numbers),
        Column("Net", "net"),
        Column(axis("depth"), "depth"),
        Column(axis("parameters"), "parameters", count),
        Column(axis("lr"), ("lr", "lr_tuned"), lambda lr, tuned: f"{lr} (tuned)" if tuned else lr),
        *(Column(axis(metric), [f"{metric}_{part}" for part in ("estimate", "sd", "n")], spread) for metric in ERRORS),
        *(MEDIANS if some else ()),
    ]
    units = c.units(c.counted(runs))
    return Table.of("results", numbers, columns, units=units, some_failed=some, margin=FAILURE_MARGIN)


def splits_table(runs: pd.DataFrame) -> Table:
    """Return how far errors spread between splits and between seeds of a split, of nets with two splits of two seeds.

    Errors of a net's run are those of its split and of its seed: one-way random effects.
    """
    rows = []
    for _, cell in c.counted(runs).groupby(NETS, sort=False):
        groups = [split for _, split in cell.groupby("split_seed")] if c.several_splits(cell) else []
        if sum(len(split) > 1 for split in groups) < 2:
            continue
        row: dict[str, Any] = {key: cell[key].iloc[0] for key in ("variant", "net", "architecture", "depth")}
        row |= {"splits": len(groups), "runs": len(cell)}
        for metric in ERRORS[:2]:
            parts = variance_components([split[metric] for split in groups])
            row |= {f"{metric}_{part}": value for part, value in parts._asdict().items()}
        rows.append(row)
    numbers = pd.DataFrame(rows)
    columns = [Column("Net", "net"), Column("Splits", "splits"), Column("Runs", "runs")]
    for metric in ERRORS[:2]:
        name = FINAL_ERRORS[metric].capitalize()
        columns += [
            Column(f"{name} error: splits (points)", f"{metric}_between", number(".2f")),
            Column(f"{name} error: seeds (points)", f"{metric}_within", number(".2f")),
            Column(f"{name} error: share of splits", f"{metric}_share", number(".0%")),
        ]
    return Table.of("splits", numbers, [*(variant_column(numbers) if rows else []), *columns])


def spread(mean: float, sd: float, n: int) -> str:
    """Write a mean over seeds with its deviation and their number: ``54.2 ± 15.5 (3)``, ``1.20 (1)``."""
    if n == 0:
        return NOTHING
    return f"{points(mean, sd)} (1)" if n == 1 else f"{points(mean, sd)} ± {points(sd, mean)} ({n})"


def spread_of(errors: NDArray[np.float64]) -> str:
    """Write errors over seeds, (seeds,), by their `spread`."""
    mean = mean_interval(errors)
    return spread(mean.estimate, mean.sd, mean.seeds)


def rates_table(runs: pd.DataFrame, trials: pd.DataFrame) -> Table:
    """Return the learning rate of each net and where it comes from: a search, its edge, or the grid.

    A longer training has no search of its own, and takes the rate of the same net's at budget 1.
    """
    searches = {net: group for net, group in trials.groupby(NETS)} if len(trials) else {}
    rows = []
    for (variant, *net), cell in c.counted(runs).groupby(NETS, sort=False):
        once = str(Variant.parse(str(variant)).without("budget"))
        of_once = (variant, *net) not in searches and once != variant and bool(cell["lr_tuned"].astype(bool).all())
        search = searches.get((once if of_once else variant, *net))
        tried = pd.Series(dtype=float)
        if search is not None:
            tried = search.drop_duplicates(["number", "lr"])["lr"].dropna()
        for lr, group in cell.groupby("lr"):
            tuned, ends = bool(group["lr_tuned"].iloc[0]), (tried.min(), tried.max())
            at_end = bool(len(tried) > 1 and tuned and not ends[0] < lr < ends[1])
            rows.append((variant, group["net"].iloc[0], lr, tuned, of_once, len(tried), *ends, at_end))
    fields = ["variant", "net", "lr", "tuned", "of_budget_1", "trials", "lowest", "highest", "at_end"]
    numbers = pd.DataFrame(rows, columns=fields)
    columns = [
        *variant_column(numbers),
        Column("Net", "net"),
        Column(axis("lr"), "lr", number(".4g")),
        Column("Found", ("tuned", "of_budget_1", "at_end"), _rate_origin),
        Column("Trials", "trials"),
        Column("Range tried", ("lowest", "highest"), or_nothing("{:.4g} to {:.4g}".format)),
    ]
    return Table.of("rates", numbers, columns)


def _rate_origin(tuned: bool, of_budget_1: bool, at_end: bool) -> str:
    found = "at the end of the range" if at_end else "tuned" if tuned else "set"
    return f"{found} at budget 1" if of_budget_1 else found


def trials_table(trials: pd.DataFrame) -> Table:
    """Return every trial of the learning-rate search."""
    if trials.empty:
        return Table.of("trials", trials, [])
    numbers = c.ordered(trials)
    tried = [parse_point(text, lr) for text, lr in zip(numbers["point"], numbers["lr"], strict=True)]
    others = {field: [point.get(field, math.nan) for point in tried] for field in other_fields(tried)}
    columns = [
        *variant_column(numbers),
        Column("Net", "net"),
        Column("Trial", "number"),
        Column("Seed", "seed"),
        Column(axis("lr"), "lr", "{:.4g}".format),
        *(Column(field.replace("_", " ").capitalize(), field, "{:.4g}".format) for field in others),
        Column("Objective", "objective", axis),
        Column("Value", "value", number(".4g")),
        Column(axis("final_train_error"), "final_train_error", number(".2f")),
        Column("State", "state"),
        Column(axis("step"), "step", count),
        Column("Chosen", "chosen", lambda chosen: "yes" if chosen else ""),
    ]
    return Table.of("trials", numbers, columns, others)


def runs_table(runs: pd.DataFrame) -> Table:
    """Return every run, counted or not."""
    numbers = c.ordered(runs)
    columns = [
        Column("Run", ("name", "variant"), c.title),
        Column("Outcome", "outcome"),
        Column(axis("lr"), "lr", number(".4g")),
        *(Column(axis(metric), metric, number(".2f")) for metric in ERRORS[:2]),
        Column(axis("step"), "step", count),
        Column(axis("seconds"), "seconds", number(".0f")),
        Column("Run id", "run_id"),
    ]
    return Table.of("runs", numbers, columns)


def unfinished_table(runs: pd.DataFrame, curves: pd.DataFrame) -> Table:
    """Return the runs that train now, with the errors of their last points; none of them is counted."""
    fields = ["run_id", "variant", "name", "step", "total_iterations"]
    numbers = c.ordered(runs[runs["outcome"] == "running"]).reindex(columns=fields)
    last = curves.groupby("run_id")[list(LAST_ERRORS)].last().to_dict("index") if len(curves) else {}
    ends = [last.get(run_id, {}) for run_id in numbers["run_id"]]
    numbers = numbers.assign(**{key: [end.get(key, math.nan) for end in ends] for key in LAST_ERRORS})
    columns = [
        Column("Run", ("name", "variant"), c.title),
        Column("Done", ("step", "total_iterations"), _part),
        Column(axis("step"), "step", "{:,.0f}".format),
        *(Column(axis(key), key, number(".2f")) for key in LAST_ERRORS),
    ]
    return Table.of("unfinished", numbers, columns)


def _part(step: float, total: float) -> str:
    return f"{100 * step / total:.0f}%" if total > 0 else NOTHING
