import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.statistics.expected_best import expected_best


@given(st.lists(st.sampled_from([0.0, 0.3, 1.0, 5.0, 90.0]), min_size=1, max_size=5), st.integers(1, 4))
def test_it_is_the_mean_over_all_draws(errors, trials):
    lowest = [min(drawn) for drawn in product(errors, repeat=trials)]
    assert expected_best(errors, trials) == pytest.approx(sum(lowest) / len(lowest))


def test_it_falls_from_the_mean_towards_the_best():
    errors = [3.0, 1.0, 90.0, math.nan]
    falling = [expected_best(errors, trials) for trials in (1, 2, 4, 100)]
    assert falling[0] == pytest.approx(94 / 3)
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(1.0)
    assert math.isnan(expected_best([math.nan], 1))
    with pytest.raises(ValueError, match="best of 0 trials"):
        expected_best(errors, 0)
