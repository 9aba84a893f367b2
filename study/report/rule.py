"""The rule of the verdict: whether depth raises the training error of plain nets, and shortcuts undo it.

The rule was set before any result was seen. It is applied to `final_train_error` (whole training split, clean images,
evaluation mode), for each architecture, over all pairs of a shallow and a deeper net:

- shown: some pair has p < 0.05 (Welch, two-sided) and an estimate of at least the smallest effect of interest, or error
  rises along all depths with p < 0.05 (Jonckheere-Terpstra, one-sided) and the deepest against the shallowest has such
  an estimate; Holm's adjustment is over all these tests within the architecture;
- not shown: the 95% interval of every pair ends below the smallest effect (all of several tests must hold, which
  needs no adjustment: Berger, 1982, Technometrics 24);
- inconclusive: all else, with the reason.

Nothing is compared that was trained differently: other lengths of training or other data withhold the verdict.
"""

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from study.report import cells as c
from study.report.pairs import Pair, pairs
from study.report.statistics import Contrast, Trend, difference_in_differences, holm, trend

Status = Literal["shown", "not shown", "inconclusive"]
Reason = Literal["", "one seed", "one depth", "no result", "unequal training", "unequal data", "imprecise"]

ALPHA = 0.05
SMALLEST_EFFECT = 0.5
METRIC = "final_train_error"
UNLIKE = "plain and residual nets were not trained"


@dataclass(frozen=True)
class Finding:
    """What holds for one architecture."""

    architecture: str
    status: Status
    reason: Reason
    """Why it is inconclusive; empty otherwise."""
    detail: str
    """The nets that the reason is about, in words."""
    headline: Pair | None
    """The pair the verdict is told with; None where there is no pair."""
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]
    gap: tuple[Pair, ...]
    trend: Trend
    """Of the training error along the depths; its p is NaN where it can't be tested."""

    def match(self, pair: Pair, among: tuple[Pair, ...]) -> Pair | None:
        """Return the pair of the same two depths in another metric or architecture."""
        return next((one for one in among if (one.shallow, one.deep) == (pair.shallow, pair.deep)), None)


@dataclass(frozen=True)
class Remedy:
    """What the shortcuts remove of the rise in training error between two depths that both architectures have."""

    shallow: int
    deep: int
    contrast: Contrast


def find(runs: pd.DataFrame, kept: pd.DataFrame, smallest: float) -> tuple[tuple[Finding, ...], Remedy | None, str]:
    """Apply the rule to one variant: `kept` are the counted ones of `runs`.

    Returns:
        A finding for each architecture, what the shortcuts remove, and why nothing is said of that.
    """
    findings = tuple(_finding(runs, kept, name, smallest) for name in c.architectures(runs))
    return findings, *_remedy(kept, findings)


def _finding(runs: pd.DataFrame, kept: pd.DataFrame, architecture: str, smallest: float) -> Finding:
    runs = runs[runs["architecture"] == architecture]
    kept = kept[kept["architecture"] == architecture]
    planned = {depth: c.net_name(runs, architecture, depth) for depth in c.depths(runs)}
    rise = trend([c.values(kept, depth, METRIC) for depth in planned])
    others = () if math.isnan(rise.p) else (rise.p,)
    train = tuple(pairs(kept, planned, METRIC, others=others))
    test, gap = (tuple(pairs(kept, planned, metric)) for metric in ("final_test_error", "generalisation_gap"))
    if others:
        rise = rise._replace(p_holm=holm([*(pair.difference.p for pair in train), rise.p])[-1])
    status, reason, detail = _status(planned, kept, train, rise, smallest)
    if reason in ("unequal training", "unequal data"):  # no number of a comparison that isn't fair
        untested = Trend(math.nan, math.nan, rise.groups, rise.n)
        return Finding(architecture, status, reason, detail, None, (), (), (), untested)
    return Finding(architecture, status, reason, detail, _headline(train, status, smallest), train, test, gap, rise)


