import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.statistics.superiority import probability_of_superiority

values = st.lists(st.integers(0, 20).map(lambda n: n / 4), min_size=2, max_size=8)


def test_by_hand():
    # Nine pairs: six larger, one equal.
    found = probability_of_superiority([2.0, 3.0, 5.0], [1.0, 2.0, 4.0])
    assert found.estimate == pytest.approx(6.5 / 9)
    assert found.n == (3, 3)


@given(values, values)
def test_it_is_mann_and_whitneys_u(deep, shallow):
    found = probability_of_superiority(deep, shallow)
    u = stats.mannwhitneyu(deep, shallow, method="asymptotic").statistic
    assert found.estimate == pytest.approx(u / (len(deep) * len(shallow)))
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0.2
    back = probability_of_superiority(shallow, deep)
    assert (back.low, back.high) == pytest.approx((1 - found.high, 1 - found.low))


@pytest.mark.parametrize(("n", "low"), [(2, 0.025 ** (1 / 2)), (3, 0.025 ** (1 / 3)), (5, 0.025 ** (1 / 5))])
def test_full_separation_is_clopper_and_pearsons(n, low):
    found = probability_of_superiority([9.0] * n, [0.0] * n)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(low)
    assert found.low == pytest.approx(stats.binomtest(n, n).proportion_ci(method="exact").low)


def test_the_net_with_fewer_seeds_limits_the_interval():
    assert probability_of_superiority([9.0] * 3, [0.0] * 10).low == pytest.approx(0.025 ** (1 / 3))


def test_one_seed_and_none():
    one = probability_of_superiority([2.0], [1.0, 3.0])
    assert one.estimate == 0.5
    assert math.isnan(one.low)
    assert math.isnan(probability_of_superiority([], [1.0]).estimate)
