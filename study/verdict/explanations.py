"""The other explanations of a rise in training error, one by one: overfitting, learning rate, training length.

Each is about an architecture whose training error is shown to rise, and about the pair that the verdict quotes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from study.verdict import selection as c
from study.verdict.convergence import SHARE, fall_at_end, trainings_needed
from study.verdict.pairs import Pair
from study.verdict.rate_sensitivity import Choice
from study.verdict.rule import Edges, Finding, edge_words
from study.verdict.shortcut_effect import ShortcutEffects
from study.verdict.words import say

Outcome = Literal["excluded", "not excluded", "open"]


@dataclass(frozen=True)
class Explanation:
    """Another explanation of a rise in training error, with what the numbers say of it."""

    name: Literal["overfitting", "learning rate", "training length"]
    architecture: str
    status: Outcome
    sentence: str
    numbers: Mapping[str, Any]
    """What the sentence is written from; in points of error unless a name says otherwise."""


class Longer(NamedTuple):
    """A variant of the study that differs in the length of training alone, and trained for longer."""

    variant: str
    times: float
    """Its iterations as a multiple."""
    findings: tuple[Finding, ...]


class RateSetting(NamedTuple):
    """How the learning rates of some runs were set."""

    tuned: Literal["all", "some", "none"]
    """Which of them by a search."""
    values: list[float]


class Facts(NamedTuple):
    """A variant's runs, their verdict's findings and what the searches say."""

    variant: str
    smallest: float
    findings: tuple[Finding, ...]
    effects: ShortcutEffects
    runs: pd.DataFrame
    counted: pd.DataFrame
    edges: Edges
    searched: bool
    """Whether the searches of its rates are known."""
    choices: tuple[Choice, ...]
    curves: pd.DataFrame | None
    longer: tuple[Longer, ...]

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, if the study has such nets."""
        return next((finding for finding in self.findings if finding.architecture == architecture), None)

    def cells(self, architecture: str) -> pd.DataFrame:
        """Return the counted runs of an architecture."""
        return self.counted[self.counted["architecture"] == architecture]


def explain(facts: Facts) -> tuple[Explanation, ...]:
    """Return what the numbers say of each explanation, for each architecture with a rise that is shown."""
    out = []
    for finding in facts.findings:
        if finding.status == "shown" and finding.headline is not None:
            out += [explanation(finding, finding.headline, facts) for explanation in (_overfitting, _rate, _length)]
    return tuple(explanation for explanation in out if explanation is not None)


def rate_setting(cells: pd.DataFrame) -> RateSetting:
    """Return how the learning rates of at least one run were set."""
    tuned = cells["lr_tuned"].astype(bool)
    return RateSetting("all" if tuned.all() else "some" if tuned.any() else "none", sorted(set(cells["lr"].dropna())))


def _overfitting(finding: Finding, headline: Pair, facts: Facts) -> Explanation | None:
    """Compare the generalisation gaps of the two nets. A net that overfits has a low training error, not a high one."""
    gap = finding.match(headline, finding.gap)
    if gap is None or math.isnan(gap.difference.low):
        return None
    cells = c.with_gap(facts.cells(finding.architecture))
    gaps = {depth: c.values(cells, depth, "generalisation_gap") for depth in c.depths(cells)}
    by_depth = {str(depth): float(values.mean()) for depth, values in gaps.items() if len(values)}
    numbers = {
        "gap_by_depth": by_depth,
        "change": gap.difference.record(),
        "training_rise": headline.difference.record(),
    }
    text = say("overfitting", finding.architecture, gap, by_depth, facts.smallest)
    return Explanation("overfitting", finding.architecture, "excluded", text, numbers)


def _rate(finding: Finding, headline: Pair, facts: Facts) -> Explanation:
    """Return how rates were set, whether one lies on an edge, and what the rise is at rates that all nets share."""
    kind = finding.architecture
    cells = facts.cells(kind)
    rates = rate_setting(cells)
    names = {depth: c.net_name(cells, kind, depth) for depth in c.depths(cells)}
    edges = {depth: facts.edges[kind, depth] for depth in names if (kind, depth) in facts.edges}
    shared = [
        (choice, choice.rises[kind])
        for choice in facts.choices
        if choice.point is not None and kind in choice.rises and not math.isnan(choice.rises[kind].estimate)
    ]
    rise_at_shared = {
        choice.name: {"lr": (choice.point or {})["lr"], "shallow": choice.shallow, "deep": choice.deep, **rise.record()}
        for choice, rise in shared
    }
    numbers = {
        "tuned": rates.tuned == "all",
        "rates": {names[depth]: sorted(set(cells.loc[cells["depth"] == depth, "lr"].dropna())) for depth in names},
        "edges": {names[depth]: side for depth, side in edges.items()},
        "rise_at_shared_rates": rise_at_shared,
    }
    status: Outcome = "not excluded" if rates.tuned != "all" else "excluded" if facts.searched else "open"
    where = edge_words(names, facts.edges, kind, list(edges))
    text = say("learning_rate", kind, rates, facts.searched, where, shared, names)
    return Explanation("learning rate", kind, status, text, numbers)


def _length(finding: Finding, headline: Pair, facts: Facts) -> Explanation | None:
    """Hold the fall of training error at the end against the difference, and find longer trainings of the study."""
    fall = None
    if facts.curves is not None and not facts.curves.empty:
        fall = fall_at_end(facts.curves, facts.counted, finding.architecture, headline.deep)
    numbers, pace = dict[str, Any](), math.nan
    if fall is not None:
        pace = trainings_needed(headline.difference.estimate, fall.high)
        fell = {key: value for key, value in fall.record().items() if key != "sd"}
        numbers = {"share_of_training": SHARE, "fall": fell, "difference": headline.difference.record()}
        numbers["trainings_needed_at_least"] = pace
    longer = []
    for other in facts.longer:
        there = next((item for item in other.findings if item.architecture == finding.architecture), None)
        pair = finding.match(headline, there.train) if there is not None else None
        if there is not None and pair is not None and not math.isnan(pair.difference.low):
            about = {"variant": other.variant, "times": other.times, "status": there.status}
            longer.append(about | {"difference": pair.difference})
            numbers.setdefault("longer", []).append(about | pair.difference.record())
    if fall is None and not longer:
        return None
    statuses = [other["status"] for other in longer]
    status: Outcome = "not excluded" if "refuted" in statuses else "excluded" if "shown" in statuses else "open"
    text = say("training_length", headline, SHARE, fall, pace, longer)
    return Explanation("training length", finding.architecture, status, text, numbers)
