"""The rule of the verdict: whether depth raises the training error of nets of one architecture.

The rule was set before any result was seen. It is applied to `final_train_error` (whole training split, clean images,
evaluation mode), for each architecture, over all pairs of a shallow and a deeper net:

- shown: some pair has p < 0.05 (Welch, two-sided) and an estimate of at least the smallest effect of interest, or error
  rises along all depths with p < 0.05 (Jonckheere-Terpstra, one-sided) and the deepest against the shallowest has such
  an estimate; Holm's adjustment is over all these tests within the architecture;
- refuted: the 95% interval of every pair ends below the smallest effect (all of several tests must hold, which needs no
  adjustment: Berger, 1982, Technometrics 24); it says that between these depths on these data depth does no such harm;
- inconclusive: all else, with the reason.

Nothing is compared that was trained differently: other lengths of training or other data withhold the verdict. So does
a tuned rate on the edge of what its search tried, where it could change the conclusion: what lies beyond isn't known,
so such a net might err less, by up to all its error. That matters to "shown" for the deeper net and to "refuted" for
the shallower one, and not for a net that ends at 0.00% (`Slack`). "Inconclusive" stays what it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from study.statistics.trend import Trend, jonckheere
from study.statistics.welch import holm
from study.verdict import selection as c
from study.verdict.optimum import Turn, turn
from study.verdict.pairs import ALPHA, Pair, pairs
from study.verdict.text import listed

Status = Literal["shown", "refuted", "inconclusive"]
Reason = Literal["", "one seed", "one depth", "no result", "unequal training", "unequal data", "edge", "imprecise"]

Side = Literal["lowest", "highest"]
Edges = Mapping[tuple[str, int], Side]
"""By architecture and depth: on which side the chosen rate is the last one tried. Others are left out."""

SMALLEST_EFFECT = 0.5
METRIC = "final_train_error"
UNFAIR = ("unequal training", "unequal data")
ALIKE: tuple[tuple[str, Reason, str], ...] = (
    ("total_iterations", "unequal training", "iterations"),
    ("train_images", "unequal data", "training images"),
    ("dataset", "unequal data", ""),
)
"""What nets that are compared must have in common: column, reason to withhold, unit."""


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
    """The pair that the verdict's words quote; None where there is no pair."""
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]
    gap: tuple[Pair, ...]
    trend: Trend
    """Of the training error along the depths; its p is NaN where it can't be tested."""
    turn: Turn | None
    """Where the training error is least."""

    def match(self, pair: Pair, among: tuple[Pair, ...]) -> Pair | None:
        """Return the pair of the same two depths in another metric or architecture."""
        return next((other for other in among if (other.shallow, other.deep) == (pair.shallow, pair.deep)), None)


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


def find(runs: pd.DataFrame, counted: pd.DataFrame, smallest: float, edges: Edges | None = None) -> tuple[Finding, ...]:
    """Apply the rule to each architecture of one variant.

    Args:
        runs: all runs of the variant, ended or not.
        counted: those that count.
        smallest: smallest effect of interest, in points.
        edges: nets whose tuned rate is the last one tried on a side.
    """
    return tuple(_finding(runs, counted, name, smallest, edges or {}) for name in c.architectures(runs))


def _finding(runs: pd.DataFrame, counted: pd.DataFrame, architecture: str, smallest: float, edges: Edges) -> Finding:
    runs = runs[runs["architecture"] == architecture]
    counted = counted[counted["architecture"] == architecture]
    planned = {depth: c.net_name(runs, architecture, depth) for depth in c.depths(runs)}
    rise = jonckheere([c.values(counted, depth, METRIC) for depth in planned])
    withheld = _withheld(planned, counted)
    if withheld is not None:
        untested = Trend(math.nan, math.nan, rise.groups, rise.n)  # no number of a comparison that isn't fair
        return Finding(architecture, "inconclusive", *withheld, None, (), (), (), untested, None)
    others = () if math.isnan(rise.p) else (rise.p,)
    train = tuple(pairs(counted, planned, METRIC, smallest, others=others))
    test, gap = (tuple(pairs(counted, planned, key, smallest)) for key in ("final_test_error", "generalisation_gap"))
    if others:
        rise = rise._replace(p_holm=holm([*(pair.difference.p for pair in train), rise.p])[-1])
    loose = slack(edges, counted, architecture, METRIC)
    status, reason, detail = _status(planned, counted, train, rise, smallest, Slack({}))
    headline = _headline(train, status, smallest, Slack({}))
    if status != "inconclusive":
        if _status(planned, counted, train, rise, smallest, loose)[0] == status:
            headline = _headline(train, status, smallest, loose)
        else:
            detail = edge_words(planned, edges, architecture, _harmful(train, planned, status, smallest, loose))
            status, reason = "inconclusive", "edge"
    turned = turn(counted, planned, train, METRIC, smallest)
    return Finding(architecture, status, reason, detail, headline, train, test, gap, rise, turned)


