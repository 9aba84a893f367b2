"""What the shortcuts remove of the rise in training error: the difference in differences, at every common depth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from study.statistics.interval import Interval
from study.statistics.welch import difference_in_differences, holm
from study.verdict import selection as c
from study.verdict.rule import METRIC, UNFAIR, Edges, Finding, slack

UNLIKE = "plain and residual nets were not trained"


@dataclass(frozen=True)
class Remedy:
    """What the shortcuts remove of the rise in training error between two depths that both architectures have."""

    shallow: int
    deep: int
    contrast: Interval
    p_holm: float
    """Adjusted over the depths that are compared with the shallowest; a headline between two others stands alone."""
    edge: bool = False
    """Whether a rate on the edge of its search could explain the sign of the contrast."""


@dataclass(frozen=True)
class Remedies:
    """The difference in differences of one variant."""

    headline: Remedy | None
    """At the depths of the plain headline, where both architectures have them, else between the outermost ones."""
    depths: tuple[Remedy, ...]
    """Every common depth against the shallowest common one."""
    lacking: str
    """Why there is none; empty where there is."""


NOTHING = Remedies(None, (), "")


def remedies(kept: pd.DataFrame, findings: Sequence[Finding], edges: Edges | None = None) -> Remedies:
    """Compare the rises of plain and residual nets at every depth that both have with two seeds at least.

    (deep - shallow) of plain nets minus that of residual nets, in points of training error; positive: the shortcuts
    remove so much. Nothing is said where the two weren't trained alike.
    """
    found = {one.architecture: one for one in findings}
    if "plain" not in found or "residual" not in found:
        return NOTHING
    for one in (found["plain"], found["residual"]):
        if one.reason in UNFAIR:
            return Remedies(None, (), f"{one.architecture} nets were not trained alike")
    kinds = {kind: kept[kept["architecture"] == kind] for kind in ("plain", "residual")}
    for column, unit in (("total_iterations", "for the same number of iterations"),
                         ("train_images", "on the same training images"),
                         ("dataset", "on the same data")):  # fmt: skip
        values = [set(kind[column].dropna()) for kind in kinds.values()]
        if values[0] != values[1] and all(len(kind) for kind in kinds.values()):
            return Remedies(None, (), f"{UNLIKE} {unit}")
    common = [depth for depth in c.depths(kinds["plain"])
              if all(len(c.values(kind, depth, METRIC)) >= 2 for kind in kinds.values())]  # fmt: skip
    if len(common) < 2:
        lacking = "plain and residual nets have fewer than two depths in common with two seeds each"
        return Remedies(None, (), lacking)
    all_ = [_remedy(kept, kinds, common[0], deep, edges or {}) for deep in common[1:]]
    adjusted = holm([one.contrast.p for one in all_])
    depths = tuple(replace(one, p_holm=p) for one, p in zip(all_, adjusted, strict=True))
    headline = found["plain"].headline
    if headline is None or not {headline.shallow, headline.deep} <= set(common):
        return Remedies(depths[-1], depths, "")
    if headline.shallow == common[0]:
        return Remedies(next(one for one in depths if one.deep == headline.deep), depths, "")
    return Remedies(_remedy(kept, kinds, headline.shallow, headline.deep, edges or {}), depths, "")


def _remedy(kept: pd.DataFrame, kinds: dict[str, pd.DataFrame], shallow: int, deep: int, edges: Edges) -> Remedy:
    plain_deep, plain_shallow, residual_deep, residual_shallow = (
        c.values(kinds[kind], depth, METRIC) for kind in kinds for depth in (deep, shallow)
    )
    resolution = c.resolution(kept, METRIC)
    contrast = difference_in_differences(plain_deep, plain_shallow, residual_deep, residual_shallow, resolution)
    plain, residual = (slack(edges, kinds[kind], kind, METRIC) for kind in kinds)
    # Less error of the deep plain or the shallow residual net lowers the contrast, of the other two it raises it.
    less = plain.of(deep) + residual.of(shallow)
    more = plain.of(shallow) + residual.of(deep)
    edge = (contrast.low > 0 >= contrast.low - less) or (contrast.high < 0 <= contrast.high + more)
    return Remedy(shallow, deep, contrast, contrast.p, edge)