def _status(
    names: dict[int, str], kept: pd.DataFrame, train: tuple[Pair, ...], rise: Trend, smallest: float
) -> tuple[Status, Reason, str]:
    """Return the status, the reason for an inconclusive one and the nets that it is about."""
    planned = sorted(names)
    if len(planned) < 2:
        return "inconclusive", "one depth", names[planned[0]]
    for column, reason, unit in (("total_iterations", "unequal training", "iterations"),
                                 ("train_images", "unequal data", "training images"),
                                 ("dataset", "unequal data", "")):  # fmt: skip
        if kept[column].nunique() > 1:
            return "inconclusive", reason, _by_amount(kept, column, unit)  # type: ignore[return-value]
    if any(_qualifies(pair, smallest) for pair in train):
        return "shown", "", ""
    if rise.p_holm < ALPHA and _ends(train).difference.estimate >= smallest:
        return "shown", "", ""
    seeds = {depth: int((kept["depth"] == depth).sum()) for depth in planned}
    for count, reason in ((0, "no result"), (1, "one seed")):
        lacking = [names[depth] for depth in planned if seeds[depth] == count]
        if lacking:
            return "inconclusive", reason, listed(lacking)  # type: ignore[return-value]
    if all(pair.difference.high < smallest for pair in train):
        return "not shown", "", ""
    return "inconclusive", "imprecise", ""


def _qualifies(pair: Pair, smallest: float) -> bool:
    return pair.p_holm < ALPHA and pair.difference.estimate >= smallest


def _ends(train: tuple[Pair, ...]) -> Pair:
    """Return the deepest against the shallowest."""
    return min(train, key=lambda pair: (pair.shallow, -pair.deep))


def _headline(train: tuple[Pair, ...], status: Status, smallest: float) -> Pair | None:
    """Return the deepest against the shallowest if that pair carries the status, else the pair that carries it most."""
    if not train:
        return None
    ends = _ends(train)
    if status == "shown":
        candidates = [pair for pair in train if _qualifies(pair, smallest)]
        return (
            ends if ends in candidates or not candidates else max(candidates, key=lambda pair: pair.difference.estimate)
        )
    if status == "inconclusive":
        open_ = [pair for pair in train if pair.difference.high >= smallest]
        return ends if ends in open_ or not open_ else max(open_, key=lambda pair: pair.difference.high)
    return ends


def _remedy(kept: pd.DataFrame, findings: tuple[Finding, ...]) -> tuple[Remedy | None, str]:
    """Return the difference in differences at the depths of the plain headline, or why there is none."""
    found = {one.architecture: one for one in findings}
    if "plain" not in found or "residual" not in found:
        return None, ""
    plain, residual = kept[kept["architecture"] == "plain"], kept[kept["architecture"] == "residual"]
    for one in (found["plain"], found["residual"]):
        if one.reason in ("unequal training", "unequal data"):
            return None, f"{one.architecture} nets were not trained alike"
    for column, unit in (("total_iterations", "for the same number of iterations"),
                         ("train_images", "on the same training images"),
                         ("dataset", "on the same data")):  # fmt: skip
        if set(plain[column].dropna()) != set(residual[column].dropna()) and len(plain) and len(residual):
            return None, f"{UNLIKE} {unit}"
    common = [
        depth for depth in c.depths(plain)
        if len(c.values(plain, depth, METRIC)) >= 2 and len(c.values(residual, depth, METRIC)) >= 2
    ]  # fmt: skip
    if len(common) < 2:
        return None, "plain and residual nets have fewer than two depths in common with two seeds each"
    headline = found["plain"].headline
    shallow, deep = common[0], common[-1]
    if headline is not None and {headline.shallow, headline.deep} <= set(common):
        shallow, deep = headline.shallow, headline.deep
    contrast = difference_in_differences(
        c.values(plain, deep, METRIC),
        c.values(plain, shallow, METRIC),
        c.values(residual, deep, METRIC),
        c.values(residual, shallow, METRIC),
        c.resolution(kept, METRIC),
    )
    return Remedy(shallow, deep, contrast), ""


def _by_amount(kept: pd.DataFrame, column: str, unit: str) -> str:
    """Say which nets have which value of a column: ``220 iterations: plain-8 and plain-20; 440 iterations: ...``."""
    parts = []
    for amount in sorted(set(kept[column].dropna())):
        nets = listed(list(dict.fromkeys(kept.loc[kept[column] == amount, "net"])))
        parts.append(f"{amount:,.0f} {unit}: {nets}" if unit else f"{amount}: {nets}")
    return "; ".join(parts)


def listed(words: list[str]) -> str:
    """Join words as a list in a sentence: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
