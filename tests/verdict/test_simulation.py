"""Studies drawn from known truths: what share of intervals holds it, and how often something is called from nothing.

bench/intervals.py is the same with more draws and distributions. Bounds here are four standard errors wide.
"""

import math

import numpy as np
import pytest
from scipy import stats

from study.statistics.interval import mean_interval
from study.statistics.resampling import bootstrap_interval, permutation_test
from study.statistics.superiority import probability_of_superiority
from study.statistics.trend import jonckheere
from study.statistics.welch import difference, difference_in_differences, equivalence

DRAWS = 800
SEEDS = (3, 5, 10)
SPREADS = {"equal": (1.0, 1.0), "unequal": (4.0, 1.0)}
everywhere = pytest.mark.parametrize("spread", SPREADS)
sizes = pytest.mark.parametrize("n", SEEDS)


def margin(share, draws=DRAWS):
    return 4 * math.sqrt(share * (1 - share) / draws)


def drawn(n, spread, effect=1.0, draws=DRAWS):
    random = np.random.default_rng(17 * n)
    deep, shallow = SPREADS[spread]
    return zip(random.normal(effect, deep, (draws, n)), random.normal(0, shallow, (draws, n)), strict=True)


def share(held):
    return float(np.mean(list(held)))


@sizes
@everywhere
def test_welchs_interval_covers(n, spread):
    held = share((d := difference(*both, 0.001)).low <= 1 <= d.high for both in drawn(n, spread))
    # At three seeds the degrees of freedom are themselves a guess: 96% of equal spreads, 93% of 4 to 1.
    assert held == pytest.approx(0.95, abs=margin(0.95) + (0.02 if n == 3 else 0))


@sizes
@everywhere
def test_the_interval_of_the_remedy_covers(n, spread):
    random = np.random.default_rng(n)
    twins = random.normal(0, 1, (DRAWS, 2, n))
    held = share(
        (d := difference_in_differences(*both, *twin, 0.001)).low <= 1 <= d.high
        for both, twin in zip(drawn(n, spread), twins, strict=True)
    )
    assert held == pytest.approx(0.95, abs=margin(0.95) + (0.02 if n == 3 else 0))


@sizes
def test_students_interval_covers(n):
    assert share((m := mean_interval(deep)).low <= 1 <= m.high for deep, _ in drawn(n, "equal")) == pytest.approx(
        0.95, abs=margin(0.95)
    )


@sizes
@everywhere
def test_the_interval_of_equivalence_covers_ninety(n, spread):
    held = share((e := equivalence(*both, 0.5, 0.001)).low <= 1 <= e.high for both in drawn(n, spread))
    assert held == pytest.approx(0.90, abs=margin(0.90) + (0.02 if n == 3 else 0))


@sizes
@everywhere
def test_the_interval_of_the_probability_errs_to_the_safe_side(n, spread):
    truth = stats.norm.cdf(1 / math.hypot(*SPREADS[spread]))
    held = share((p := probability_of_superiority(*both)).low <= truth <= p.high for both in drawn(n, spread))
    assert held >= 0.95


def test_it_does_so_where_the_shallow_net_never_errs():
    random = np.random.default_rng(0)
    for truth in (0.5, 0.8, 0.95):
        deep = random.normal(stats.norm.ppf(truth), 1, (DRAWS, 3))
        held = share((p := probability_of_superiority(one, np.zeros(3))).low <= truth <= p.high for one in deep)
        assert held >= 0.95


@pytest.mark.parametrize(("n", "low", "high"), [(3, 0.68, 0.84), (5, 0.78, 0.92)])
def test_bootstrap_intervals_of_few_seeds_are_too_narrow(n, low, high):
    """What their docstring says, and why no verdict rests on them."""
    held = share((b := bootstrap_interval(*both)).low <= 1 <= b.high for both in drawn(n, "equal", draws=400))
    assert low < held < high


@sizes
@everywhere
def test_false_alarms_of_the_pairs(n, spread):
    called = share(difference(*both, 0.001).p < 0.05 for both in drawn(n, spread, effect=0))
    assert called <= 0.05 + margin(0.05) + (0.015 if n == 3 else 0)
    if spread == "equal":  # the permutation test's assumption
        draws = DRAWS if n < 10 else 100  # ten against ten are 184,756 deals
        called = share(permutation_test(*both).p < 0.05 for both in drawn(n, spread, effect=0, draws=draws))
        assert called <= 0.05 + margin(0.05, draws)


@sizes
@pytest.mark.parametrize("ties", [False, True])
def test_the_trend_holds_its_level(n, ties):
    if ties and n == 10:
        pytest.skip("counting ties of forty values out is slow, and no different")
    random, draws = np.random.default_rng(5), 60 if ties else 400
    values = random.exponential(size=(draws, 4, n))
    found = [jonckheere(np.floor(2 * cells) if ties else cells) for cells in values]
    assert all(one.exact for one in found)
    assert np.mean([one.p < 0.05 for one in found]) <= 0.05 + margin(0.05, draws)
    assert 0.4 < np.mean([one.p for one in found]) < 0.65
