import math

import numpy as np
import pytest
from scipy import stats

from study.statistics.interval import Interval, geometric_mean, mean_interval, mean_percent


def test_mean_interval_by_hand():
    mean = mean_interval([1.0, 2.0, 3.0])
    # t(0.975, 2) = 4.3027, standard error 1 / sqrt(3)
    assert mean.estimate == 2
    assert mean.sd == 1
    assert mean.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-5)
    assert mean.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-5)
    assert mean.n == (3,)


def test_mean_interval_of_one_none_and_missing():
    assert mean_interval([4.0])[0] == 4
    assert math.isnan(mean_interval([4.0]).low)
    assert mean_interval([]).n == (0,)
    assert math.isnan(mean_interval([]).estimate)
    assert mean_interval([1.0, math.nan, 3.0]) == mean_interval([1.0, 3.0])


def test_the_interval_is_that_of_the_logarithms():
    found = geometric_mean([1.0, 2.0, 4.0])
    assert found.estimate == pytest.approx(2)
    reach = stats.t.ppf(0.975, 2) * np.log(2) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 * math.exp(-reach), 2 * math.exp(reach)))
    assert found.n == (3,)


def test_what_is_no_ratio_is_left_out():
    assert geometric_mean([2.0, 0.0, -1.0, math.nan, math.inf]).n == (1,)
    assert geometric_mean([]).n == (0,)
    assert math.isnan(geometric_mean([]).low)


@pytest.mark.parametrize(
    ("low", "high", "way"),
    [
        (0.6, 2.0, "more"),
        (0.1, 2.0, "rather more"),
        (-0.4, 0.4, "no more"),
        (-3.0, 0.4, "no more"),
        (-3.0, -0.6, "less"),
        (-1.0, 2.0, "unclear"),
    ],
)
def test_which_way_rests_on_the_interval(low, high, way):
    assert Interval((low + high) / 2, low, high).direction(0.5) == way


def test_a_record_has_the_names_of_the_files():
    assert list(mean_interval([1.0, 2.0]).record()) == ["estimate", "sd", "low", "high", "n"]
    two = Interval(1.0, 0.0, 2.0, 0.1, (3, 4))
    assert list(two.record()) == [
        "estimate",
        "low",
        "high",
        "p",
        "n_deep",
        "n_shallow",
    ]
    assert Interval(1.0, 0.0, 2.0, 0.1, (3, 4, 2, 5)).record()["n"] == 2


def test_a_mean_of_percents_lies_within_them():
    assert mean_percent([0.0, 0.0, 0.3])[1:3] == (0.0, mean_interval([0.0, 0.0, 0.3]).high)
    assert mean_percent([33.0, 90.0])[1:3] == (0.0, 100.0)
    assert mean_percent([50.0, 51.0]) == mean_interval([50.0, 51.0])
    assert math.isnan(mean_percent([4.0]).low)
