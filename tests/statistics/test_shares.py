import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.statistics.shares import highest_share, more_often, share_interval


@given(st.integers(0, 12), st.integers(1, 12))
def test_interval_is_clopper_and_pearsons(successes, trials):
    successes = min(successes, trials)
    share = share_interval(successes, trials)
    expected = stats.binomtest(successes, trials).proportion_ci(method="exact")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high))
    assert share.estimate == successes / trials
    assert math.isnan(share_interval(0, 0).estimate)


def test_seeds_without_a_failure_exclude_a_share():
    assert highest_share(0, 5) == pytest.approx(1 - 0.05 ** (1 / 5))  # 45%
    assert highest_share(0, 28) > 0.1 > highest_share(0, 29)
    assert highest_share(3, 3) == 1
    assert highest_share(1, 29) > 0.1


def test_more_often_is_fishers_exact_test():
    assert more_often((3, 3), (0, 3)) == pytest.approx(1 / 20)
    assert more_often((2, 2), (0, 2)) == pytest.approx(1 / 6)
    assert more_often((0, 5), (3, 5)) == pytest.approx(1)
    assert more_often((0, 0), (0, 3)) == pytest.approx(1)
