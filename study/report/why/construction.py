"""The chapter on the solution by construction: the deep plain net can do what the shallow one does, with weights here.

He et al. 2015 (arXiv 1512.03385), section 1: "There exists a solution by construction to the deeper model".
"""

from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from study.report.tables.results import spread, spread_of
from study.report.tables.writer import Column, Table, count, or_nothing
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.welch import excess
from study.verdict import selection as c
from study.verdict.findings import METRIC

NORMS = {"unit": "mean 0, variance 1", "measured": "as measured"}
"""What the inserted batch norms hold."""
IN_TRAINING = ["training_largest_difference", "training_changed", "training_images"]
"""The same as in evaluation mode, of the training batches of an epoch with their own statistics."""
OF_SEEDS = ["shallow_errors", "errors", "trained"]
MOST_NAMES = 6
"""Pairs that a sentence names one by one."""


@chapter("construction", "Is there a good solution for the deep net?")
def construction_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether the deep plain net has a solution as good as the shallow one's; None where none was built."""
    built = built_pairs(evidence)
    pairs: list[Any] = list(built.itertuples(index=False))
    if not pairs:
        return None
    # Each pair built the more exact way, and of those made into the deepest net the one with the least error.
    first = [pair for _, pair in sorted({(pair.shallow, pair.deep): pair for pair in reversed(pairs)}.items())]
    deepest = max(pair.deep for pair in pairs)
    best = min((pair for pair in pairs if pair.deep == deepest), key=lambda pair: float(pair.errors.mean()))
    more = excess(best.trained, best.errors, c.resolution(evidence.runs, METRIC))
    facts = {
        "pairs": first,
        "training": in_training(built),
        "made": {
            low: [f"plain-{pair.deep}" for pair in group] for low, group in groupby(first, lambda pair: pair.shallow)
        },
        "named": len(first) <= MOST_NAMES,
        "best": best,
        "more": more._replace(unit=c.unit(evidence.runs)) if len(best.trained) else None,
        "smallest": evidence.smallest_effect,
        "logits": difference,
    }
    return Findings(facts, tables=[pairs_table(built)])


def built_pairs(evidence: Evidence) -> pd.DataFrame:
    """Return a row a deep net, the shallow one that it was built from and the way to build it; no row without any.

    Ordered by depths, the more exact way first. Of differences of logits and of predictions that change the largest
    over seeds; `OF_SEEDS` are errors in percent, each (seeds,): of the shallow net, of the deep one as built, and of
    the same trained from scratch in this study, (0,) where it wasn't.
    """
    rows = evidence.rows("construction")
    if rows.empty:
        return rows
    rows = rows[np.isfinite(rows["largest_difference"].astype(float)) & rows["error"].notna()]
    plain = evidence.runs[evidence.runs["architecture"] == "plain"]
    pairs = []
    for _, part in rows.groupby(["depth", "target", "statistics"]):
        shallow, deep, statistics = (part[name].iloc[0] for name in ("depth", "target", "statistics"))
        last = part.sort_values("step").drop_duplicates("run_id", keep="last")
        errors, trained = last["error"].to_numpy(dtype=np.float64), c.values(plain, deep, METRIC)
        pairs.append(
            {
                "shallow": shallow,
                "deep": deep,
                "net": f"plain-{shallow}",
                "built": f"plain-{deep}",
                "statistics": statistics,
                "blocks": part["blocks"].iloc[0],
                "largest_difference": last["largest_difference"].max(),
                "changed": last["changed"].max(),
                "images": last["images"].max(),
                **{name: last[name].max() if name in last else np.nan for name in IN_TRAINING},
                "shallow_error": last["shallow_error"].mean(),
                "error": errors.mean(),
                "seeds": len(errors),
                "trained_error": trained.mean() if len(trained) else np.nan,
                "trained_sd": trained.std(ddof=1) if len(trained) > 1 else np.nan,
                "trained_seeds": len(trained),
                "shallow_errors": last["shallow_error"].to_numpy(dtype=np.float64),
                "errors": errors,
                "trained": trained,
            }
        )
    order = ["shallow", "deep", "changed", "largest_difference"]
    return pd.DataFrame(pairs).sort_values(order, kind="stable", ignore_index=True) if pairs else pd.DataFrame()


def in_training(built: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return what training mode changes of the pairs, by the statistics of the blocks; empty where it wasn't measured.

    The least and the largest share of predictions that change, in percent, and the largest difference of logits.
    """
    known = built.dropna(subset=IN_TRAINING)
    shares = 100 * known["training_changed"] / known["training_images"]
    return {
        str(kind): {
            "least": float(shares[part.index].min()),
            "most": float(shares[part.index].max()),
            "largest": float(part["training_largest_difference"].max()),
        }
        for kind, part in known.groupby("statistics", sort=False)
    }


def pairs_table(built: pd.DataFrame) -> Table:
    """Return every pair, with both ways to build it."""
    columns = [
        Column("Net", "net"),
        Column("Made into", "built"),
        Column("Blocks inserted", "blocks"),
        Column("Their batch norm", "statistics", lambda name: str(NORMS.get(name, name))),
        Column("Largest difference of logits", "largest_difference", difference),
        Column("Predictions changed", ("changed", "images"), lambda changed, images: f"{changed} of {count(images)}"),
        Column("The same in training mode", "training_largest_difference", or_nothing(difference)),
        Column(
            "Changed in training mode",
            ("training_changed", "training_images"),
            or_nothing(lambda changed, images: f"{changed:.0f} of {count(images)}"),
        ),
        Column("Training error of the net (%)", "shallow_errors", spread_of),
        Column("As built (%)", "errors", spread_of),
        Column("Trained from scratch (%)", ("trained_error", "trained_sd", "trained_seeds"), spread),
    ]
    numbers = built.drop(columns=["shallow", "deep", *OF_SEEDS])
    errors = {name: list(built[name]) for name in OF_SEEDS}
    return Table.of("construction", numbers, columns, errors)


def difference(value: float) -> str:
    """Write a difference of logits: ``0``, ``3.1e-05``, ``0.12``."""
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}"
