import math

import pytest

from study.statistics.interval import Interval, geometric_mean
from study.verdict import text as wording


@pytest.mark.parametrize(
    ("value", "others", "text"),
    [(32.06, (), "32.1"), (0.034, (), "0.03"), (-0.001, (), "0.00"), (0.5, (12.0,), "0.5"), (1.0, (math.nan,), "1.00")],
)
def test_points(value, others, text):
    assert wording.points(value, *others) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "p < 0.0001"),
        (0.00042, "p = 0.00042"),
        (0.0042, "p = 0.0042"),
        (0.01, "p = 0.01"),
        (0.049, "p = 0.049"),
        (0.237, "p = 0.24"),
        (0.999, "p > 0.99"),
        (1.0, "p > 0.99"),
    ],
)
def test_p_value(p, text):
    assert wording.p_value(p) == text


def test_interval_has_the_decimals_of_its_estimate():
    assert wording.interval(9.0, 4.0, 14.0) == "4.0 to 14.0"
    assert wording.interval(0.1, -0.004, 0.2) == "0.00 to 0.20"


def test_probability_has_its_interval():
    assert wording.probability(Interval(1.0, 0.292, 1.0, n=(3, 3))) == "1.00 (95% interval 0.29 to 1.00)"
    assert wording.probability(Interval(0.5, math.nan, math.nan, n=(1, 2))) == "0.50"


def test_what_an_estimate_rests_on():
    assert wording.grounds(Interval(4.0, 1.515, 6.485, n=(3, 1))) == "95% interval 1.51 to 6.49, 3 seeds"
    assert wording.grounds(Interval(1.5, math.nan, math.nan, n=(1, 2))) == "one seed, so no interval"
    assert wording.grounds(geometric_mean([2.0, 2.0]), wording.number) == "95% interval 2.0 to 2.0, 2 seeds"


def test_a_difference_has_no_sign():
    assert wording.more_or_less(Interval(1.5, math.nan, math.nan)) == "1.50 points more"
    assert wording.more_or_less(Interval(-0.2, -0.3, -0.1)) == "0.20 points less"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00312, "0.0031"),
        (1.21, "1.2"),
        (9.96, "10"),
        (420.4, "420"),
        (31_234.0, "31,000"),
        (0.0, "0"),
        (-0.51, "-0.51"),
        (2.3e9, "2.3e+09"),
        (1.2e-9, "1.2e-09"),
        (math.inf, "inf"),
    ],
)
def test_numbers_have_two_digits(value, text):
    assert wording.number(value) == text
