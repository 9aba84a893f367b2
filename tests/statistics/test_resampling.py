import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from study.statistics.resampling import LEAST_BCA, bootstrap_interval, permutation_test

errors = st.floats(0, 100, allow_nan=False, width=32)
cells = st.lists(errors, min_size=2, max_size=6)
parts = st.lists(errors.map(lambda error: round(error, 4)), min_size=2, max_size=6)  # of images: equal or clearly apart


def mean_difference(a, b, axis=-1):
    return np.mean(a, axis=axis) - np.mean(b, axis=axis)


def test_from_five_seeds_on_it_is_scipys_bca():
    random = np.random.default_rng(0)
    deep, shallow = random.exponential(size=6), random.exponential(size=LEAST_BCA)
    found = bootstrap_interval(deep, shallow)
    scipys = stats.bootstrap((deep, shallow), mean_difference, n_resamples=20_000, rng=3).confidence_interval
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.06)


def test_below_it_is_the_percentile_interval_of_all_resamples():
    deep, shallow = [3.0, 4.0, 8.0], [0.0, 1.0, 1.5]
    found = bootstrap_interval(deep, shallow)
    scipys = stats.bootstrap(
        (deep, shallow), mean_difference, method="percentile", n_resamples=50_000, rng=3
    ).confidence_interval
    assert found.method == "percentile"
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_equal_seeds_have_an_interval_without_width_and_no_warning(n):
    found = bootstrap_interval([2.0] * n, [1.0] * n)
    assert (found.low, found.high, found.method) == (1.0, 1.0, "percentile")


def test_one_net_without_spread_and_unequal_numbers_of_seeds():
    assert bootstrap_interval([1.0, 2.0, 3.0, 4.0, 9.0], [0.0] * 5).method == "BCa"
    mixed = bootstrap_interval([1.0, 2.0, 3.0, 4.0, 9.0, 4.0], [0.0, 0.1])
    assert mixed.method == "percentile"
    assert 0 < mixed.low < 3.8 < mixed.high


@given(cells, cells)
def test_the_interval_lies_between_the_extreme_differences(deep, shallow):
    found = bootstrap_interval(deep, shallow)
    assert min(deep) - max(shallow) - 1e-6 <= found.low <= found.high <= max(deep) - min(shallow) + 1e-6


@given(parts, parts)
@settings(max_examples=40)
def test_permutation_is_scipys(deep, shallow):
    def far(a, b, axis=-1):
        return np.round(np.abs(mean_difference(a, b, axis)), 9)

    found = permutation_test(deep, shallow)
    scipys = stats.permutation_test((deep, shallow), far, alternative="greater", vectorized=True, n_resamples=10_000)
    assert found.exact
    assert found.p == pytest.approx(scipys.pvalue, abs=1e-9)


@pytest.mark.parametrize(("n", "least"), [(3, 0.1), (4, 1 / 35), (5, 1 / 126)])
def test_full_separation_gives_the_least_p(n, least):
    found = permutation_test(np.arange(n) + 100.0, np.arange(n))
    assert found.p == found.least == pytest.approx(least)


def test_many_seeds_are_drawn():
    random = np.random.default_rng(0)
    found = permutation_test(random.normal(0, 1, 20), random.normal(0, 1, 20))
    assert not found.exact
    assert found.p == pytest.approx(permutation_by_t(0), abs=0.05)


def permutation_by_t(seed):
    random = np.random.default_rng(seed)
    return stats.ttest_ind(random.normal(0, 1, 20), random.normal(0, 1, 20)).pvalue


@pytest.mark.parametrize(("deep", "shallow"), [([], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([math.nan, 1.0], [1.0, 2.0])])
def test_one_seed_has_neither(deep, shallow):
    assert math.isnan(bootstrap_interval(deep, shallow).low)
    assert bootstrap_interval(deep, shallow).method == ""
    assert math.isnan(permutation_test(deep, shallow).p)
