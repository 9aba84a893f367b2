import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.statistics.meta import random_effects

estimates = st.lists(st.floats(-50, 50), min_size=2, max_size=8)


def test_by_hand():
    """Three studies: weights 1/4, 1 and 1; Q = 9, C = 4/3, so the variance between is (9 - 2) / (4/3) = 5.25."""
    found = random_effects([0.0, 2.0, 6.0], [2.0, 1.0, 1.0])
    weights = np.array([1 / (4 + found.spread**2), 1 / (1 + found.spread**2), 1 / (1 + found.spread**2)])
    fixed = np.array([0.25, 1.0, 1.0])
    centre = fixed @ [0, 2, 6] / fixed.sum()
    between = (fixed @ (np.array([0, 2, 6]) - centre) ** 2 - 2) / (fixed.sum() - (fixed**2).sum() / fixed.sum())
    assert found.spread == pytest.approx(np.sqrt(between))
    assert found.mean.estimate == pytest.approx(weights @ [0, 2, 6] / weights.sum())
    assert found.mean.seeds == 3


def test_studies_that_agree_have_no_spread_and_the_plain_error():
    found = random_effects([3.0, 3.0, 3.0, 3.0], [1.0] * 4)
    assert found.spread == 0
    half = stats.t.ppf(0.975, 3) * 0.5
    assert found.mean[:3] == pytest.approx((3.0, 3.0 - half, 3.0 + half))


@given(estimates, st.floats(0.01, 10), st.floats(-20, 20))
def test_moves_with_its_studies(values, error, shift):
    errors = [error] * len(values)
    found, moved = random_effects(values, errors), random_effects([value + shift for value in values], errors)
    assert moved.mean.estimate == pytest.approx(found.mean.estimate + shift, abs=1e-6)
    assert found.mean.estimate == pytest.approx(np.mean(values), abs=1e-6)  # equal errors, equal weights
    assert found.mean.low <= found.mean.estimate <= found.mean.high


def test_covers_the_mean_of_studies_that_differ():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(800):
        errors = random.uniform(0.3, 1.5, 5)
        mean = random_effects(5.0 + random.normal(0, 2, 5) + random.normal(0, errors), errors).mean
        hits += mean.low <= 5.0 <= mean.high
    assert 0.92 <= hits / 800 <= 0.985


@pytest.mark.parametrize(("values", "errors"), [([1.0], [1.0]), ([1.0, 2.0], [1.0, 0.0]), ([1.0, 2.0], [1.0, np.nan])])
def test_refuses_what_has_no_mean(values, errors):
    with pytest.raises(ValueError, match="two or more"):
        random_effects(values, errors)
