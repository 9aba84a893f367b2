import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from study.report.figures.slowness import law_at, slowness_drawing
from study.report.figures.style import new_figure


def test_laws_are_straight_where_they_should_be():
    depth = np.array([20.0, 40.0, 80.0])
    exponential = SimpleNamespace(intercept=0.0, slope=math.log(2) / 20)
    assert law_at("exponential", exponential, depth) == pytest.approx([2, 4, 16])
    assert law_at("power", SimpleNamespace(intercept=0.0, slope=2.0), depth) == pytest.approx([400, 1600, 6400])


@pytest.mark.parametrize("depths", [[20, 32], [20, 32, 44, 56, 110, 1202]])
def test_drawing_holds_every_run(depths):
    depth = np.array(depths, dtype=float)
    states = ["early", *["crossed"] * (len(depths) - 2), "late"]
    times = pd.DataFrame({"architecture": "plain", "depth": depth, "iterations": 100 * depth, "state": states})
    laws = {
        "exponential": SimpleNamespace(intercept=5.0, slope=0.1),
        "power": SimpleNamespace(intercept=4.6, slope=1.0),
    }
    drawing = slowness_drawing(times, {"plain": laws}, 20.0, "10 and 20", [0.1])
    assert list(drawing.data["threshold"]) == [20.0] * len(depths)
    with new_figure() as (figure, axes):
        drawing.draw(figure, axes)
        figure.draw_without_rendering()
        low, high = axes[0][0].get_ylim()
        assert low < 100 * depth.min()
        assert high > 100 * depth.max()
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "plain nets",
            "there at once",
            "not there yet",
            "exponential",
            "power",
        ]
