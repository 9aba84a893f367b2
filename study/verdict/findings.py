"""The rule applied to frames of runs: what holds for each architecture of a variant."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from study.statistics.trend import Trend
from study.verdict import selection as c
from study.verdict.edges import Edges, Slack, edge_words, slack
from study.verdict.optimum import Reach, Turn, reach, turn
from study.verdict.pairs import Pair, compare_depths
from study.verdict.rule import (
    FAILURE_MARGIN,
    Couple,
    Failures,
    Reason,
    Rule,
    Status,
    Tests,
    all_failed,
    decide,
    not_harmless,
    shown_by,
)
from study.verdict.text import listed

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
    failures: Mapping[int, Failures]
    """By depth, ascending: how many runs failed."""
    headline: Pair | None
    """The pair that the verdict's words quote; None where there is no pair."""
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]
    gap: tuple[Pair, ...]
    trend: Trend
    """Of the training error along the depths; its p is NaN where it can't be tested."""
    turn: Turn | None
    """Where the training error is least."""
    reach: Reach | None
    """How deep the nets go without loss; None where that can't be said."""

    @property
    def unit(self) -> str:
        """What it rests on: `seed`, or `split` where nets are trained on several."""
        return self.train[0].difference.unit.partition(" ")[0] if self.train else "seed"

    @property
    def highest_failure(self) -> float:
        """Share of failing seeds that isn't excluded for some net but the shallowest."""
        return max([net.highest for net in list(self.failures.values())[1:]], default=1.0)

    @property
    def all_failed(self) -> bool:
        """Whether every run of every net failed; a net without a run aside."""
        return all_failed(self.failures)

    def match(self, pair: Pair, among: tuple[Pair, ...]) -> Pair | None:
        """Return the pair of the same two depths in another metric or architecture."""
        return next((other for other in among if (other.shallow, other.deep) == (pair.shallow, pair.deep)), None)


def find(runs: pd.DataFrame, counted: pd.DataFrame, rule: Rule, edges: Edges | None = None) -> tuple[Finding, ...]:
    """Apply the rule to each architecture of one variant.

    Args:
        runs: all runs of the variant, ended or not.
        counted: those that count.
        rule: what counts as an effect.
        edges: nets whose tuned rate is the last one tried on a side.
    """
    return tuple(_finding(runs, counted, name, rule, edges or {}) for name in c.architectures(runs))


def failed(counted: pd.DataFrame) -> "pd.Series[bool]":
    """Return which runs failed: those that diverged or end within `FAILURE_MARGIN` points of guessing."""
    guessing = 100 - 100 / counted["classes"] if "classes" in counted else math.inf
    return (counted["outcome"] == "diverged") | (counted[METRIC] >= guessing - FAILURE_MARGIN)


def _finding(runs: pd.DataFrame, counted: pd.DataFrame, architecture: str, rule: Rule, edges: Edges) -> Finding:
    runs = runs[runs["architecture"] == architecture]
    counted = counted[counted["architecture"] == architecture]
    planned = {depth: c.net_name(runs, architecture, depth) for depth in c.depths(runs)}
    failures = _failures(counted, planned)
    withheld = _withheld(planned, counted)
    if withheld is not None:
        n = min(net.seeds for net in failures.values())
        untested = Trend(math.nan, math.nan, len(planned), n)  # no number of a comparison that isn't fair
        return Finding(architecture, "inconclusive", *withheld, failures, None, (), (), (), untested, None, None)
    tests, train = compare_depths(counted, planned, METRIC, failures, rule.smallest_effect)
    test, gap = (
        compare_depths(counted, planned, metric, failures, rule.smallest_effect)[1]
        for metric in ("final_test_error", "generalisation_gap")
    )
    status, reason = decide(tests, failures, rule)
    detail = _lacking(planned, tests) if reason in ("no result", "one seed") else ""
    loose = slack(edges, counted, architecture, METRIC)
    couple = _headline(tests, status, rule)
    if status != "inconclusive":
        if decide(tests, failures, rule, loose)[0] == status:
            couple = _headline(tests, status, rule, shown_by(tests, rule, loose))
        else:
            detail = edge_words(planned, edges, architecture, _open(tests, status, rule, loose))
            status, reason = "inconclusive", "edge"
    headline = next((pair for pair in train if (pair.shallow, pair.deep) == couple), None)
    return Finding(
        architecture,
        status,
        reason,
        detail,
        failures,
        headline,
        train,
        test,
        gap,
        tests.trend,
        turn=turn(counted, planned, train, METRIC),
        reach=reach(tests, failures, rule, loose),
    )


def _failures(counted: pd.DataFrame, planned: Mapping[int, str]) -> dict[int, Failures]:
    lost_by_run = failed(counted)
    of_net = {depth: lost_by_run[counted["depth"] == depth] for depth in sorted(planned)}
    return {depth: Failures(planned[depth], int(lost.sum()), len(lost)) for depth, lost in of_net.items()}


def _withheld(names: Mapping[int, str], counted: pd.DataFrame) -> tuple[Reason, str] | None:
    """Return why the nets can't be compared at all, and the nets that it is about."""
    if len(names) < 2:
        return "one depth", next(iter(names.values()))
    for column, reason, unit in ALIKE:
        if counted[column].nunique() > 1:
            return reason, _by_amount(counted, column, unit)
    return None


def _lacking(names: Mapping[int, str], tests: Tests) -> str:
    """Name the nets with the fewest seeds."""
    fewest = min(tests.seeds.values())
    return listed([names[depth] for depth, seeds in tests.seeds.items() if seeds == fewest])


def _open(tests: Tests, status: Status, rule: Rule, loose: Slack) -> list[int]:
    """Return the depths whose rates on an edge keep a status from standing."""
    if status != "shown":
        return sorted({shallow for shallow, _ in not_harmless(tests, rule, loose)})
    deeper = {deep for _, deep in shown_by(tests, rule) if loose.of(deep) > 0}
    # Where the order of the depths opened the sequence, every net but the shallowest counts.
    return sorted(deeper or {depth for depth in list(tests.seeds)[1:] if loose.of(depth) > 0})


def _headline(tests: Tests, status: Status, rule: Rule, shown: list[Couple] | None = None) -> Couple:
    """Return the deepest against the shallowest net if they carry the status, else the couple that carries it most."""
    differences = tests.differences
    if status == "shown":
        able = shown if shown is not None else shown_by(tests, rule)
        return tests.ends if tests.ends in able or not able else max(able, key=lambda pair: differences[pair].estimate)
    if status == "inconclusive":
        open_ = [couple for couple in differences if differences[couple].high >= rule.smallest_effect]
        return tests.ends if tests.ends in open_ or not open_ else max(open_, key=lambda pair: differences[pair].high)
    return tests.ends


def _by_amount(counted: pd.DataFrame, column: str, unit: str) -> str:
    """Say which nets have which value of a column: ``220 iterations: plain-8 and plain-20; 440 iterations: ...``."""
    parts = []
    for amount in sorted(set(counted[column].dropna())):
        nets = listed(list(dict.fromkeys(counted.loc[counted[column] == amount, "net"])))
        parts.append(f"{amount:,.0f} {unit}: {nets}" if unit else f"{amount}: {nets}")
    return "; ".join(parts)
