import math

import pytest

from study.statistics.interval import Probability
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
        (0.0, "p < 0.0001"), (0.00042, "p = 0.00042"), (0.0042, "p = 0.0042"), (0.01, "p = 0.01"), (0.049, "p = 0.049"),
        (0.237, "p = 0.24"), (0.999, "p > 0.99"), (1.0, "p > 0.99"),
    ],
)  # fmt: skip
def test_p_value(p, text):
    assert wording.p_value(p) == text


def test_interval_has_the_decimals_of_its_estimate():
    assert wording.interval(9.0, 4.0, 14.0) == "4.0 to 14.0"
    assert wording.interval(0.1, -0.004, 0.2) == "0.00 to 0.20"


def test_probability_has_its_interval():
    assert wording.probability(Probability(1.0, 0.292, 1.0, 3, 3)) == "1.00 (95% interval 0.29 to 1.00)"
    assert wording.probability(Probability(0.5, math.nan, math.nan, 1, 2)) == "0.50"
