"""Tuned rates on the edge of what their search tried, and how much of a difference such a rate could explain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from study.verdict import selection as c
from study.verdict.pairs import Pair

Side = Literal["lowest", "highest"]
Edges = Mapping[tuple[str, int], Side]
"""By architecture and depth: on which side the chosen rate is the last one tried. Others are left out."""


def find_edges(kept: pd.DataFrame, trials: pd.DataFrame | None) -> dict[tuple[str, int], Side]:
    """Return the nets whose rate was tuned by one of these searches and lies on the edge of it.

    Args:
        kept: the counted runs of one variant.
        trials: its trials, a row a trial (`tuning.by_trial`); None where they aren't known.
    """
    if trials is None or trials.empty or kept.empty:
        return {}
    tuned = kept[kept["lr_tuned"].astype(bool)]
    nets = set(tuned[["architecture", "depth"]].itertuples(index=False, name=None))
    return {
        (architecture, int(depth)): str(side)  # type: ignore[misc]
        for architecture, depth, side in trials[["architecture", "depth", "edge"]].itertuples(index=False, name=None)
        if side in ("lowest", "highest") and (architecture, depth) in nets
    }


@dataclass(frozen=True)
class Slack:
    """By how much each net of an architecture could err less at a rate beyond the edge of its search.

    What a better rate would bring isn't known, so the worst for the conclusion is assumed: that it would bring the
    training error down to 0. A net that ends at 0.00% has nothing to gain.
    """

    points: Mapping[int, float]
    """By depth, the mean error of a net whose rate lies on an edge; other nets are left out."""

    def of(self, depth: int) -> float:
        """Return the points of a net, 0 for one whose rate isn't on an edge."""
        return self.points.get(depth, 0.0)

    def still_worse(self, pair: Pair, smallest: float) -> bool:
        """Tell whether the deep net is shown to be worse whatever a better rate would bring it."""
        return pair.worse(smallest) and pair.difference.estimate - self.of(pair.deep) >= smallest

    def still_harmless(self, pair: Pair, smallest: float) -> bool:
        """Tell whether the deep net isn't worse by the smallest effect whatever a better rate would bring the other."""
        return pair.difference.high + self.of(pair.shallow) < smallest

    def orders(self, depths: list[int]) -> bool:
        """Tell whether a rise along the depths stands: no net but the shallowest, which would add to it, may gain."""
        return all(self.of(depth) == 0 for depth in sorted(depths)[1:])


def slack(edges: Edges, kept: pd.DataFrame, architecture: str, metric: str) -> Slack:
    """Return what the nets of an architecture could gain; `kept` are its counted runs."""
    depths = [depth for kind, depth in edges if kind == architecture]
    found = {depth: c.values(kept, depth, metric) for depth in depths}
    return Slack({depth: float(values.mean()) for depth, values in found.items() if len(values)})
