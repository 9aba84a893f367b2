"""Tables: results, trials and runs, each as CSV (full precision), Markdown and LaTeX."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from study.report.metrics import axis
from study.report.tables.markup import latex, markdown
from study.spreadsheet import write_frame
from study.statistics.interval import mean_interval
from study.verdict import selection as c
from study.verdict.searches import other_fields, parse_point
from study.verdict.text import points

ERRORS = ("final_train_error", "final_test_error", "generalisation_gap")


RESULT_COLUMNS = ["variant", "net", "depth", "parameters", "lr", "lr_tuned"]
"""What an empty table of results has."""
NOTHING = "\u2013"
"""An en dash, for a number that isn't there."""


class Table(NamedTuple):
    """A table twice: the numbers as they are, and as they are read."""

    name: str
    caption: str
    numbers: pd.DataFrame
    shown: pd.DataFrame


def results_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a cell: the net, its size and rates, and mean, sd, interval and n of its final errors."""
    kept = c.with_gap(c.counted(runs))
    rows: list[dict[str, Any]] = []
    for (variant, architecture, _), cell in kept.groupby(["variant", "architecture", "depth"], sort=False):
        first = cell.iloc[0]
        row: dict[str, Any] = {
            "variant": variant, "net": first["net"], "architecture": architecture, "depth": int(first["depth"]),
            "parameters": first["parameters"], "multiply_adds": first["multiply_adds"],
            "lr": ", ".join(f"{lr:.4g}" for lr in sorted(set(cell["lr"].dropna()))),
            "lr_tuned": bool(cell["lr_tuned"].astype(bool).all()), "runs": len(cell),
            "diverged": int((cell["outcome"] == "diverged").sum()),
        }  # fmt: skip
        for metric in ERRORS:
            mean = mean_interval(cell[metric].to_numpy(dtype=np.float64))
            row |= {f"{metric}_{part}": value for part, value in mean.record().items()}
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else RESULT_COLUMNS)


def results(runs: pd.DataFrame) -> Table:
    """Return the results, as read in a paper: mean +- sd (n)."""
    numbers = results_table(runs)
    columns: dict[str, list[str]] = _variant(numbers)
    columns["Net"] = [str(net) for net in numbers["net"]]
    columns[axis("depth")] = [str(depth) for depth in numbers["depth"]]
    columns[axis("parameters")] = [count(value) for value in numbers["parameters"]]
    columns[axis("lr")] = [
        f"{lr} (tuned)" if tuned else str(lr) for lr, tuned in zip(numbers["lr"], numbers["lr_tuned"], strict=True)
    ]
    for metric in ERRORS:
        columns[axis(metric)] = [
            spread(row[f"{metric}_estimate"], row[f"{metric}_sd"], int(row[f"{metric}_n"]))
            for _, row in numbers.iterrows()
        ]
    caption = "Mean ± standard deviation over seeds of the errors after the last iteration (number of seeds)."
    return Table("results", caption, numbers, pd.DataFrame(columns))


def trials_table(trials: pd.DataFrame) -> Table:
    """Return every trial of the learning-rate search."""
    numbers = c.ordered(trials) if len(trials) else pd.DataFrame()
    columns: dict[str, list[str]] = {}
    if len(numbers):
        tried = [parse_point(text, lr) for text, lr in zip(numbers["point"], numbers["lr"], strict=True)]
        columns = _variant(numbers)
        columns |= {
            "Net": [str(net) for net in numbers["net"]],
            "Trial": [str(number) for number in numbers["number"]],
            "Seed": [str(seed) for seed in numbers["seed"]],
            axis("lr"): [f"{lr:.4g}" for lr in numbers["lr"]],
            **{_field(field): [f"{point.get(field, np.nan):.4g}" for point in tried] for field in other_fields(tried)},
            "Objective": [axis(str(key)) for key in numbers["objective"]],
            "Value": [_or_dash(value, f"{value:.4g}") for value in numbers["value"]],
            axis("final_train_error"): [_or_dash(value, f"{value:.2f}") for value in numbers["final_train_error"]],
            "State": [str(state) for state in numbers["state"]],
            axis("step"): [count(step) for step in numbers["step"]],
            "Chosen": ["yes" if chosen else "" for chosen in numbers["chosen"]],
        }
    caption = (
        "Learning-rate search: a row a trial and seed; the value of a diverged one is a cap, that of a pruned one its "
        "running value then."
    )
    return Table("trials", caption, numbers, pd.DataFrame(columns))


def rates_table(runs: pd.DataFrame, trials: pd.DataFrame) -> Table:
    """Return the learning rate of each net, with how it was found."""
    kept = c.counted(runs)
    rows = []
    for (variant, architecture, depth), cell in kept.groupby(["variant", "architecture", "depth"], sort=False):
        mine = trials
        if len(trials):
            mine = trials[(trials["variant"] == variant) & (trials["architecture"] == architecture)
                          & (trials["depth"] == depth)]  # fmt: skip
        tried = mine.drop_duplicates(["number", "lr"])["lr"].dropna() if len(mine) else pd.Series(dtype=float)
        for lr, group in cell.groupby("lr"):
            rows.append({
                "variant": variant, "net": group["net"].iloc[0], "lr": lr, "tuned": bool(group["lr_tuned"].iloc[0]),
                "trials": len(tried), "lowest": tried.min(), "highest": tried.max(),
                "at_end": bool(len(tried) > 1 and group["lr_tuned"].iloc[0]
                               and (lr <= tried.min() or lr >= tried.max())),
            })  # fmt: skip
    numbers = pd.DataFrame(rows)
    columns = _variant(numbers)
    columns |= {
        "Net": [str(row["net"]) for row in rows],
        axis("lr"): [f"{row['lr']:.4g}" for row in rows],
        "Found": ["at the end of the range" if row["at_end"] else "tuned" if row["tuned"] else "set" for row in rows],
        "Trials": [str(row["trials"]) for row in rows],
        "Range tried": [f"{row['lowest']:.4g} to {row['highest']:.4g}" if row["trials"] else NOTHING for row in rows],
    }
    return Table("rates", "The learning rate of each net, and how it was found.", numbers, pd.DataFrame(columns))


def runs_table(runs: pd.DataFrame) -> Table:
    """Return every run, counted or not."""
    numbers = c.ordered(runs)
    columns = {
        "Run": [c.title(run) for _, run in numbers.iterrows()],
        "Outcome": [str(outcome) for outcome in numbers["outcome"]],
        axis("lr"): [_or_dash(lr, f"{lr:.4g}") for lr in numbers["lr"]],
        **{axis(key): [_or_dash(value, f"{value:.2f}") for value in numbers[key]] for key in ERRORS[:2]},
        axis("step"): [count(step) for step in numbers["step"]],
        axis("seconds"): [_or_dash(value, f"{value:.0f}") for value in numbers["seconds"]],
        "Run id": [str(run_id) for run_id in numbers["run_id"]],
    }
    return Table(
        "runs", "Every run of the study, with its errors after the last iteration.", numbers, pd.DataFrame(columns)
    )


def write_table(table: Table, folder: Path) -> None:
    """Write a table as CSV with all digits, and as Markdown and LaTeX as it is read."""
    folder.mkdir(parents=True, exist_ok=True)
    write_frame(table.numbers, folder / f"{table.name}.csv")
    (folder / f"{table.name}.md").write_text(markdown(table.shown, table.caption), encoding="utf-8")
    (folder / f"{table.name}.tex").write_text(latex(table.shown, table.caption, table.name), encoding="utf-8")


def _variant(numbers: pd.DataFrame) -> dict[str, list[str]]:
    """Return a first column with the variants, where there are several."""
    if numbers.empty or numbers["variant"].nunique() < 2:
        return {}
    return {"Variant": [str(variant) for variant in numbers["variant"]]}


def _field(name: str) -> str:
    return name.replace("_", " ").capitalize()


def spread(mean: float, sd: float, n: int) -> str:
    """Write a mean over seeds with its deviation and their number: ``54.2 ± 15.5 (3)``, ``1.20 (1)``."""
    if n == 0:
        return NOTHING
    return f"{points(mean, sd)} (1)" if n == 1 else f"{points(mean, sd)} ± {points(sd, mean)} ({n})"


def _or_dash(value: float, text: str) -> str:
    return NOTHING if pd.isna(value) else text


def count(value: float) -> str:
    """Write a whole number: ``269,722``, an en dash where it isn't known."""
    return NOTHING if pd.isna(value) else f"{int(value):,}"
