"""Several verdicts together: the deepest against the shallowest plain net of each study or variant."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from study.statistics.meta import RandomEffects, random_effects
from study.statistics.multiplicity import holm
from study.verdict.pairs import Pair
from study.verdict.rule import ALPHA, Status
from study.verdict.variant import Variant
from study.verdict.verdict import Verdict
from study.verdict.words import say_each


class Part(NamedTuple):
    """What one of the verdicts adds."""

    variant: str
    status: Status
    pair: Pair
    """The deepest against the shallowest plain net, whatever pair the verdict quotes."""
    exploratory: bool
    p_adjusted: float
    """Of `pair.p_worse`, by Holm over all the verdicts; NaN where it couldn't be tested."""

    @property
    def worse(self) -> bool:
        """Whether the verdict shows degradation, and the deepest net is worse beside all other tests too."""
        return self.status == "shown" and self.p_adjusted < ALPHA


class Overall(NamedTuple):
    """Several verdicts together."""

    parts: tuple[Part, ...]
    mean: RandomEffects | None
    """Of the rise in points; None with fewer than two that could be tested, and where two are of one study or share a
    training: their errors or their nets aren't independent."""
    sentences: tuple[str, ...]


def overall(verdicts: Sequence[Verdict], runs: pd.DataFrame) -> Overall | None:
    """Judge the rise in plain nets over all verdicts on these runs; None with fewer than two that compare them."""
    judged = [(verdict, pair) for verdict in verdicts if (pair := _ends(verdict)) is not None]
    if len(judged) < 2:
        return None
    adjusted = holm([pair.p_worse for _, pair in judged])
    parts = tuple(
        Part(verdict.variant, verdict.plain.status, pair, bool(verdict.exploratory), p)
        for (verdict, pair), p in zip(judged, adjusted, strict=True)
        if verdict.plain is not None
    )
    tested = [part.pair for part in parts if not math.isnan(part.pair.error)]
    mean = None
    if len(tested) > 1 and _independent([pair.variant for pair in tested], runs):
        mean = random_effects([pair.difference.estimate for pair in tested], [pair.error for pair in tested])
        mean = mean._replace(mean=mean.mean.within(-100, 100))
    return Overall(parts, mean, say_each("overall", parts, mean))


def _independent(variants: Sequence[str], runs: pd.DataFrame) -> bool:
    """Tell whether each variant is of a study of its own, and no two have a plain run in common."""
    studies = [Variant.parse(variant).get("study", "") for variant in variants]
    used = runs[runs["variant"].isin(variants) & (runs["architecture"] == "plain") & (runs["run_key"] != "")]
    common = used.drop_duplicates(["variant", "run_key"])["run_key"].duplicated().any()
    return len(set(studies)) == len(studies) and not common


def _ends(verdict: Verdict) -> Pair | None:
    if verdict.plain is None or not verdict.plain.train:
        return None
    return max(verdict.plain.train, key=lambda pair: (pair.deep, -pair.shallow))
