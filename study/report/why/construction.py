"""The chapter on the solution by construction: the deep plain net can do what the shallow one does, with weights here.

He et al. 2015 (arXiv 1512.03385), section 1: "There exists a solution by construction to the deeper model".
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.tables.results import Table, count, spread
from study.report.why.chapter import Chapter, Evidence
from study.statistics.interval import Interval, mean_interval
from study.statistics.welch import excess
from study.verdict import selection as c
from study.verdict.rule import METRIC
from study.verdict.text import grounds, listed, more_or_less, points

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

    @property
    def exact(self) -> bool:
        """Whether every image gets the class that the shallow net gives it, at every seed."""
        return self.changed == 0


def construction_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell whether the deep plain net has a solution as good as the shallow one's; None where none was built.

    Args:
        evidence: with the table `construction`.
        folder: of figures; there is none here.
    """
    pairs = built_pairs(evidence)
    if not pairs:
        return None
    resolution = c.resolution(evidence.runs, METRIC)
    said = sentences(pairs, resolution, evidence.smallest_effect)
    return Chapter("construction", "Is there a good solution for the deep net?", said, (), (pairs_table(pairs),))


def built_pairs(evidence: Evidence) -> tuple[Pair, ...]:
    """Return every pair of nets, by the depth of the shallow and the deep one, the more exact way to build first."""
    rows = evidence.rows("construction")
    out = []
    if len(rows):
        rows = rows[np.isfinite(rows["largest_difference"].astype(float)) & rows["error"].notna()]
    plain = evidence.runs[evidence.runs["architecture"] == "plain"]
    for _, part in rows.groupby(["depth", "target", "statistics"]) if len(rows) else ():
        first = part.iloc[0]
        shallow, deep, statistics = int(first["depth"]), int(first["target"]), str(first["statistics"])
        last = part.sort_values("step").drop_duplicates("run_id", keep="last")
        out.append(Pair(
            shallow, deep, statistics, int(first["blocks"]),
            float(last["largest_difference"].max()), int(last["changed"].max()), int(last["images"].max()),
            last["shallow_error"].to_numpy(dtype=np.float64), last["error"].to_numpy(dtype=np.float64),
            c.values(plain, deep, METRIC),
        ))  # fmt: skip
    return tuple(sorted(out, key=lambda one: (one.shallow, one.deep, one.changed, one.difference)))


def sentences(pairs: tuple[Pair, ...], resolution: float, smallest: float) -> tuple[str, ...]:
    """Say whether nets that were built do what the shallow ones do, and how those trained from scratch compare.

    Args:
        pairs: as `built_pairs` gives them.
        resolution: what one training image is worth in percent.
        smallest: smallest effect of interest, in points of training error.
    """
    deepest = max(one.deep for one in pairs)
    best = min((one for one in pairs if one.deep == deepest), key=lambda one: float(one.errors.mean()))
    return _existence(pairs), _against_training(best, resolution, smallest)


def _existence(pairs: tuple[Pair, ...]) -> str:
    """Say of all pairs whether predictions are the same, each built the more exact way."""
    first = {(one.shallow, one.deep): one for one in reversed(pairs)}
    text = f"Made deep by blocks that pass their input on ({SOURCE}), {_names(sorted(first))}"
    lost = [first[pair] for pair in sorted(first) if not first[pair].exact]
    largest = max(one.difference for one in first.values())
    if not lost:
        images = count(max(one.images for one in first.values()))
        logits = f"logits differ by {difference(largest)} at most" if largest else "their logits are equal"
        return f"{text} give all {images} training images the classes that they gave them before: {logits}."
    parts = [f"{one.changed} of {count(one.images)} from plain-{one.shallow} to plain-{one.deep}" for one in lost]
    return f"{text} change predictions: {listed(parts)}; logits differ by up to {difference(largest)}."


