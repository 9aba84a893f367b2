import math

import numpy as np
import pytest

from study.report.figures.slowness import SlownessData, Times, draw_slowness, law_at
from study.report.figures.style import new_figure


def test_laws_are_straight_where_they_should_be():
    depth = np.array([20.0, 40.0, 80.0])
    assert law_at("exponential", (0.0, math.log(2) / 20), depth) == pytest.approx([2, 4, 16])
    assert law_at("power", (0.0, 2.0), depth) == pytest.approx([400, 1600, 6400])


@pytest.mark.parametrize("depths", [[20, 32], [20, 32, 44, 56, 110, 1202]])
def test_drawing_holds_every_run(depths):
    depth = np.array(depths, dtype=float)
    crossed = np.arange(len(depths)) < len(depths) - 1
    times = Times("plain", depth, 100 * depth, crossed, {"exponential": (5.0, 0.1), "power": (4.6, 1.0)})
    with new_figure() as (figure, axes):
        draw_slowness(SlownessData((times,), 20.0), figure, axes)
        figure.draw_without_rendering()
        low, high = axes[0][0].get_ylim()
        assert low < 100 * depth.min()
        assert high > 100 * depth.max()
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "plain nets", "not there yet", "exponential", "power",
        ]  # fmt: skip
