import numpy as np
import pandas as pd
import pytest

from study.report.figures.layers import (
    add_key,
    depth_key,
    drawn_depths,
    layer_lines,
    left_out,
    log_axis,
)
from study.report.figures.style import COLUMN, WIDTH, new_figure


def rows(values):
    """Return rows of plain-8 at initialisation: {run: values by layer}."""
    return pd.DataFrame(
        [
            {"run_id": run, "architecture": "plain", "depth": 8, "moment": 0.0, "layer": layer, "std": value}
            for run, given in values.items()
            for layer, value in enumerate(given)
        ]
    )


def test_lines_have_mean_and_range_over_seeds():
    line = layer_lines(rows({"a": [1.0, 2.0], "b": [4.0, 8.0]}), "std", "layer")
    assert line["place"].tolist() == [0.0, 1.0]
    assert line["value"].tolist() == [2.5, 5.0]
    assert (line["lowest"].tolist(), line["highest"].tolist()) == ([1.0, 2.0], [4.0, 8.0])
    assert line["seeds"].tolist() == [2, 2]
    line = layer_lines(rows({"a": [1.0, 2.0], "b": [4.0, 8.0]}), "std", "layer", geometric=True)
    assert line["value"].tolist() == pytest.approx([2.0, 4.0])


def test_a_seed_with_a_hole_is_left_out_whole():
    line = layer_lines(rows({"a": [1.0, 2.0], "b": [np.nan, 8.0], "c": [np.inf, 1.0]}), "std", "layer")
    assert (line["value"].tolist(), line["seeds"].tolist()) == ([1.0, 2.0], [1, 1])
    line = layer_lines(rows({"a": [1.0, 2.0], "b": [0.0, 8.0]}), "std", "layer", geometric=True)
    assert line["seeds"].tolist() == [1, 1]
    assert layer_lines(rows({"a": [np.nan, np.nan]}), "std", "layer").empty


def test_depths_that_are_left_out_are_counted():
    assert left_out([8, 8, 20], [8, 14, 20]) == " Of 3 depths, 2 are drawn."
    assert left_out([8, 20], [8, 20]) == ""


def test_few_depths_are_drawn_and_none_far_off():
    assert drawn_depths([20, 32, 56]) == [20, 32, 56]
    assert drawn_depths([20, 110, 1202]) == [20, 110]  # more than six times the one before
    assert drawn_depths([20, 1202]) == [20, 1202]
    assert drawn_depths([20, 32, 56, 110, 1202]) == [20, 32, 56, 110]
    many = drawn_depths(range(8, 122, 6))
    assert (len(many), many[0], many[-1]) == (7, 8, 116)


@pytest.mark.parametrize(("low", "high", "shown"), [(2.0, 2.0, ["1", "2", "5"]), (1e-3, 1e5, None)])
def test_a_logarithmic_axis_has_ticks_enough(low, high, shown):
    with new_figure() as (figure, axes):
        log_axis(axes[0][0], low, high)
        figure.draw_without_rendering()
        bottom, top = axes[0][0].get_ylim()
        ticks = [label for label in axes[0][0].get_yticklabels() if bottom <= label.get_position()[1] <= top]
        assert bottom < low <= high < top
        assert len(ticks) >= 2
        assert shown is None or [label.get_text() for label in ticks] == shown


@pytest.mark.parametrize("width", [COLUMN * 1.3, WIDTH])
def test_a_key_is_no_wider_than_its_figure(width):
    with new_figure(width=width) as (figure, _):
        add_key(figure, depth_key(dict.fromkeys([8, 14, 20, 32, 56, 110, 1202], "#000000")))
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