def _names(pairs: list[tuple[int, int]]) -> str:
    """Write which nets were made into which: ``plain-8 (as plain-20 and plain-56)``."""
    made: dict[int, list[str]] = {}
    for shallow, deep in pairs:
        made.setdefault(shallow, []).append(f"plain-{deep}")
    if len(pairs) > MOST_NAMES:
        return f"plain nets of {listed([str(depth) for depth in made])} layers ({len(pairs)} pairs)"
    return listed([f"plain-{shallow} (as {listed(deep)})" for shallow, deep in made.items()])


def _against_training(best: Pair, resolution: float, smallest: float) -> str:
    """Compare the deepest net as built with its training from scratch."""
    seeds = len(best.errors)
    made = f"Weights with which plain-{best.deep} has {points(float(best.errors.mean()))}% training error are thus "
    made += f"known (built from plain-{best.shallow}, {seeds} seed{'s' * (seeds != 1)})"
    if not len(best.trained):
        return f"{made}; this study didn't train plain-{best.deep} from scratch to compare."
    found = excess(best.trained, best.errors, resolution)
    text = f"{made}; trained from scratch it has {points(float(best.trained.mean()))}%, {more_or_less(found)} "
    return f"{text}({grounds(found)}): {_verdict(found, smallest)}."


def _verdict(found: Interval, smallest: float) -> str:
    said = {
        "more": "the net could do better than training makes it",
        "rather more": f"more, though whether by more than {smallest:g} points can't be told",
        "no more": "training finds what is as good",
        "less": "training finds what is better than the construction",
        "unclear": "whether training falls short of it can't be told",
    }[found.direction(smallest)]
    return f"{said}, as far as one seed can tell" if np.isnan(found.low) else said


def pairs_table(pairs: tuple[Pair, ...]) -> Table:
    """Return every pair, with both ways to build it."""
    numbers = pd.DataFrame([
        {"net": f"plain-{one.shallow}", "built": f"plain-{one.deep}", "statistics": one.statistics,
         "blocks": one.blocks, "largest_difference": one.difference, "changed": one.changed, "images": one.images,
         "shallow_error": one.shallow_errors.mean(), "error": one.errors.mean(), "seeds": len(one.errors),
         "trained_error": one.trained.mean() if len(one.trained) else np.nan,
         "trained_sd": one.trained.std(ddof=1) if len(one.trained) > 1 else np.nan,
         "trained_seeds": len(one.trained)}
        for one in pairs
    ])  # fmt: skip
    columns = {
        "Net": [f"plain-{one.shallow}" for one in pairs],
        "Made into": [f"plain-{one.deep}" for one in pairs],
        "Blocks inserted": [str(one.blocks) for one in pairs],
        "Their batch norm": [NORMS.get(one.statistics, one.statistics) for one in pairs],
        "Largest difference of logits": [difference(one.difference) for one in pairs],
        "Predictions changed": [f"{one.changed} of {count(one.images)}" for one in pairs],
        "Training error of the net (%)": [_mean(one.shallow_errors) for one in pairs],
        "As built (%)": [_mean(one.errors) for one in pairs],
        "Trained from scratch (%)": [_mean(one.trained) for one in pairs],
    }
    caption = (
        "Deep plain nets built from shallow ones that were trained, by blocks that pass their input on "
        f"({SOURCE}), and the same deep nets trained from scratch: training error in evaluation mode, mean ± standard "
        "deviation (number of seeds); of differences and changes the largest over seeds. The inserted batch norms hold "
        "mean 0 and variance 1, or what was measured of the channels they see."
    )
    return Table("construction", caption, numbers, pd.DataFrame(columns))


def difference(value: float) -> str:
    """Write a difference of logits: ``0``, ``3.1e-05``, ``0.12``."""
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}"


def _mean(errors: NDArray[np.float64]) -> str:
    mean = mean_interval(errors)
    return spread(mean.estimate, mean.sd, mean.seeds)
