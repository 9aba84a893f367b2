import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.report.figures.labels import (
    depth_axis,
    depth_places,
    in_order,
    spread,
    squeeze,
    squeeze_axis,
    tick_labels,
    unsqueeze,
)
from study.report.figures.style import new_figure


@given(st.lists(st.floats(-5, 105), min_size=1, max_size=12), st.floats(0.1, 20))
def test_labels_keep_their_order_and_distance(values, gap):
    places = np.array(spread(values, gap, 0, 100))
    order = np.argsort(values, kind="stable")
    room = min(gap, 100 / max(1, len(values) - 1))
    assert (np.diff(places[order]) >= room - 1e-6).all()
    assert places.min() >= -1e-6
    assert places.max() <= 100 + 1e-6


def test_labels_with_room_stay_where_they_are():
    assert spread([10, 50, 30], 5, 0, 100) == pytest.approx([10, 50, 30])
    assert spread([50, 50], 4, 0, 100) == pytest.approx([48, 52])


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0, 30))
def test_near_ends_are_dealt_out_in_order(values, same):
    places = in_order(values, same)
    assert sorted(places) == sorted(values)
    for a, b in zip(np.argsort(values), np.argsort(values)[1:], strict=False):
        if values[b] - values[a] >= same > 0:
            assert places[b] > places[a]


def test_near_ends_rise_or_fall_as_they_do():
    assert in_order([8.2, 7.7, 7.75, 7.6, 30], 1) == [8.2, 7.75, 7.7, 7.6, 30]  # falling, but for one
    assert in_order([1.0, 1.2, 1.1], 1) == [1.0, 1.1, 1.2]
    assert in_order([5.0, 1.0, 3.0], 1) == [5.0, 1.0, 3.0]


def test_depths_too_near_for_labels_keep_their_ticks():
    near = np.array([16.0, 19.0, 20.0, 110.0])
    assert tick_labels((16, 19, 20, 110), near) == ["", "", "20", "110"]
    apart = np.array([8.0, 20.0, 32.0, 56.0])
    assert tick_labels((8, 20, 32, 56), apart) == ["8", "20", "32", "56"]
    assert tick_labels((20,), np.array([20.0])) == ["20"]


def test_depths_stand_at_their_logarithms_only_where_they_would_touch():
    assert depth_places((20, 32, 44, 56, 110))[56] == 56
    assert depth_places((8, 14, 20, 26, 74))[14] == 14
    assert depth_places((20, 32, 44, 56, 110, 1202))[1202] == pytest.approx(np.log10(1202))
    assert depth_places((20,)) == {20: 20.0}
    assert depth_places((20, 1202)) == {20: 20.0, 1202: 1202.0}


@given(st.floats(0, 100), st.sampled_from([0.1, 1.0]))
def test_the_scale_has_a_place_for_zero_and_back(error, linear):
    assert float(unsqueeze(squeeze(error, linear), linear)) == pytest.approx(error)
    assert squeeze(0.0, linear) == 0
    above, below = squeeze([linear * 1.001, linear * 0.999], linear)
    assert (above - below) / (0.002 * linear) == pytest.approx(1, abs=0.01)  # no kink


@pytest.mark.parametrize(
    ("linear", "high", "ticks"),
    [
        (0.1, 70, [0, 0.1, 0.3, 1, 3, 10, 30]),
        (0.1, 6, [0, 0.1, 0.2, 0.5, 1, 2, 5]),
        (1, 95, [0, 1, 2, 5, 10, 20, 50]),
    ],
)
def test_a_squeezed_axis_has_readable_ticks(linear, high, ticks):
    with new_figure() as (_, axes):
        squeeze_axis(axes[0][0], linear, -0.01, high)
        assert list(axes[0][0].get_yticks()) == pytest.approx(ticks)


def test_one_depth_has_room_beside_it():
    with new_figure() as (_, axes):
        assert depth_axis(axes[0][0], {8: 8.0}) == 1
        assert axes[0][0].get_xlim() == (7.5, 8.5)
