"""The chapter on the solution by construction: the deep plain net can do what the shallow one does, with weights here.

He et al. 2015 (arXiv 1512.03385), section 1: "There exists a solution by construction to the deeper model".
"""

from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.tables.results import spread, spread_of
from study.report.tables.writer import Column, Table, count
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.welch import excess
from study.verdict import selection as c
from study.verdict.findings import METRIC

SOURCE = "He et al. 2015, arXiv 1512.03385, section 1"
NORMS = {"unit": "mean 0, variance 1", "measured": "as measured"}
"""What the inserted batch norms hold."""
MOST_NAMES = 6
"""Pairs that a sentence names one by one."""


class Pair(NamedTuple):
    """A deep net built from a shallow one in one of the ways to build it, over seeds; errors in percent, (seeds,)."""

    shallow: int
    deep: int
    statistics: str
    blocks: int
    difference: float
    """Largest of the logits, over seeds."""
    changed: int
    """Predictions that change, of the seed with the most."""
    images: int
    shallow_errors: NDArray[np.float64]
    errors: NDArray[np.float64]
    trained: NDArray[np.float64]
    """Of the deep net trained from scratch in this study; (0,) where it wasn't."""


@chapter("construction", "Is there a good solution for the deep net?")
def construction_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether the deep plain net has a solution as good as the shallow one's; None where none was built."""
    pairs = built_pairs(evidence)
    if not pairs:
        return None
    # Each pair built the more exact way, and of those made into the deepest net the one with the least error.
    first = [pair for _, pair in sorted({(pair.shallow, pair.deep): pair for pair in reversed(pairs)}.items())]
    deepest = max(pair.deep for pair in pairs)
    best = min((pair for pair in pairs if pair.deep == deepest), key=lambda pair: float(pair.errors.mean()))
    more = excess(best.trained, best.errors, c.resolution(evidence.runs, METRIC))
    facts = {
        "pairs": first,
        "made": {
            low: [f"plain-{pair.deep}" for pair in group] for low, group in groupby(first, lambda pair: pair.shallow)
        },
        "named": len(first) <= MOST_NAMES,
        "best": best,
        "more": more._replace(unit=c.unit(evidence.runs)) if len(best.trained) else None,
        "smallest": evidence.smallest_effect,
        "logits": difference,
        "source": SOURCE,
    }
    return Findings(facts, tables=[pairs_table(pairs)])


def built_pairs(evidence: Evidence) -> tuple[Pair, ...]:
    """Return every pair of nets, by the depth of the shallow and the deep one, the more exact way to build first."""
    rows = evidence.rows("construction")
    if rows.empty:
        return ()
    rows = rows[np.isfinite(rows["largest_difference"].astype(float)) & rows["error"].notna()]
    plain = evidence.runs[evidence.runs["architecture"] == "plain"]
    pairs = []
    for _, part in rows.groupby(["depth", "target", "statistics"]):
        first, last = part.iloc[0], part.sort_values("step").drop_duplicates("run_id", keep="last")
        pairs.append(
            Pair(
                shallow=int(first["depth"]),
                deep=int(first["target"]),
                statistics=str(first["statistics"]),
                blocks=int(first["blocks"]),
                difference=float(last["largest_difference"].max()),
                changed=int(last["changed"].max()),
                images=int(last["images"].max()),
                shallow_errors=last["shallow_error"].to_numpy(dtype=np.float64),
                errors=last["error"].to_numpy(dtype=np.float64),
                trained=c.values(plain, int(first["target"]), METRIC),
            )
        )
    return tuple(sorted(pairs, key=lambda pair: (pair.shallow, pair.deep, pair.changed, pair.difference)))


def pairs_table(pairs: tuple[Pair, ...]) -> Table:
    """Return every pair, with both ways to build it."""
    rows = [
        {
            "net": f"plain-{pair.shallow}",
            "built": f"plain-{pair.deep}",
            "statistics": pair.statistics,
            "blocks": pair.blocks,
            "largest_difference": pair.difference,
            "changed": pair.changed,
            "images": pair.images,
            "shallow_error": pair.shallow_errors.mean(),
            "error": pair.errors.mean(),
            "seeds": len(pair.errors),
            "trained_error": pair.trained.mean() if len(pair.trained) else np.nan,
            "trained_sd": pair.trained.std(ddof=1) if len(pair.trained) > 1 else np.nan,
            "trained_seeds": len(pair.trained),
        }
        for pair in pairs
    ]
    columns = [
        Column("Net", "net"),
        Column("Made into", "built"),
        Column("Blocks inserted", "blocks"),
        Column("Their batch norm", "statistics", lambda name: str(NORMS.get(name, name))),
        Column("Largest difference of logits", "largest_difference", difference),
        Column("Predictions changed", ("changed", "images"), lambda changed, images: f"{changed} of {count(images)}"),
        Column("Training error of the net (%)", "pair", lambda pair: spread_of(pair.shallow_errors)),
        Column("As built (%)", "pair", lambda pair: spread_of(pair.errors)),
        Column("Trained from scratch (%)", ("trained_error", "trained_sd", "trained_seeds"), spread),
    ]
    caption = (
        "Deep plain nets built from shallow ones that were trained, by blocks that pass their input on "
        f"({SOURCE}), and the same deep nets trained from scratch: training error in evaluation mode, mean ± standard "
        "deviation (number of seeds); of differences and changes the largest over seeds. The inserted batch norms hold "
        "mean 0 and variance 1, or what was measured of the channels they see."
    )
    return Table.of("construction", caption, pd.DataFrame(rows), columns, {"pair": pairs})


def difference(value: float) -> str:
    """Write a difference of logits: ``0``, ``3.1e-05``, ``0.12``."""
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}"
