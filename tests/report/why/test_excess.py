import math

import pytest

from study.report.why.excess import Excess, bounds, excess, size
from study.statistics.interval import difference


def test_an_excess_is_welchs():
    found = excess([5.0, 6.0, 7.0], [1.0, 1.5, 2.0], 0.1)
    expected = difference([5.0, 6.0, 7.0], [1.0, 1.5, 2.0], 0.1)
    assert (found.estimate, found.low, found.high) == pytest.approx(expected[:3])


def test_a_single_reference_is_taken_as_given():
    found = excess([5.0, 6.0, 7.0], [2.0], 0.1)
    half = 4.302653 / math.sqrt(3)  # Student's t of 2 degrees of freedom, a deviation of 1
    assert (found.estimate, found.low, found.high) == pytest.approx((4.0, 4.0 - half, 4.0 + half))
    assert bounds(found) == "95% interval 1.52 to 6.48, 3 seeds"


def test_equal_seeds_have_an_interval_of_rounding():
    found = excess([3.0, 3.0], [1.0], 1.0)
    assert found.low < 2.0 < found.high


def test_one_seed_has_none():
    found = excess([3.0], [1.0, 2.0], 1.0)
    assert math.isnan(found.low)
    assert bounds(found) == "one seed, so no interval"
    assert found.way(0.5) == "more"
    assert size(found) == "1.50 points more"
    assert math.isnan(excess([], [1.0], 1.0).estimate)
    assert excess([], [1.0], 1.0).way(0.5) == "unclear"


@pytest.mark.parametrize(("low", "high", "way"), [
    (0.6, 2.0, "more"), (0.1, 2.0, "rather more"), (-0.4, 0.4, "no more"), (-3.0, 0.4, "no more"),
    (-3.0, -0.6, "less"), (-1.0, 2.0, "unclear"),
])  # fmt: skip
def test_which_way_rests_on_the_interval(low, high, way):
    assert Excess((low + high) / 2, low, high, 3, 3).way(0.5) == way
