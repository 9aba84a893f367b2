"""The table of pairs: every deeper net against every shallower one, with all that was computed of them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from study.report.metrics import FINAL_ERRORS
from study.report.tables.writer import BOUNDS, NOTHING, Column, Table, or_nothing, variant_column
from study.statistics.power import MOST_SEEDS
from study.verdict.overall import Part
from study.verdict.pairs import Pair
from study.verdict.text import interval, p_value, points

PAIR_COLUMNS = """
    variant architecture metric shallow_net deep_net shallow deep estimate low high p p_worse p_better n_deep n_shallow
    bootstrap_low bootstrap_high bootstrap_method permutation_p permutation_least permutation_exact
    probability_estimate probability_low probability_high equivalence_low equivalence_high equivalence_p
    equivalence_p_below needed
""".split()


def pairs_table(pairs: Sequence[Pair]) -> Table:
    """Return every comparison of two depths; the page shows the main figures, the CSV all."""
    numbers = pd.DataFrame([_row(pair) for pair in pairs], columns=PAIR_COLUMNS)
    numbers["needed"] = numbers["needed"].astype("Int64")
    units = "Splits" if any(pair.difference.unit != "seed" for pair in pairs) else "Seeds"
    columns = [
        *variant_column(numbers),
        Column("Final error", "metric", FINAL_ERRORS.__getitem__),
        Column("Shallow", "shallow_net"),
        Column("Deep", "deep_net"),
        Column("Deep minus shallow (points)", BOUNDS, points_or_dash),
        Column("95% interval", BOUNDS, interval_or_dash),
        Column("Bootstrap", ("estimate", "bootstrap_low", "bootstrap_high"), interval_or_dash),
        Column("p", "p", p_or_dash),
        Column("p of worse", "p_worse", p_or_dash),
        Column("p (permutation)", "permutation_p", p_or_dash),
        Column("P(deeper worse)", [f"probability_{part}" for part in BOUNDS], _probability),
        Column(units, ("n_deep", "n_shallow"), "{}, {}".format),
        Column(f"{units} to settle", "needed", _needed),
    ]
    return Table.of("pairs", numbers, columns, units=units)


def overall_table(parts: Sequence[Part]) -> Table:
    """Return a row for each of several verdicts: the deepest against the shallowest plain net."""
    rows = [
        {"variant": part.variant, "status": part.status, "shallow_net": part.pair.shallow_net}
        | {"deep_net": part.pair.deep_net, **part.pair.difference.record(), "error": part.pair.error}
        | {"p_worse": part.pair.p_worse, "p_adjusted": part.p_adjusted}
        for part in parts
    ]
    columns = [
        Column("Variant", "variant", lambda variant: variant or "all nets"),
        Column("Degradation", "status"),
        Column("Shallowest", "shallow_net"),
        Column("Deepest", "deep_net"),
        Column("Rise (points)", BOUNDS, estimate_with_interval),
        Column("p of worse", "p_worse", p_or_dash),
        Column("p over all", "p_adjusted", p_or_dash),
    ]
    return Table.of("overall", pd.DataFrame(rows), columns)


points_or_dash = or_nothing(points)
"""Writes an estimate with the decimals of its interval."""


def interval_or_dash(estimate: float, low: float, high: float) -> str:
    """Write an interval with the decimals of its estimate."""
    return NOTHING if pd.isna(low) else interval(estimate, low, high)


def estimate_with_interval(estimate: float, low: float, high: float) -> str:
    """Write an estimate and, in brackets, its interval if it has one."""
    bounds = "" if pd.isna(low) else f" ({interval(estimate, low, high)})"
    return points_or_dash(estimate, low, high) + bounds


@or_nothing
def p_or_dash(p: float) -> str:
    """Write a p-value without its name: ``0.012``, ``< 0.0001``."""
    return p_value(p).removeprefix("p ").removeprefix("= ")


def _row(pair: Pair) -> dict[str, Any]:
    row = pair.record() | pair.difference.record()
    for name in ("bootstrap", "permutation", "probability", "equivalence"):
        numbers = row[name] if isinstance(row[name], dict) else row[name]._asdict()
        row |= {f"{name}_{key}": value for key, value in numbers.items()}
    return row


@or_nothing
def _probability(estimate: float, low: float, high: float) -> str:
    return f"{estimate:.2f} ({low:.2f} to {high:.2f})" if not pd.isna(low) else NOTHING  # one seed says nothing


@or_nothing
def _needed(needed: int) -> str:
    return f"more than {MOST_SEEDS}" if needed > MOST_SEEDS else str(needed)