def _withheld(names: Mapping[int, str], counted: pd.DataFrame) -> tuple[Reason, str] | None:
    """Return why the nets can't be compared at all, and the nets that it is about."""
    if len(names) < 2:
        return "one depth", next(iter(names.values()))
    for column, reason, unit in ALIKE:
        if counted[column].nunique() > 1:
            return reason, _by_amount(counted, column, unit)
    return None


def _status(
    names: Mapping[int, str], counted: pd.DataFrame, train: tuple[Pair, ...], rise: Trend, smallest: float, loose: Slack
) -> tuple[Status, Reason, str]:
    """Return the status, the reason for an inconclusive one and the nets that it is about."""
    if any(loose.still_worse(pair, smallest) for pair in train):
        return "shown", "", ""
    if rise.p_holm < ALPHA and _ends(train).difference.estimate >= smallest and loose.orders(list(names)):
        return "shown", "", ""
    seeds = {depth: len(c.values(counted, depth, METRIC)) for depth in names}
    few: tuple[tuple[int, Reason], ...] = ((0, "no result"), (1, "one seed"))
    for count, reason in few:
        lacking = [names[depth] for depth in sorted(names) if seeds[depth] == count]
        if lacking:
            return "inconclusive", reason, listed(lacking)
    if all(loose.still_harmless(pair, smallest) for pair in train):
        return "refuted", "", ""
    return "inconclusive", "imprecise", ""


def _harmful(
    train: tuple[Pair, ...], names: Mapping[int, str], status: Status, smallest: float, loose: Slack
) -> list[int]:
    """Return the depths whose rates on an edge keep a status from standing."""
    if status == "refuted":
        return sorted({pair.shallow for pair in train if not loose.still_harmless(pair, smallest)})
    pairs_ = {pair.deep for pair in train if pair.worse(smallest)}
    # Where only the order of the depths showed it, every net but the shallowest counts.
    return [depth for depth in sorted(pairs_ or set(sorted(names)[1:])) if loose.of(depth) > 0]


def _ends(train: tuple[Pair, ...]) -> Pair:
    """Return the deepest against the shallowest."""
    return min(train, key=lambda pair: (pair.shallow, -pair.deep))


def _headline(train: tuple[Pair, ...], status: Status, smallest: float, loose: Slack) -> Pair | None:
    """Return the deepest against the shallowest if that pair carries the status, else the pair that carries it most."""
    if not train:
        return None
    ends = _ends(train)
    if status == "shown":
        able = [pair for pair in train if loose.still_worse(pair, smallest)]
        return ends if ends in able or not able else max(able, key=lambda pair: pair.difference.estimate)
    if status == "inconclusive":
        open_ = [pair for pair in train if pair.difference.high >= smallest]
        return ends if ends in open_ or not open_ else max(open_, key=lambda pair: pair.difference.high)
    return ends


def _by_amount(counted: pd.DataFrame, column: str, unit: str) -> str:
    """Say which nets have which value of a column: ``220 iterations: plain-8 and plain-20; 440 iterations: ...``."""
    parts = []
    for amount in sorted(set(counted[column].dropna())):
        nets = listed(list(dict.fromkeys(counted.loc[counted[column] == amount, "net"])))
        parts.append(f"{amount:,.0f} {unit}: {nets}" if unit else f"{amount}: {nets}")
    return "; ".join(parts)


def find_edges(counted: pd.DataFrame, trials: pd.DataFrame | None) -> dict[tuple[str, int], Side]:
    """Return the nets whose rate was tuned by one of these searches and lies on the edge of it.

    Args:
        counted: the counted runs of one variant.
        trials: its trials, a row a trial (`tuning.by_trial`); None where they aren't known.
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
