"""The other explanations of a rise in training error, one by one: overfitting, learning rate, training length.

Each is about an architecture whose training error is shown to rise, and about the pair that the verdict quotes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from study.verdict import selection as c
from study.verdict.edges import Edges, edge_words
from study.verdict.findings import Finding
from study.verdict.length import Longer, LongerRise, longer_rises
from study.verdict.pairs import Pair
from study.verdict.rate_sensitivity import Choice
from study.verdict.rule import Failures, Rule
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


class RateSetting(NamedTuple):
    """How the learning rates of some runs were set."""

    tuned: Literal["all", "some", "none"]
    """Which of them by a search."""
    values: list[float]
    source: str = ""
    """The study whose searches found those that were asked of a search; empty where it is this one."""


class Facts(NamedTuple):
    """A variant's runs, their verdict's findings and what the searches say."""

    variant: str
    rule: Rule
    findings: tuple[Finding, ...]
    effects: ShortcutEffects
    runs: pd.DataFrame
    counted: pd.DataFrame
    edges: Edges
    searched: bool
    """Whether the searches of its rates are known."""
    choices: tuple[Choice, ...]
    longer: tuple[Longer, ...] = ()
    exploratory: tuple[str, ...] = ()
    """Why it rests on more than what was set before the results; as `planned.exploratory` returns it."""
    rates_from: str = ""
    """The study whose searches found its rates, as its commands say; empty where no other did."""

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, if the study has such nets."""
        return next((finding for finding in self.findings if finding.architecture == architecture), None)

    @property
    def iterations(self) -> int | None:
        """Length of training where all runs have the same."""
        lengths = set(self.counted["total_iterations"].dropna())
        return int(lengths.pop()) if len(lengths) == 1 else None

    def longer_rises(self, headline: Pair) -> list[LongerRise]:
        """Return what longer trainings make of a rise that is shown."""
        return longer_rises(headline, self.counted, self.longer)

    def failing(self) -> list[Failures]:
        """Return the nets of which a run failed."""
        return [net for finding in self.findings for net in finding.failures.values() if net.failed]

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


def rate_setting(cells: pd.DataFrame, source: str = "") -> RateSetting:
    """Return how the learning rates of at least one run were set; `source` is the study that they were taken from."""
    tuned = cells["lr_tuned"].astype(bool)
    by: Literal["all", "some", "none"] = "all" if tuned.all() else "some" if tuned.any() else "none"
    return RateSetting(by, sorted(set(cells["lr"].dropna())), source)


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
    text = say("overfitting", finding.architecture, gap, by_depth, facts.rule.smallest_effect)
    return Explanation("overfitting", finding.architecture, "excluded", text, numbers)


def _rate(finding: Finding, headline: Pair, facts: Facts) -> Explanation:
    """Return how rates were set, whether one lies on an edge, and what the rise is at rates that all nets share."""
    kind = finding.architecture
    cells = facts.cells(kind)
    rates = rate_setting(cells, facts.rates_from)
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
    status: Outcome = (
        "open" if rates.source else "not excluded" if rates.tuned != "all" else "excluded" if facts.searched else "open"
    )
    where = edge_words(names, facts.edges, kind, list(edges))
    text = say("learning_rate", kind, rates, facts.searched, where, shared, names)
    return Explanation("learning rate", kind, status, text, numbers)


def _length(finding: Finding, headline: Pair, facts: Facts) -> Explanation:
    """Return what the study's longer trainings make of the rise."""
    rises = facts.longer_rises(headline)
    changes = {rise.change for rise in rises}
    status: Outcome = (
        "not excluded" if changes & {"vanishes", "shrinks"} else "excluded" if "stays" in changes else "open"
    )
    longer = [
        {"variant": rise.variant, "times": rise.times, "change": rise.change}
        | rise.difference.record()
        | {"removed": rise.removed.record()}
        for rise in rises
    ]
    text = say("training_length", rises, bool(facts.longer))
    return Explanation("training length", finding.architecture, status, text, {"longer": longer})
