import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.statistics.multiplicity import fixed_sequence, holm

p_values = st.floats(0, 1)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_a_test_not_made_counts_in_holm():
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[0] == pytest.approx(0.03)
    assert adjusted[2] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p):
    adjusted = np.array(holm(p))
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_fixed_sequence_by_hand():
    # Trend and ends at 0.04; after both, the other two pairs by Holm at 0.05.
    trend, pairs = fixed_sequence(0.01, [0.02, 0.03, 0.024], [0.02, 0.03, 0.024], ends=1)
    assert trend == pytest.approx(0.0125)
    assert pairs == pytest.approx([0.04, 0.0375, 0.04])


def test_without_a_trend_all_pairs_share_a_fifth_of_the_level():
    _, pairs = fixed_sequence(0.5, [0.001, 0.03, 0.2], [0.001, 0.03, 0.2], ends=1)
    assert pairs == pytest.approx([0.015, 0.3, 0.625])
    _, untested = fixed_sequence(math.nan, [0.001, 0.03, 0.2], [0.001, 0.03, 0.2], ends=1)
    assert untested == pytest.approx([0.015, 0.3, 1.0])


def test_a_single_pair_needs_no_adjustment():
    assert fixed_sequence(math.nan, [0.03], [0.04], ends=0)[1] == [0.04]


def test_a_pair_that_is_not_tested_counts():
    _, pairs = fixed_sequence(0.001, [0.001, math.nan, 0.02], [0.001, math.nan, 0.02], ends=2)
    assert math.isnan(pairs[1])
    assert pairs[2] == pytest.approx(0.025)
    assert pairs[0] == pytest.approx(min(max(0.025, 0.002), 0.003 / 0.2))


@given(p_values, st.lists(p_values, min_size=2, max_size=10), st.data())
def test_fixed_sequence_invariants(trend, pairs, data):
    ends = data.draw(st.integers(0, len(pairs) - 1))
    trend_adjusted, adjusted = fixed_sequence(trend, pairs, pairs, ends)
    assert trend_adjusted >= trend
    assert all(after >= before for after, before in zip(adjusted, pairs, strict=True))
    assert max(adjusted) <= 1
    # What Holm's rule calls at a fifth of the level is called; so are the ends after a trend.
    strict = [p / 0.2 for p in holm(pairs)]
    assert all(after <= before + 1e-12 for after, before in zip(adjusted, strict, strict=True))
    assert adjusted[ends] <= max(trend, pairs[ends]) / 0.8 + 1e-12


def test_false_alarms_stay_at_the_level():
    """Uniform p-values of ten true hypotheses: any is rejected in one study of twenty at most."""
    random = np.random.default_rng(0)
    calls = [
        min(fixed_sequence(random.random(), (p := random.random(6).tolist()), p, ends=2)[1]) < 0.05 for _ in range(4000)
    ]
    assert np.mean(calls) < 0.05
