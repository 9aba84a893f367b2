import math

import numpy as np
import pytest

from bench.verdicts import TRUTHS, statuses
from study.verdict.edges import Slack
from study.verdict.rule import Failures, Rule, decide, run_tests, shown_by

DEPTHS = (8, 20, 32, 56)
DRAWS = 100


def decided(*cells, rule=None, failed=0):
    rule = rule or Rule()
    by_depth = dict(zip(DEPTHS, map(np.asarray, cells), strict=False))
    failures = {depth: Failures(f"plain-{depth}", failed, len(cell)) for depth, cell in by_depth.items()}
    tests = run_tests(by_depth, failures, rule.smallest_effect, 0.02)
    return decide(tests, failures, rule)[0]


def level(seeds, spread=0.02):
    return [5 + spread * (i % 3) for i in range(seeds)]


def test_shown_is_a_difference_above_the_smallest_effect_and_not_above_zero():
    assert decided([5.0, 5.05, 5.1], [5.45, 5.5, 5.55]) == "inconclusive"  # above zero beyond doubt, by 0.45
    assert decided([5.0, 5.05, 5.1], [6.45, 6.5, 6.55]) == "shown"
    assert decided([5.0, 5.05, 5.1], [5.45, 5.5, 5.55], rule=Rule(smallest_effect=0.2)) == "shown"


@pytest.mark.parametrize(("seeds", "status"), [(2, "not seen"), (5, "not seen"), (28, "not seen"), (29, "refuted")])
def test_refuted_needs_enough_seeds_to_exclude_rare_failures(seeds, status):
    assert decided(level(seeds), level(seeds)) == status


def test_refuted_needs_five_seeds_whatever_failures_are_tolerated():
    tolerant = Rule(rare_failure=0.99)
    assert decided(level(4), level(4), rule=tolerant) == "not seen"
    assert decided(level(5), level(5), rule=tolerant) == "refuted"
    assert decided(level(29), level(29), failed=1) == "not seen"


def test_a_rise_after_a_fall_is_shown_without_a_trend():
    cells = [8.0, 8.1, 8.2], [2.0, 2.1, 2.2], [4.0, 4.1, 4.2], [8.0, 8.1, 8.2]
    assert decided(*cells) == "shown"


def test_two_seeds_that_fail_by_luck_show_nothing():
    """Failed seeds agree to a point; Welch's test would take that for a small spread."""
    by_depth = dict(zip(DEPTHS, map(np.asarray, ([5.0, 5.1], [89.0, 89.1], [5.0, 5.1], [5.0, 5.1])), strict=True))
    failures = {depth: Failures("", 2 * (depth == 20), 2) for depth in DEPTHS}
    tests = run_tests(by_depth, failures, 0.5, 0.02)
    assert decide(tests, failures, Rule())[0] == "inconclusive"


def test_missing_seeds_are_the_reason():
    failures = {8: Failures("plain-8", 0, 3), 20: Failures("plain-20", 0, 0)}
    tests = run_tests({8: np.ones(3), 20: np.array([])}, failures, 0.5, 0.02)
    assert decide(tests, failures, Rule()) == ("inconclusive", "no result")
    assert all(math.isnan(p) for p in tests.worse.values())


def test_a_net_on_the_edge_may_break_the_order():
    """With a better rate plain-32 might err less, so no trend stands, and the outermost pair must pass alone."""
    cells = dict(zip(DEPTHS, map(np.asarray, ([0, 0, 0.1], [1, 2, 3], [9, 10, 14], [44, 57, 81])), strict=True))
    tests = run_tests(cells, {depth: Failures("", 0, 3) for depth in DEPTHS}, 0.5, 0.02)
    assert (8, 56) in shown_by(tests, Rule())
    assert (8, 56) not in shown_by(tests, Rule(), Slack({32: 11.0}))


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_the_rule_is_seldom_wrong(truth):
    """A small version of bench/verdicts.py, within four standard errors."""
    seen = statuses(truth, seeds=3, draws=DRAWS)
    assert seen[truth.false] / DRAWS <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / DRAWS)
    assert sum(seen.values()) == DRAWS
