"""Whether the runs that are compared were made alike: by the same code, in the same numbers, on the same hardware."""

import pandas as pd

from study.verdict import selection as c
from study.verdict.text import listed

MADE = (
    ("code", "by code"),
    ("torch", "with PyTorch"),
    ("precision", "in"),
    ("device", "on"),
    ("fingerprint", "of data"),
)
"""Columns of runs whose values should be the same, and what their value is told with."""
SHORT = 12
"""Digits of a fingerprint that are told."""


def mixture(runs: pd.DataFrame) -> str:
    """Return a sentence on what the counted runs of a variant have unlike, with counts; empty where all are alike.

    Runs of different variants are never compared, so what an axis of the grid varies isn't told.
    """
    kept = c.counted(runs)
    unlike = {column: _unlike(kept, column) for column, _ in MADE if column in kept}
    parts = [f"{word} {_counts(unlike[column], column)}" for column, word in MADE if len(unlike.get(column, ()))]
    return f"Not all runs that are compared were made alike: {'; '.join(parts)}." if parts else ""


def _unlike(kept: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the runs of those variants that have several values of a column."""
    mixed: set[str] = set()
    for variant in c.variants(kept):
        mine = c.of_variant(kept, variant)
        if mine[column].fillna("").nunique() > 1:
            mixed |= set(mine["run_id"])
    return kept[kept["run_id"].isin(mixed)]


def _counts(unlike: pd.DataFrame, column: str) -> str:
    counts = unlike[column].fillna("").value_counts(sort=False).sort_index()
    values = {str(value)[:SHORT] if column == "fingerprint" else str(value): int(n) for value, n in counts.items()}
    return listed([f"{value or 'unknown'} ({n:,} run{'s' * (n != 1)})" for value, n in values.items()])
