"""What the shortcuts remove of the rise in training error: the difference in differences, at every common depth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from study.statistics.interval import Interval
from study.statistics.multiplicity import holm
from study.statistics.welch import difference_in_differences
from study.verdict import selection as c
from study.verdict.edges import Edges, slack
from study.verdict.findings import METRIC, UNFAIR, Finding
from study.verdict.rule import ALPHA

UNLIKE = "plain and residual nets were not trained"
SAME_TRAINING = {
    "total_iterations": "for the same number of iterations",
    "train_images": "on the same training images",
    "dataset": "on the same data",
}
"""Columns of runs that must be equal for plain and residual nets, in words that follow `UNLIKE`."""


@dataclass(frozen=True)
class ShortcutEffect:
    """What the shortcuts remove of the rise in training error between two depths that both architectures have."""

    shallow: int
    deep: int
    contrast: Interval
    p_adjusted: float
    """Adjusted over the depths: the deepest is tested first, and only if it is significant the others, by Holm's rule.

    A headline that isn't against the shallowest common net is adjusted by Bonferroni over all pairs of common depths.
    """
    edge: bool = False
    """Whether a rate on the edge of its search could explain the sign of the contrast."""

    @property
    def alone(self) -> bool:
        """Whether it is significant by itself, but not once the other depths are counted."""
        return self.contrast.p < ALPHA <= self.p_adjusted and not self.edge


@dataclass(frozen=True)
class ShortcutEffects:
    """The difference in differences of one variant."""

    headline: ShortcutEffect | None
    """At the depths of the plain headline, where both architectures have them, else between the outermost ones."""
    depths: tuple[ShortcutEffect, ...]
    """Every common depth against the shallowest common one."""
    lacking: str
    """Why there is none; empty where there is."""


NOTHING = ShortcutEffects(None, (), "")


def shortcut_effects(counted: pd.DataFrame, findings: Sequence[Finding], edges: Edges | None = None) -> ShortcutEffects:
    """Compare the rises of plain and residual nets at every depth that both have with two seeds at least.

    (deep - shallow) of plain nets minus that of residual nets, in points of training error; positive: the shortcuts
    remove so much. Nothing is said where the two weren't trained alike.
    """
    by_architecture = {finding.architecture: finding for finding in findings}
    if "plain" not in by_architecture or "residual" not in by_architecture:
        return NOTHING
    for finding in (by_architecture["plain"], by_architecture["residual"]):
        if finding.reason in UNFAIR:
            return ShortcutEffects(None, (), f"{finding.architecture} nets were not trained alike")
    kinds = {kind: counted[counted["architecture"] == kind] for kind in ("plain", "residual")}
    for column, unit in SAME_TRAINING.items():
        values = [set(kind[column].dropna()) for kind in kinds.values()]
        if values[0] != values[1] and all(len(kind) for kind in kinds.values()):
            return ShortcutEffects(None, (), f"{UNLIKE} {unit}")
    seeds = {
        depth: [len(c.values(counted, depth, METRIC, kind)) for kind in kinds] for depth in c.depths(kinds["plain"])
    }
    common = [depth for depth, counts in seeds.items() if min(counts) >= 2]
    if len(common) < 2:
        units = "splits" if c.several_splits(counted) else "seeds"
        lacking = f"plain and residual nets have fewer than two depths in common with two {units} each"
        return ShortcutEffects(None, (), lacking)
    effects = [_effect(counted, kinds, common[0], deep, edges or {}) for deep in common[1:]]
    *others, first = [effect.contrast.p for effect in effects]
    adjusted = [*(max(first, p) for p in holm(others)), first]
    depths = tuple(replace(effect, p_adjusted=p) for effect, p in zip(effects, adjusted, strict=True))
    headline = by_architecture["plain"].headline
    if headline is None or not {headline.shallow, headline.deep} <= set(common):
        return ShortcutEffects(depths[-1], depths, "")
    if headline.shallow == common[0]:
        return ShortcutEffects(next(effect for effect in depths if effect.deep == headline.deep), depths, "")
    effect = _effect(counted, kinds, headline.shallow, headline.deep, edges or {})
    p = min(1.0, effect.contrast.p * math.comb(len(common), 2))
    return ShortcutEffects(replace(effect, p_adjusted=p), depths, "")


def _effect(
    counted: pd.DataFrame, kinds: dict[str, pd.DataFrame], shallow: int, deep: int, edges: Edges
) -> ShortcutEffect:
    plain_deep, plain_shallow, residual_deep, residual_shallow = (
        c.values(counted, depth, METRIC, kind) for kind in kinds for depth in (deep, shallow)
    )
    resolution = c.resolution(counted, METRIC)
    contrast = difference_in_differences(plain_deep, plain_shallow, residual_deep, residual_shallow, resolution)
    plain, residual = (slack(edges, kinds[kind], kind, METRIC) for kind in kinds)
    # Less error of the deep plain or the shallow residual net lowers the contrast, of the other two it raises it.
    less = plain.of(deep) + residual.of(shallow)
    more = plain.of(shallow) + residual.of(deep)
    edge = (contrast.low > 0 >= contrast.low - less) or (contrast.high < 0 <= contrast.high + more)
    return ShortcutEffect(shallow, deep, contrast, contrast.p, edge)
