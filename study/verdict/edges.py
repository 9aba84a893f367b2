"""Tuned rates on the edge of what their search tried: which nets have one, and what that leaves open.

What lies beyond an edge isn't known, so such a net might err less, by up to all its error. That matters to "shown" for
the deeper net of a pair and to "refuted" and "not seen" for the shallower one, and not for a net that ends at 0.00%.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from study.verdict import selection as c
from study.verdict.text import listed

Side = Literal["lowest", "highest"]
Edges = Mapping[tuple[str, int], Side]
"""By architecture and depth: on which side the chosen rate is the last one tried. Others are left out."""


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

    def keeps_order(self, depths: list[int]) -> bool:
        """Tell whether a rise along the depths stands: no net but the shallowest, which would add to it, may gain."""
        return all(self.of(depth) == 0 for depth in sorted(depths)[1:])


NO_SLACK = Slack({})


def find_edges(counted: pd.DataFrame, trials: pd.DataFrame | None) -> dict[tuple[str, int], Side]:
    """Return the nets whose rate was tuned by one of these searches and lies on the edge of it.

    Args:
        counted: the counted runs of one variant.
        trials: its trials, a row a trial (`searches.by_trial`); None where they aren't known.
    """
    if trials is None or trials.empty or counted.empty:
        return {}
    tuned = counted[counted["lr_tuned"].astype(bool)]
    nets = set(tuned[["architecture", "depth"]].itertuples(index=False, name=None))
    return {
        (architecture, int(depth)): str(side)  # type: ignore[misc]
        for architecture, depth, side in trials[["architecture", "depth", "edge"]].itertuples(index=False, name=None)
        if side in ("lowest", "highest") and (architecture, depth) in nets
    }


def slack(edges: Edges, counted: pd.DataFrame, architecture: str, metric: str) -> Slack:
    """Return what the nets of an architecture could gain; `counted` are its counted runs."""
    depths = [depth for kind, depth in edges if kind == architecture]
    results = {depth: c.values(counted, depth, metric) for depth in depths}
    return Slack({depth: float(values.mean()) for depth, values in results.items() if len(values)})


def edge_words(names: Mapping[int, str], edges: Edges, architecture: str, depths: list[int]) -> str:
    """Say which rates are on an edge: ``the rate of plain-56 is the highest tried``."""
    parts = []
    for side in ("lowest", "highest"):
        nets = [names[depth] for depth in sorted(depths) if edges.get((architecture, depth)) == side]
        if nets:
            many = len(nets) > 1
            parts.append(f"the rate{'s' * many} of {listed(nets)} {'are' if many else 'is'} the {side} tried")
    return " and ".join(parts)
