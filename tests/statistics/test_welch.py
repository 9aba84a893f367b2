import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from study.statistics.welch import difference, difference_in_differences, difference_in_percent, excess, ratio

errors = st.floats(0, 100, allow_nan=False, width=32)
cells = st.lists(errors, min_size=2, max_size=6)


def test_difference_is_scipys_welch_where_seeds_vary():
    deep, shallow = [32.0, 30.1, 33.7], [0.4, 0.1, 0.6, 0.2]
    found = difference(deep, shallow, resolution=0.01)
    welch = stats.ttest_ind(deep, shallow, equal_var=False)
    both = stats.ttest_ind(deep, shallow, equal_var=False).confidence_interval(0.95)
    assert found.p == pytest.approx(welch.pvalue)
    assert (found.low, found.high) == pytest.approx((both.low, both.high))
    assert found.n == (3, 4)


def test_equal_seeds_get_the_variance_of_rounding():
    found = difference([0.1, 0.1, 0.1], [0.0, 0.0, 0.0], resolution=0.1)
    # Standard error sqrt(2 * 0.1^2 / 12 / 3) = 0.0235702, 4 degrees of freedom
    assert found.estimate == pytest.approx(0.1)
    assert found.high - found.estimate == pytest.approx(stats.t.ppf(0.975, 4) * 0.1 * math.sqrt(2 / 36))
    assert found.p == pytest.approx(2 * stats.t.sf(math.sqrt(18), 4))
    assert found.p > 0.001


def test_one_seed_has_an_estimate_only():
    found = difference([5.0], [1.0, 2.0], resolution=0.1)
    assert found.estimate == 3.5
    assert math.isnan(found.low)
    assert math.isnan(found.p)
    assert math.isnan(difference([], [1.0, 2.0], 0.1).estimate)


@pytest.mark.parametrize("resolution", [0.0, -1.0, math.nan])
def test_a_resolution_is_needed(resolution):
    with pytest.raises(ValueError, match="resolution"):
        difference([1.0, 1.0], [1.0, 1.0], resolution)


@given(cells, cells, st.floats(0.002, 5))
def test_difference_invariants(deep, shallow, resolution):
    found = difference(deep, shallow, resolution)
    assert found.low < found.estimate < found.high
    assert 0 <= found.p <= 1
    back = difference(shallow, deep, resolution)
    assert back.estimate == pytest.approx(-found.estimate, abs=1e-9)
    assert back.p == pytest.approx(found.p, abs=1e-9)
    # p below 5% and a 95% interval without zero are the same statement.
    if min(abs(found.low), abs(found.high)) > 1e-9:
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@given(cells, cells)
def test_without_a_rise_in_residual_nets_the_contrast_is_the_difference(deep, shallow):
    contrast = difference_in_differences(deep, shallow, [1.0, 1.0], [1.0, 1.0], 0.1)
    assert contrast.estimate == pytest.approx(np.mean(deep) - np.mean(shallow), abs=1e-6)
    assert contrast.low < contrast.estimate < contrast.high


def test_contrast_by_hand():
    groups = [[32.0, 30.0, 34.0], [1.0, 2.0], [3.0, 4.0, 5.0, 4.0], [2.0, 2.5, 3.0]]
    parts = [np.var(g, ddof=1) / len(g) for g in groups]
    freedom = sum(parts) ** 2 / sum(v**2 / (len(g) - 1) for v, g in zip(parts, groups, strict=True))
    found = difference_in_differences(*groups, resolution=0.01)
    assert found.estimate == pytest.approx((32 - 1.5) - (4 - 2.5))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))
    assert found.p == pytest.approx(2 * stats.t.sf(found.estimate / math.sqrt(sum(parts)), freedom))
    assert found.n == (3, 2, 4, 3)
    assert math.isnan(difference_in_differences([1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], 0.1).low)


@settings(max_examples=30)
@given(st.floats(1e-9, 1e-3))
def test_tiny_spreads_do_not_break_the_degrees_of_freedom(sd):
    found = difference([1.0, 1.0 + sd, 1.0 - sd], [1.0, 1.0, 1.0], resolution=1e-3)
    assert np.isfinite([found.low, found.high, found.p]).all()


def test_an_excess_is_welchs():
    found = excess([5.0, 6.0, 7.0], [1.0, 1.5, 2.0], 0.1)
    expected = difference([5.0, 6.0, 7.0], [1.0, 1.5, 2.0], 0.1)
    assert (found.estimate, found.low, found.high) == pytest.approx(expected[:3])


def test_a_single_reference_is_taken_as_given():
    found = excess([5.0, 6.0, 7.0], [2.0], 0.1)
    half = 4.302653 / math.sqrt(3)  # Student's t of 2 degrees of freedom, a deviation of 1
    assert (found.estimate, found.low, found.high) == pytest.approx((4.0, 4.0 - half, 4.0 + half))
    assert found.n == (3, 1)


def test_an_excess_of_equal_seeds_has_an_interval_of_rounding():
    found = excess([3.0, 3.0], [1.0], 1.0)
    assert found.low < 2.0 < found.high


def test_an_excess_of_one_seed_has_no_interval():
    found = excess([3.0], [1.0, 2.0], 1.0)
    assert math.isnan(found.low)
    assert found.direction(0.5) == "more"
    assert math.isnan(excess([], [1.0], 1.0).estimate)
    assert excess([], [1.0], 1.0).direction(0.5) == "unclear"


def test_the_ratio_of_two_nets_is_welch_s():
    a, b = np.array([2.0, 2.2, 1.9]), np.array([1.0, 1.1, 0.95, 1.05])
    found = ratio(a, b)
    test = stats.ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval()
    assert found.estimate == pytest.approx(np.exp(np.log(a).mean() - np.log(b).mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(test.low), math.exp(test.high)))
    assert found.n == (3,)
    assert math.isnan(ratio(a, [1.0]).low)
    assert ratio(a, [0.0]).n == (0,)


def test_differences_of_errors_lie_within_what_they_can_be():
    wide, narrow = [0.0, 90.0], [0.0, 0.1]
    assert difference(wide, narrow, 0.1).high > 200
    assert difference_in_percent(wide, narrow, 0.1)[1:3] == (-100, 100)
    assert difference_in_differences(wide, narrow, narrow, wide, 0.1).high == 200
    assert excess(wide, [1.0], 0.1)[1:3] == (-100, 100)
