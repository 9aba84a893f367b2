"""What to do next: the one step that would make the verdict stronger."""

import math

from study.report import cells as c
from study.report.rule import UNLIKE, Finding
from study.report.statistics import mean_interval
from study.report.wording import Facts

MANY_SEEDS = 30
"""Past so many seeds for a net, a smaller spread is the better advice."""


def next_step(facts: Facts) -> str:
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
    if facts.no_remedy.startswith(UNLIKE):
        return "Train plain and residual nets on the same images for the same number of iterations."
    if residual is None:
        return "Add `residual` to the grid's architectures, to see whether shortcuts undo it."
    if not facts.kept["lr_tuned"].astype(bool).all():
        return "Tune the learning rate for each net (`lr: tune`), so that no depth is judged at another one's rate."
    if plain.status == "not shown":
        return "Try deeper nets: these depths show no degradation on this data."
    return "Train for longer (the paper tried three times the iterations), to see whether a larger budget undoes it."


def _mend(finding: Finding, facts: Facts) -> str:
    """Return what would settle an inconclusive finding."""
    kind = finding.architecture
    if finding.reason == "one depth":
        return f"Add depths to the grid: {kind} nets have one only."
    if finding.reason in ("unequal training", "unequal data"):
        return f"Train all {kind} nets on the same images for the same number of iterations."
    if finding.reason == "no result":
        return f"Run the study again: {finding.detail} lacks a result."
    if finding.reason == "one seed" or finding.headline is None:
        return "Add seeds: three for each net give intervals, five give narrow ones."
    pair = finding.headline
    cells = facts.kept[facts.kept["architecture"] == kind]
    spread = [mean_interval(c.values(cells, depth, pair.metric)).sd for depth in (pair.shallow, pair.deep)]
    # Half-width of a normal interval of the difference, set equal to the smallest effect and solved for n.
    needed = math.ceil(1.96**2 * (spread[0] ** 2 + spread[1] ** 2) / facts.smallest**2)
    least = min(pair.difference.n_deep, pair.difference.n_shallow)
    if needed > MANY_SEEDS:
        return (
            f"Lower the spread between seeds of {pair.shallow_net} and {pair.deep_net} (a longer training whose rate "
            f"falls to the end): as it is, about {needed:,} seeds would be needed."
        )
    return f"Add seeds: with the spread seen, about {max(needed, least + 2)} for each net would settle {kind} nets."
