"""The verdict on a study: the findings of `rule`, one verdict a variant, told in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from study.verdict import selection as c
from study.verdict.explanations import Explanation, Facts, Longer, explain, rate_setting
from study.verdict.pairs import Pair
from study.verdict.rate_sensitivity import Choice, choices
from study.verdict.rule import SMALLEST_EFFECT, Finding, find, find_edges
from study.verdict.searches import by_trial
from study.verdict.shortcut_effect import Remedy, remedies
from study.verdict.variant import Variant
from study.verdict.words import say, say_each


class Settling(NamedTuple):
    """The pair that decides on an inconclusive finding, and the seeds of each net that would settle it."""

    pair: Pair
    needed: int


@dataclass(frozen=True)
class Verdict:
    """The answer for one variant of the grid."""

    variant: str
    smallest_effect: float
    findings: tuple[Finding, ...]
    remedy: Remedy | None
    """What the shortcuts remove at the depths of the plain headline."""
    no_remedy: str
    """Why nothing is said of a remedy; empty where it is."""
    remedies: tuple[Remedy, ...]
    """The same at every depth that both architectures have, against the shallowest of them."""
    explanations: tuple[Explanation, ...]
    """Other explanations of a rise that is shown, with what the numbers say of each."""
    edges: Mapping[str, str]
    """Nets whose tuned rate is the `lowest` or `highest` that was tried."""
    line: str
    """One sentence for the terminal."""
    sentences: tuple[str, ...]
    """Further sentences for the page: training error first, then test error, then what stands behind them."""
    next_step: str

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, None where the study has no such net."""
        return next((one for one in self.findings if one.architecture == architecture), None)

    @property
    def plain(self) -> Finding | None:
        """The finding for plain nets."""
        return self.finding("plain")

    @property
    def residual(self) -> Finding | None:
        """The finding for residual nets."""
        return self.finding("residual")


def judge(
    runs: pd.DataFrame,
    smallest_effect: float = SMALLEST_EFFECT,
    trials: pd.DataFrame | None = None,
    curves: pd.DataFrame | None = None,
) -> list[Verdict]:
    """Apply the rule to each variant of a study.

    Args:
        runs: a row a run, as `load_runs` gives them.
        smallest_effect: smallest effect of interest, in points of training error.
        trials: the searches' trials, as `load_trials` gives them; without them nothing is known of rates on an edge.
        curves: as `load_curves` gives them; without them nothing is said of what was still learned at the end.
    """
    found = [_facts(runs, variant, smallest_effect, trials, curves) for variant in c.variants(runs)]
    return [_verdict(one._replace(longer=_longer(one, found))) for one in found]


def _facts(
    runs: pd.DataFrame, variant: str, smallest: float, trials: pd.DataFrame | None, curves: pd.DataFrame | None
) -> Facts:
    mine = c.of_variant(runs, variant)
    kept = c.counted(mine)
    seeds = c.of_variant(trials, variant) if trials is not None else None
    rows = by_trial(seeds) if seeds is not None else None
    edges = find_edges(kept, rows)
    findings = find(mine, kept, smallest, edges)
    others: tuple[Choice, ...] = ()
    searched = rows is not None and not rows.empty
    if seeds is not None and rows is not None and searched:
        others = choices(mine, seeds, rows, smallest, edges)
    lines = c.of_variant(curves, variant) if curves is not None else None
    return Facts(
        variant, smallest, findings, remedies(kept, findings, edges), mine, kept, edges, searched, others, lines, ()
    )


def _longer(one: Facts, found: list[Facts]) -> tuple[Longer, ...]:
    """Return the variants that differ from one in the length of training alone, and are longer; shortest first."""
    out = []
    for other in found:
        if other.variant != one.variant and _but_length(other) == _but_length(one):
            times = other.kept["total_iterations"].median() / one.kept["total_iterations"].median()
            if times > 1:
                out.append(Longer(other.variant, float(times), other.findings))
    return tuple(sorted(out, key=lambda longer: longer.times))


def _but_length(facts: Facts) -> Variant:
    return Variant.parse(facts.variant).without("epochs", "iterations")


def _verdict(facts: Facts) -> Verdict:
    explanations = explain(facts)
    names = {(kind, depth): c.net_name(facts.kept, kind, depth) for kind, depth in facts.edges}
    return Verdict(
        variant=facts.variant,
        smallest_effect=facts.smallest,
        findings=facts.findings,
        remedy=facts.remedies.headline,
        no_remedy=facts.remedies.lacking,
        remedies=facts.remedies.depths,
        explanations=explanations,
        edges={names[key]: side for key, side in facts.edges.items()},
        line=say("line", facts),
        sentences=_sentences(facts, explanations),
        next_step=_next_step(facts, explanations),
    )


def _sentences(facts: Facts, explanations: Sequence[Explanation]) -> tuple[str, ...]:
    explained = any(explanation.name == "learning rate" for explanation in explanations)
    rates = None if explained or facts.kept.empty else rate_setting(facts.kept)
    diverged = facts.kept.loc[facts.kept["outcome"] == "diverged", "name"].astype(str).tolist()
    return say_each("sentences", facts, explanations, rates, diverged, c.excluded(facts.runs))


def _next_step(facts: Facts, explanations: Sequence[Explanation]) -> str:
    unfinished = facts.runs["outcome"].isin(["interrupted", "running", "failed"]).any()
    finished = set(facts.kept[c.CELL].itertuples(index=False, name=None))
    waiting = set(facts.runs[c.CELL].itertuples(index=False, name=None)) - finished
    both = (facts.finding("plain"), facts.finding("residual"))
    open_ = [finding for finding in both if finding is not None and finding.status == "inconclusive"]
    settling = _settling(open_[0], facts.smallest) if open_ else None
    return say("next_step", facts, explanations, len(waiting) if unfinished else 0, settling)


def _settling(finding: Finding, smallest: float) -> Settling | None:
    """Return how many seeds would settle it: one pair that is worse is enough, that none is takes all of them."""
    undecided = [pair for pair in finding.train if pair.needed is not None]
    if not undecided:
        return None
    worse = [pair for pair in undecided if pair.difference.estimate >= smallest]
    if worse:
        pair = min(worse, key=lambda pair: pair.needed or math.inf)
    else:
        pair = max(undecided, key=lambda pair: pair.needed or 0)
    return Settling(pair, max(pair.needed or 0, min(pair.difference.n) + 1))
