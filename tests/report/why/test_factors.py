import math

import numpy as np
import pytest
from scipy import stats

from study.report.why.factors import bounds, factor_between, factor_interval, number


def test_the_interval_is_that_of_the_logarithms():
    found = factor_interval([1.0, 2.0, 4.0])
    assert found.estimate == pytest.approx(2)
    reach = stats.t.ppf(0.975, 2) * np.log(2) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 * math.exp(-reach), 2 * math.exp(reach)))
    assert not found.above
    assert factor_interval([2.0, 2.1, 2.2]).above
    assert factor_interval([0.5, 0.51]).below


def test_what_is_no_ratio_is_left_out():
    assert factor_interval([2.0, 0.0, -1.0, math.nan, math.inf]).n == 1
    assert factor_interval([]).n == 0
    assert not factor_interval([]).above


@pytest.mark.parametrize(("value", "text"), [
    (0.00312, "0.0031"), (1.21, "1.2"), (9.96, "10"), (420.4, "420"), (31_234.0, "31,000"), (0.0, "0"),
    (-0.51, "-0.51"), (2.3e9, "2.3e+09"), (1.2e-9, "1.2e-09"), (math.inf, "inf"),
])  # fmt: skip
def test_numbers_have_two_digits(value, text):
    assert number(value) == text


def test_what_a_mean_rests_on():
    assert bounds(factor_interval([2.0])) == "one seed, so no interval"
    assert bounds(factor_interval([2.0, 2.0])) == "95% interval 2.0 to 2.0, 2 seeds"


def test_the_ratio_of_two_nets_is_welch_s():
    a, b = np.array([2.0, 2.2, 1.9]), np.array([1.0, 1.1, 0.95, 1.05])
    found = factor_between(a, b)
    test = stats.ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval()
    assert found.estimate == pytest.approx(np.exp(np.log(a).mean() - np.log(b).mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(test.low), math.exp(test.high)))
    assert found.n == 3
    assert math.isnan(factor_between(a, [1.0]).low)
    assert factor_between(a, [0.0]).n == 0
