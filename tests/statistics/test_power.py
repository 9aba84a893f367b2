import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.statistics.power import MOST_SEEDS, detectable, seeds_needed
from study.statistics.welch import difference, equivalence, welch

cells = st.lists(st.floats(0, 100, allow_nan=False, width=32), min_size=2, max_size=6)


def test_two_one_sided_tests_by_hand():
    deep, shallow = np.array([1.0, 1.2, 1.1]), np.array([0.9, 1.0, 1.1, 1.2])
    found = equivalence(deep, shallow, 0.5, 0.001)
    below = stats.ttest_ind(deep - 0.5, shallow, equal_var=False, alternative="less")
    above = stats.ttest_ind(deep + 0.5, shallow, equal_var=False, alternative="greater")
    assert found.p == pytest.approx(max(below.pvalue, above.pvalue))
    assert found.p_below == pytest.approx(below.pvalue)
    ninety = stats.ttest_ind(deep, shallow, equal_var=False).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((ninety.low, ninety.high))


@given(cells, cells, st.floats(0.1, 50))
def test_p_and_interval_are_the_same_statement(deep, shallow, smallest):
    found = equivalence(deep, shallow, smallest, 0.1)
    if min(abs(found.low + smallest), abs(found.high - smallest)) > 1e-6:
        assert (found.p < 0.05) == (-smallest < found.low and found.high < smallest)
    # The rule's own statement, the 95% interval below the smallest effect, is the one-sided test at 2.5%.
    high = difference(deep, shallow, 0.1).high
    if abs(high - smallest) > 1e-6:
        assert (found.p_below < 0.025) == (high < smallest)


def test_a_far_better_net_is_harmless_and_not_equivalent():
    found = equivalence([0.0, 0.1, 0.2], [9.0, 9.1, 9.2], 0.5, 0.01)
    assert found.p_below < 0.001
    assert found.p > 0.99


def test_seeds_needed_are_those_of_a_power_table():
    # Cohen (1988): d = 0.8, one-sided 2.5%, power 80%: 26 a group.
    deep, shallow = np.array([-1.0, 1.0]) / math.sqrt(2) + 1.3, np.array([-1.0, 1.0]) / math.sqrt(2)
    assert seeds_needed(deep, shallow, 0.5, 1e-6, level=0.025) == 26


def test_seeds_needed_give_the_power_they_promise():
    random = np.random.default_rng(0)
    deep, shallow = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.4, -0.4])
    n = seeds_needed(deep, shallow, 0.5, 0.001)
    sd = deep.std(ddof=1), shallow.std(ddof=1)

    def power(size):
        draws = ((random.normal(2, sd[0], size), random.normal(0, sd[1], size)) for _ in range(800))
        return np.mean([welch([*both], [1.0, -1.0], 0.001).p_above(0.5) < 0.05 for both in draws])

    assert power(n) > 0.8 - 0.045
    assert power(n - 1) < 0.8 + 0.045


def test_a_small_difference_is_settled_by_excluding_the_smallest_effect():
    deep, shallow = [1.0, 1.2, 1.4], [1.0, 1.2, 1.4]
    need = seeds_needed(deep, shallow, 0.5, 0.01)
    wider = seeds_needed(deep, shallow, 0.2, 0.01)
    assert 2 < need < wider


def test_limits():
    assert seeds_needed([1.0], [1.0, 2.0], 0.5, 0.1) is None
    assert seeds_needed([0.0, 30.0, 60.0], [0.0, 31.0, 60.0], 0.5, 0.1) == MOST_SEEDS + 1
    assert seeds_needed([99.0] * 3, [0.0] * 3, 0.5, 0.1) == 2
    assert (
        seeds_needed([1.0, 2.0], [0.5, 1.5], 0.5, 0.1) == MOST_SEEDS + 1
    )  # a difference of the smallest effect itself


@given(cells, cells, st.floats(0.001, 0.05))
def test_a_stricter_level_never_needs_fewer_seeds(deep, shallow, level):
    need, more = (seeds_needed(deep, shallow, 0.5, 0.1, level=alpha) for alpha in (0.05, level))
    assert 2 <= need <= more <= MOST_SEEDS + 1


@pytest.mark.parametrize("seeds", [2, 3, 5, 29])
def test_a_detectable_difference_has_its_power(seeds):
    distance = detectable(seeds, 0.04)
    random = np.random.default_rng(seeds)
    shallow, deep = random.normal(size=(2, 4000, seeds)) + np.array([0.0, distance])[:, None, None]
    shown = stats.ttest_ind(deep, shallow, axis=1, equal_var=False, alternative="greater").pvalue < 0.04
    assert shown.mean() == pytest.approx(0.8, abs=0.02)
