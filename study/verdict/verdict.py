"""The verdict on a study: the findings of `rule` in words, one verdict a variant."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from study.config import MODIFICATIONS
from study.config.command import Command
from study.config.protocol import Protocol
from study.verdict import selection as c
from study.verdict.edges import find_edges
from study.verdict.explanations import Explanation, Facts, explain, rate_setting
from study.verdict.findings import METRIC, Finding, find
from study.verdict.length import Longer, but_length
from study.verdict.pairs import Pair
from study.verdict.planned import exploratory
from study.verdict.rate_sensitivity import Choice, choices
from study.verdict.rule import Rule
from study.verdict.searches import by_trial
from study.verdict.shortcut_effect import ShortcutEffect, shortcut_effects
from study.verdict.text import capital
from study.verdict.variant import Variant, is_of_study
from study.verdict.words import say, say_each

DEFAULT_RULE = Rule()


class Settling(NamedTuple):
    """The pair that decides on an inconclusive finding, and the seeds of each net that would settle it."""

    pair: Pair
    needed: int
    spread: bool
    """Whether the seeds of one of its nets differ."""


class Waiting(NamedTuple):
    """Runs that have no result yet."""

    runs: int
    running: bool
    """Whether one of them is, or was when its process died, at work."""


@dataclass(frozen=True)
class Verdict:
    """The answer for one variant of the grid."""

    variant: str
    rule: Rule
    findings: tuple[Finding, ...]
    remedy: ShortcutEffect | None
    """What the shortcuts remove at the depths of the plain headline."""
    no_remedy: str
    """Why nothing is said of a remedy; empty where it is."""
    remedies: tuple[ShortcutEffect, ...]
    """The same at every depth that both architectures have, against the shallowest of them."""
    explanations: tuple[Explanation, ...]
    """Other explanations of a rise that is shown, with what the numbers say of each."""
    exploratory: tuple[str, ...]
    """Why it is exploratory, a clause for each reason; empty where all was set before the results, or isn't known."""
    edges: Mapping[str, str]
    """Nets whose tuned rate is the `lowest` or `highest` that was tried."""
    line: str
    """One sentence for the terminal."""
    how_deep: str
    """How deep the nets of each architecture go without loss, in a sentence; empty where that can't be said."""
    deeper: str
    """The command that trains deeper nets where none lost yet; empty where some did, or where no command is known."""
    sentences: tuple[str, ...]
    """Further sentences for the page: training error first, then test error, then what stands behind them."""
    next_step: str
    rates_from: str = ""
    """The study whose searches found its rates; empty where no other did."""

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, None where the study has no such net."""
        return next((finding for finding in self.findings if finding.architecture == architecture), None)

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
    rule: Rule = DEFAULT_RULE,
    trials: pd.DataFrame | None = None,
    protocols: Sequence[Protocol] = (),
    commands: Sequence[Command] = (),
) -> list[Verdict]:
    """Apply the rule to each variant of a study.

    Args:
        runs: a row a run, as `load_runs` gives them.
        rule: what counts as an effect.
        trials: the searches' trials, as `load_trials` gives them; without them nothing is known of rates on an edge.
        protocols: what was set beforehand, the oldest first; without them nothing is said of that.
        commands: those that made the runs, the oldest first.
    """
    judged = [_facts(runs, variant, rule, trials) for variant in c.variants(runs)]
    every = [*judged, *(_facts(runs, variant, rule, trials) for variant in c.budgets(runs))]
    verdicts = []
    for facts in judged:
        longer = _longer(facts, every)
        used = pd.concat([facts.counted, *(other.counted for other in longer)])
        own = [command for command in commands if is_of_study(facts.variant, command.study)]
        sources = {command.rates_from for command in own}
        facts = facts._replace(
            longer=longer,
            exploratory=exploratory(used, runs, protocols, rule),
            rates_from=sources.pop() if len(sources) == 1 else "",
        )
        verdicts.append(_verdict(facts, own))
    return verdicts


def _facts(runs: pd.DataFrame, variant: str, rule: Rule, trials: pd.DataFrame | None) -> Facts:
    own = c.of_variant(runs, variant)
    counted = c.counted(own)
    seeds = c.of_variant(trials, variant) if trials is not None else None
    rows = by_trial(seeds) if seeds is not None else None
    edges = find_edges(counted, rows)
    findings = find(own, counted, rule, edges)
    others: tuple[Choice, ...] = ()
    searched = rows is not None and not rows.empty
    if seeds is not None and rows is not None and searched:
        others = choices(own, seeds, rows, rule, edges)
    return Facts(
        variant,
        rule,
        findings,
        shortcut_effects(counted, findings, edges),
        own,
        counted,
        edges,
        searched,
        others,
    )


def _longer(facts: Facts, every: list[Facts]) -> tuple[Longer, ...]:
    """Return the variants that differ from one in the length of training alone, and are longer; shortest first."""
    out = []
    for other in every:
        if other.variant != facts.variant and but_length(other.variant) == but_length(facts.variant):
            times = other.counted["total_iterations"].median() / facts.counted["total_iterations"].median()
            if times > 1:
                out.append(Longer(other.variant, float(times), other.findings, other.counted))
    return tuple(sorted(out, key=lambda longer: longer.times))


def _verdict(facts: Facts, commands: Sequence[Command]) -> Verdict:
    explanations = explain(facts)
    names = {(kind, depth): c.net_name(facts.counted, kind, depth) for kind, depth in facts.edges}
    return Verdict(
        variant=facts.variant,
        rule=facts.rule,
        findings=facts.findings,
        remedy=facts.effects.headline,
        no_remedy=facts.effects.lacking,
        remedies=facts.effects.depths,
        explanations=explanations,
        exploratory=facts.exploratory,
        edges={names[key]: side for key, side in facts.edges.items()},
        line=say("line", facts),
        how_deep=_how_deep(facts.findings),
        deeper=_deeper(facts, commands),
        sentences=_sentences(facts, explanations),
        next_step=_next_step(facts, explanations),
        rates_from=facts.rates_from,
    )


def _how_deep(findings: Sequence[Finding]) -> str:
    known = [finding for finding in findings if finding.reach is not None]
    return capital(say("how_deep", known)) if known else ""


def _deeper(facts: Facts, commands: Sequence[Command]) -> str:
    """Return the newest command, changed to go on where no net of an architecture lost: from equal depths in one go."""
    endless = [finding.architecture for finding in facts.findings if finding.reach and finding.reach.endless]
    deeper = [nets for kind in endless if (nets := c.deeper_nets(facts.runs, kind))]
    depths = [[net.depth for net in nets] for nets in deeper]
    together = [net for nets, own in zip(deeper, depths, strict=True) if own == depths[0] for net in nets]
    return next(filter(None, (command.deeper(together) for command in reversed(commands))), "")


def _sentences(facts: Facts, explanations: Sequence[Explanation]) -> tuple[str, ...]:
    explained = any(explanation.name == "learning rate" for explanation in explanations)
    rates = None if explained or facts.counted.empty else rate_setting(facts.counted, facts.rates_from)
    diverged = facts.counted.loc[facts.counted["outcome"] == "diverged", "name"].astype(str).tolist()
    return say_each("sentences", facts, explanations, rates, diverged, c.excluded(facts.runs))


def _next_step(facts: Facts, explanations: Sequence[Explanation]) -> str:
    plain, residual = facts.finding("plain"), facts.finding("residual")
    inconclusive = [finding for finding in (plain, residual) if finding and finding.status == "inconclusive"]
    settling = _settling(inconclusive[0], facts) if inconclusive else None
    deeper = plain is not None and c.may_go_deeper(facts.runs, "plain")
    return say("next_step", facts, explanations, _waiting(facts.runs), settling, deeper, _have_budgets(facts))


def _waiting(runs: pd.DataFrame) -> Waiting | None:
    """Return the runs without a result that another `study run` would make; None where there are none."""
    columns = c.run_columns(runs)
    finished = set(c.counted(runs)[columns].itertuples(index=False, name=None))
    left = runs[[run not in finished for run in runs[columns].itertuples(index=False, name=None)]]
    if not left["outcome"].isin(["interrupted", "running", "failed"]).any():
        return None
    return Waiting(len(left.drop_duplicates(columns)), bool((left["outcome"] == "running").any()))


def _have_budgets(facts: Facts) -> bool:
    """Tell whether `budgets` of a grid would train the nets of the plain headline for longer (`config.budgets`)."""
    plain = facts.finding("plain")
    if plain is None or plain.headline is None or MODIFICATIONS & Variant.parse(facts.variant).keys():
        return False
    return {plain.headline.shallow, plain.headline.deep} == {min(plain.failures), max(plain.failures)}


def _settling(finding: Finding, facts: Facts) -> Settling | None:
    """Return how many seeds would settle it: one pair that is worse is enough, that none is takes all of them."""
    undecided = [pair for pair in finding.train if pair.needed is not None]
    if not undecided:
        return None
    worse = [pair for pair in undecided if pair.difference.estimate >= facts.rule.smallest_effect]
    if worse:
        pair = min(worse, key=lambda pair: pair.needed or math.inf)
    else:
        pair = max(undecided, key=lambda pair: pair.needed or 0)
    cells = facts.cells(finding.architecture)
    spread = any(len(set(c.values(cells, depth, METRIC))) > 1 for depth in (pair.shallow, pair.deep))
    return Settling(pair, max(pair.needed or 0, min(pair.difference.n) + 1), spread)
