import math
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from study.statistics import trend as module
from study.statistics.trend import _half_rises, _in_order, _ways, jonckheere
from study.statistics.welch import difference
from tests.faults.limits import below


def rises(*groups, axis=-1):
    """Count pairs as the statistic is defined: groups (..., seeds)."""
    groups = tuple(np.moveaxis(group, axis, -1) for group in groups)
    total = np.zeros(np.broadcast_shapes(*(group.shape[:-1] for group in groups)))
    for earlier, later in combinations(groups, 2):
        step = later[..., None, :] - earlier[..., :, None]  # (..., seeds, seeds)
        total = total + ((step > 0) + 0.5 * (step == 0)).sum(axis=(-1, -2))
    return total


def counted_out(groups):
    """Deal the values out in every way there is."""
    sizes = [len(group) for group in groups]
    bounds = np.cumsum([0, *sizes])
    values = np.concatenate([np.asarray(group, float) for group in groups])
    seen = float(rises(*(np.asarray(group, float) for group in groups)))
    found = [
        float(rises(*(values[list(order[a:b])] for a, b in pairwise(bounds))))
        for order in permutations(range(len(values)))
    ]
    return np.mean(np.array(found) >= seen)


tied = st.integers(0, 3)
twos, threes = (st.lists(tied, min_size=size, max_size=size) for size in (2, 3))


@given(st.tuples(twos, twos, twos) | st.tuples(threes, twos, twos))
@settings(max_examples=12)
def test_p_is_that_of_all_ways_with_and_without_ties(groups):
    found = jonckheere(groups)
    assert found.exact
    assert found.p == pytest.approx(counted_out(groups), abs=1e-12)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 4, 3), (5, 5, 5, 5)])
def test_all_ways_are_counted_and_none_of_half_a_step_without_ties(sizes):
    ways = _ways(sizes, (1,) * sum(sizes))
    assert ways.sum() == pytest.approx(math.factorial(sum(sizes)))
    assert ways[::2] == pytest.approx(ways[::-2])
    assert not ways[1::2].any()


def test_369600_ways_are_all_counted():
    """Four depths of three seeds in full order: one way in 369,600, less than a sample of 99,999 can tell."""
    groups = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]
    assert jonckheere(groups).p == pytest.approx(1 / 369_600)
    assert jonckheere(groups).exact


def test_exact_agrees_with_scipys_permutations():
    random = np.random.default_rng(2)
    groups = [random.normal(0.3 * i, 1, 5) for i in range(4)]
    drawn = stats.permutation_test(
        groups, rises, alternative="greater", vectorized=True, n_resamples=20_000, batch=5_000, rng=1
    ).pvalue
    assert jonckheere(groups).p == pytest.approx(drawn, abs=4 * math.sqrt(0.25 / 20_000))


def test_too_many_ways_are_drawn(monkeypatch):
    groups = [[0.0, 0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 2.0, 2.0]]
    exact = jonckheere(groups)
    monkeypatch.setattr(module, "MOST_STATES", 1)
    monkeypatch.setattr(module, "DRAWS", 1_000)  # fewer than the 1,680 ways
    drawn = jonckheere(groups)
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.p == pytest.approx(exact.p, abs=0.05)


def test_draws_agree_with_scipys_permutations_where_values_are_equal():
    random = np.random.default_rng(5)
    groups = [random.integers(0, 4, size) + 0.15 * i for i, size in enumerate((12, 9, 14, 11, 10))]
    groups[2][:5] = groups[0][0]
    drawn = stats.permutation_test(
        groups, rises, alternative="greater", vectorized=True, n_resamples=20_000, batch=2_000, rng=1
    ).pvalue
    assert not jonckheere(groups).exact
    assert 0.01 < drawn < 0.99
    assert jonckheere(groups).p == pytest.approx(drawn, abs=4 * math.sqrt(0.25 / 20_000))


def test_thousands_of_seeds_take_no_memory_of_their_square(monkeypatch):
    monkeypatch.setattr(module, "FEWER_DRAWS", 99)
    random = np.random.default_rng(6)
    level = [random.normal(0, 1, 5_000) for _ in range(3)]
    with below(500):
        assert jonckheere([group + 0.2 * i for i, group in enumerate(level)]).p == pytest.approx(1 / 100)
        assert 0.01 < jonckheere(level).p < 0.99


def test_trend_by_hand():
    # 90 ways to deal six values into three pairs; one alone is in full order
    assert jonckheere([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).p == pytest.approx(1 / 90)
    assert jonckheere([[6.0, 5.0], [4.0, 3.0], [2.0, 1.0]]).p == pytest.approx(1.0)
    assert jonckheere([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]).p == 1.0


def test_trend_of_three_seeds_and_four_depths_can_settle_what_no_pair_can():
    zero, some, much = [0.0, 0.0, 0.0], [0.4, 0.7, 1.1], [44.0, 57.0, 81.0]
    assert jonckheere([zero, zero, some, much]).p < 0.001
    assert difference(much, zero, 0.1).p > 0.02


@pytest.mark.parametrize("groups", [[], [[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0, 3.0], [4.0, 5.0]]])
def test_a_trend_needs_three_depths_and_two_seeds(groups):
    assert math.isnan(jonckheere(groups).p)


def test_trend_of_two_groups_counts_as_mann_and_whitney_do():
    """For two groups Jonckheere's number is Mann and Whitney's U."""
    random = np.random.default_rng(3)
    first, second = random.integers(0, 4, 5).astype(float), random.integers(0, 6, 4).astype(float)
    assert rises(first, second) == stats.mannwhitneyu(second, first).statistic
    owners, equal = _in_order((first, second))
    assert _half_rises(owners[None], equal)[0] == 2 * rises(first, second)
