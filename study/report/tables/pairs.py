"""The table of pairs: every deeper net against every shallower one, with all that was computed of them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from study.report.metrics import FINAL_ERRORS
from study.report.tables.results import NOTHING, Table
from study.statistics.power import MOST_SEEDS
from study.verdict.pairs import Pair
from study.verdict.text import interval, p_value, points

PAIR_COLUMNS = [
    "variant", "architecture", "metric", "shallow_net", "deep_net", "shallow", "deep", "estimate", "low", "high", "p",
    "p_holm", "n_deep", "n_shallow", "bootstrap_low", "bootstrap_high", "bootstrap_method", "permutation_p",
    "permutation_least", "permutation_exact", "probability_estimate", "probability_low", "probability_high",
    "equivalence_low", "equivalence_high", "equivalence_p", "equivalence_p_below", "needed",
]  # fmt: skip


def pairs_table(found: Sequence[Pair]) -> Table:
    """Return every comparison of two depths; the page shows the main figures, the CSV all."""
    numbers = pd.DataFrame([_row(pair) for pair in found], columns=PAIR_COLUMNS)
    numbers["needed"] = numbers["needed"].astype("Int64")
    columns: dict[str, list[str]] = {}
    if len({pair.variant for pair in found}) > 1:
        columns["Variant"] = [pair.variant for pair in found]
    differences = [pair.difference for pair in found]
    columns |= {
        "Final error": [FINAL_ERRORS[pair.metric] for pair in found],
        "Shallow": [pair.shallow_net for pair in found],
        "Deep": [pair.deep_net for pair in found],
        "Deep minus shallow (points)": [
            NOTHING if pd.isna(d.estimate) else points(d.estimate, d.low, d.high) for d in differences
        ],
        "95% interval": [NOTHING if pd.isna(d.low) else interval(d.estimate, d.low, d.high) for d in differences],
        "Bootstrap": [NOTHING if pd.isna(pair.bootstrap.low) else
                      interval(pair.difference.estimate, pair.bootstrap.low, pair.bootstrap.high)
                      for pair in found],
        "p": [_p(d.p) for d in differences],
        "p (Holm)": [_p(pair.p_holm) for pair in found],
        "p (permutation)": [_p(pair.permutation.p) for pair in found],
        "P(deeper worse)": [_probability(pair) for pair in found],
        "Seeds": [f"{d.n[0]}, {d.n[1]}" for d in differences],
        "Seeds to settle": [_needed(pair.needed) for pair in found],
    }  # fmt: skip
    caption = (
        "Deeper against shallower nets: difference of means; Welch's 95% interval, on which the verdict rests, and a "
        "bootstrap interval, too narrow for few seeds; two-sided p of Welch's test, after Holm within architecture and "
        "error, and of a permutation test; probability that a deeper run is worse; seeds a net that would settle an "
        "undecided pair."
    )
    return Table("pairs", caption, numbers, pd.DataFrame(columns))


def _row(pair: Pair) -> dict[str, Any]:
    row = pair.record() | pair.difference.record()
    for name in ("bootstrap", "permutation", "probability", "equivalence"):
        numbers = row[name] if isinstance(row[name], dict) else row[name]._asdict()
        row |= {f"{name}_{key}": value for key, value in numbers.items()}
    return row


def _p(p: float) -> str:
    return NOTHING if pd.isna(p) else p_value(p).removeprefix("p ").removeprefix("= ")


def _probability(pair: Pair) -> str:
    one = pair.probability
    if pd.isna(one.estimate):
        return NOTHING
    return f"{one.estimate:.2f}" if pd.isna(one.low) else f"{one.estimate:.2f} ({one.low:.2f} to {one.high:.2f})"


def _needed(needed: int | None) -> str:
    if needed is None:
        return NOTHING
    return f"more than {MOST_SEEDS}" if needed > MOST_SEEDS else str(needed)
