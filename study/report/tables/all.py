"""Which tables a report has, in the order in which they are read."""

import pandas as pd

from study.report.tables.pairs import pairs_table
from study.report.tables.paper import (
    architectures_table,
    differences_table,
    errors_table,
    shortcuts_table,
    training_errors_table,
)
from study.report.tables.results import Table, rates_table, results, runs_table, trials_table
from study.report.tables.unfinished import unfinished_table
from study.verdict.pairs import Pair


def all_tables(runs: pd.DataFrame, curves: pd.DataFrame, trials: pd.DataFrame, found: list[Pair]) -> list[Table]:
    """Return the tables of a study that have rows; `found` are the comparisons of depths that the verdict tells."""
    tables = [
        unfinished_table(runs, curves),
        results(runs),
        pairs_table(found),
        differences_table(runs),
        shortcuts_table(runs),
        training_errors_table(runs),
        errors_table(runs),
        architectures_table(runs),
        rates_table(runs, trials),
        trials_table(trials),
        runs_table(runs),
    ]
    return [table for table in tables if len(table.shown)]
