"""What to do next: the one step that would make the verdict stronger."""

import math
from collections.abc import Sequence

from study.statistics.power import MOST_SEEDS
from study.verdict import selection as c
from study.verdict.facts import Explanation, Facts
from study.verdict.rule import UNFAIR, Finding
from study.verdict.shortcut_effect import UNLIKE

MANY_SEEDS = 30
"""Past so many seeds for a net, a smaller spread is the better advice."""


def next_step(facts: Facts, explanations: Sequence[Explanation]) -> str:
    """Return what would make the verdict stronger, the most needed first."""
    plain, residual = facts.finding("plain"), facts.finding("residual")
    open_ = facts.runs["outcome"].isin(["interrupted", "running", "failed"]).sum()
    finished = set(facts.kept[c.CELL].itertuples(index=False, name=None))
    waiting = set(facts.runs[c.CELL].itertuples(index=False, name=None)) - finished
    if open_ and waiting:
        return f"Run the study again: {len(waiting)} run{'s have' if len(waiting) != 1 else ' has'} no result yet."
    if plain is None:
        return "Add `plain` to the grid's architectures: without plain nets there is nothing to compare shortcuts with."
    for one in (plain, residual):
        if one is not None and one.status == "inconclusive":
            return _mend(one, facts)
    if facts.remedies.lacking.startswith(UNLIKE):
        return "Train plain and residual nets on the same images for the same number of iterations."
    if residual is None:
        return "Add `residual` to the grid's architectures, to see whether shortcuts undo it."
    if not facts.kept["lr_tuned"].astype(bool).all():
        return "Tune the learning rate for each net (`lr: tune`), so that no depth is judged at another one's rate."
    if plain.status == "refuted":
        return "Try deeper nets: at these depths there is no degradation on this data."
    if any(one.name == "training length" and one.status != "open" for one in explanations):
        return "Repeat it on other data, to see how far it carries."
    return "Train for longer (the paper tried three times the iterations), to see whether a larger budget undoes it."


def _mend(finding: Finding, facts: Facts) -> str:
    """Return what would settle an inconclusive finding."""
    kind = finding.architecture
    if finding.reason == "one depth":
        return f"Add depths to the grid: {kind} nets have one only."
    if finding.reason in UNFAIR:
        return f"Train all {kind} nets on the same images for the same number of iterations."
    if finding.reason == "no result":
        return f"Run the study again: {finding.detail} lacks a result."
    if finding.reason == "one seed" or finding.headline is None:
        return "Add seeds: three for each net give intervals, five give narrow ones."
    if finding.reason == "edge":
        return f"Search further out (`low`, `high` or `widen` under `tune`): {finding.detail}."
    return _more_seeds(finding, facts.smallest)


def _more_seeds(finding: Finding, smallest: float) -> str:
    """Return how many seeds would settle it: one pair that is worse is enough, that none is takes all of them."""
    open_ = [pair for pair in finding.train if pair.needed is not None]
    worse = [pair for pair in open_ if pair.difference.estimate >= smallest]
    if worse:
        pair = min(worse, key=lambda one: one.needed or math.inf)
    else:
        pair = max(open_, key=lambda one: one.needed or 0)
    needed = max(pair.needed or 0, min(pair.difference.n) + 1)
    if needed > MANY_SEEDS:
        number = f"more than {MOST_SEEDS}" if needed > MOST_SEEDS else f"about {needed}"
        return (
            f"Lower the spread between seeds of {pair.shallow_net} and {pair.deep_net} (a longer training whose rate "
            f"falls to the end): as it is, {number} seeds a net would be needed."
        )
    return (
        f"Add seeds: if the difference and the spread stay as they are, about {needed} for each net would settle "
        f"{finding.architecture} nets."
    )
