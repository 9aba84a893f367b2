import pandas as pd
import pytest

from study.report.figures.shattering import draw_shattering, shattering_data
from study.report.figures.style import new_figure
from study.report.moments import END

LINE = [1.0, 0.6, 0.2, -0.3]


def rows(depths=(8, 14), moments=(0.0, END), line=LINE):
    return pd.DataFrame([
        {"run_id": f"{kind}{depth}", "architecture": kind, "depth": depth, "moment": moment, "lag": lag,
         "distance": lag / 9, "autocorrelation": value, "white": -1 / 9 if lag else 1.0}
        for kind in ("plain", "residual") for depth in depths for moment in moments for lag, value in enumerate(line)
    ])  # fmt: skip


def test_the_point_itself_is_left_out():
    data = shattering_data(rows())
    assert data.white == pytest.approx(-1 / 9)
    assert (data.lines.panels, data.moments, data.lines.drawn) == (("plain", "residual"), (0, END), (8, 14))
    assert data.lines[0].mean.tolist() == LINE[1:]
    assert len(data.frame()) == 2 * 2 * 2 * 3
    assert shattering_data(rows(moments=(0, 1, 10, 100, END))).moments == (0, 10, END)
    assert shattering_data(rows(line=[float("nan")] * 4)) is None


def test_drawing_holds_every_distance():
    data = shattering_data(rows(range(8, 80, 6)))
    assert len(data.lines.drawn) == 7
    assert len(data.all_depths) == 12
    with new_figure(2, rows=2, sharex=True, sharey=True) as (figure, axes):
        draw_shattering(data, figure, axes)
        figure.draw_without_rendering()
        assert axes[0][0].get_ylim()[0] < -0.3
        assert [ax.get_title() for ax in axes[0]] == ["initialisation", "end of training"]
        assert len(figure.legends[0].get_texts()) == 8
