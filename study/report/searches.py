"""What a report says of the searches of learning rates: whether the answer depends on them."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from study.report.figures.drawing import file_name
from study.report.figures.rates import rate_data, rates_drawing, searched_nets
from study.report.page import Part
from study.report.tables.searches import (
    FIELDS,
    OBJECTIVES,
    Facts,
    decades,
    expected_table,
    good_table,
    good_words,
    part_words,
    point_words,
    rate,
    robustness_table,
    winners_table,
)
from study.report.tables.writer import with_rows
from study.report.text import write
from study.verdict import selection as c
from study.verdict.edges import find_edges
from study.verdict.rate_sensitivity import Choice, choices
from study.verdict.rule import Rule
from study.verdict.searches import LEAST_TOLERANCE, Same, by_trial, compare, jumps, other_fields, worse_runs
from study.verdict.text import interval, listed, points

FAR = 2.0
"""Least factor between two winners' rates that the text mentions."""


class Search(NamedTuple):
    """What a report says of the searches of one variant, and the numbers that it says it from."""

    variant: str
    part: Part
    facts: Facts


def search_section(runs: pd.DataFrame, seeds: pd.DataFrame, rule: Rule, folder: Path) -> Search | None:
    """Draw the searches of one variant into `folder` and tell the rest; None where nothing was searched.

    Args:
        runs: the variant's runs.
        seeds: its trials, a row a seed, as `load_trials` gives them.
        rule: what counts as an effect.
        folder: where figures go.
    """
    trials = by_trial(seeds)
    if trials.empty:
        return None
    variant = str(runs["variant"].iloc[0])
    facts = search_facts(runs, seeds, trials, rule)
    data = rate_data(trials, facts.nets, facts.tolerance, facts.fields)
    pictures = (rates_drawing(data).save(folder, variant),) if data is not None else ()
    tables = with_rows((good_table(facts), winners_table(facts), expected_table(trials), robustness_table(facts)))
    tables = tuple(table._replace(name=file_name(table.name, variant)) for table in tables)
    return Search(variant, Part(sentences=sentences(facts), pictures=pictures, tables=tables), facts)


def search_facts(runs: pd.DataFrame, seeds: pd.DataFrame, trials: pd.DataFrame, rule: Rule) -> Facts:
    """Gather all facts about a variant's searches; `trials` are its `seeds` by trial."""
    tolerance, fields = max(LEAST_TOLERANCE, rule.smallest_effect), other_fields(trials["point"])
    nets = searched_nets(trials, tolerance, fields)
    compared = tuple(pair for kind in c.architectures(trials) if (pair := compare(trials, kind)) is not None)
    objective = str(seeds["objective"].iloc[0])
    rows = choices(runs, seeds, trials, rule, find_edges(c.counted(runs), trials))
    used = tuple(sorted({int(seed) for seed in seeds["seed"]}))
    worse = worse_runs(c.counted(runs), nets, rule.smallest_effect)
    rough = jumps(trials, rule.smallest_effect) if not fields else ()
    return Facts(nets, compared, rows, fields, tolerance, rule.smallest_effect, objective, used, worse, rough)


def sentences(facts: Facts) -> tuple[str, ...]:
    """Return the sentences: own best rates, shared rates, good ranges, choices of the rate, winners, limits."""
    compared = [facts.net(name) for pair in facts.compared for name in (pair.shallow, pair.deep)]
    winners = [(net.net, net.by_loss, net.by_validation) for net in facts.nets if net.by_loss and net.by_validation]
    parts = [choice.part for choice in facts.choices if choice.point is not None and not math.isnan(choice.part)]
    return write(
        "searches",
        facts=facts,
        named=lambda tried: listed([point_words(point, facts.fields) for point in tried]),
        exceptions=lambda same: listed([_exception(trials, facts.fields) for trials in same]),
        ranges=[
            f"{decades(net)} decades for {net.net} ({good_words(net)})" for net in compared if net.good is not None
        ],
        **_rises(facts),
        winners=winners,
        far=[
            f"{net} ({rate(loss.rate)} and {rate(held_out.rate)})"
            for net, loss, held_out in winners
            if not 1 / FAR <= loss.rate / held_out.rate <= FAR
        ],
        factor=FAR,
        off=[
            net.net
            for net in facts.nets
            if net.chosen and net.best and net.chosen.error > net.best.error + facts.tolerance
        ],
        objective=OBJECTIVES.get(facts.objective, facts.objective),
        pruned=any(net.counts.get("pruned") for net in facts.nets),
        fields=[FIELDS.get(field, field) for field in facts.fields],
        length=f" for {part_words(parts[0])}" if parts else "",
    )


def _exception(trials: Same, fields: tuple[str, ...]) -> str:
    """Write a point at which the deeper net isn't worse."""
    lost = ", the shallower diverged" if trials.state == "shallow" else ""
    amount = "equal" if trials.difference == 0 else f"{points(trials.difference)} points"
    return f"{point_words(trials.point, fields)} ({amount}{lost})"


def _rises(facts: Facts) -> dict[str, Any]:
    """Return the rise with depth under each choice of the rate in words, the signs it has, and between which nets."""
    rises = [(choice, choice.rises[choice.judged]) for choice in facts.choices if choice.judged in choice.rises]
    rises = [(choice, rise) for choice, rise in rises if not math.isnan(rise.estimate)]
    words = []
    for choice, rise in rises:
        bounds = "" if math.isnan(rise.low) else f" ({interval(rise.estimate, rise.low, rise.high)})"
        estimate = points(rise.estimate, rise.low, rise.high)
        words.append(f"{estimate}{bounds} {choice_words(choice, facts.fields)}")
    ends: list[str] = []
    if rises:
        first = facts.choices[0]
        names = {net.depth: net.net for net in facts.nets if net.architecture == first.judged}
        ends = [names[depth] for depth in (first.shallow, first.deep)]
    bounded = any(not math.isnan(rise.low) for _, rise in rises)
    return {"rises": words, "signs": {rise.estimate > 0 for _, rise in rises}, "bounded": bounded, "ends": ends}


def choice_words(choice: Choice, fields: tuple[str, ...]) -> str:
    """Name a choice of the rate in a sentence."""
    if choice.point is None:
        return "at the tuned rates"
    name = "best shared" if choice.name == "shared" else "paper's"
    return f"at the {name} rate ({point_words(choice.point, fields)})"
