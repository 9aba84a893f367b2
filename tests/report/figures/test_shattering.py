import pandas as pd
import pytest

from study.report.figures.shattering import shattering_drawing, shattering_lines
from study.report.figures.style import new_figure
from study.report.moments import END, moments_of

LINE = [1.0, 0.6, 0.2, -0.3]


def rows(depths=(8, 14), moments=(0.0, END), line=LINE):
    return pd.DataFrame(
        [
            {
                "run_id": f"{kind}{depth}",
                "architecture": kind,
                "depth": depth,
                "moment": moment,
                "lag": lag,
                "distance": lag / 9,
                "autocorrelation": value,
                "white": -1 / 9 if lag else 1.0,
            }
            for kind in ("plain", "residual")
            for depth in depths
            for moment in moments
            for lag, value in enumerate(line)
        ]
    )


def test_the_point_itself_is_left_out():
    lines = shattering_lines(rows())
    assert lines["white"].tolist() == pytest.approx([-1 / 9] * len(lines))
    assert (set(lines["architecture"]), moments_of(lines)) == ({"plain", "residual"}, [0, END])
    assert set(lines["depth"]) == {8, 14}
    assert lines["value"].tolist()[:3] == LINE[1:]
    assert len(lines) == 2 * 2 * 2 * 3
    assert moments_of(shattering_lines(rows(moments=(0, 1, 10, 100, END)))) == [0, 10, END]
    assert shattering_drawing(rows(line=[float("nan")] * 4)) is None


def test_drawing_holds_every_distance():
    drawing = shattering_drawing(rows(range(8, 80, 6)))
    assert drawing.data["depth"].nunique() == 7
    assert drawing.texts[1].endswith("Of 12 depths, 7 are drawn.")
    with new_figure(drawing.columns, **drawing.options) as (figure, axes):
        drawing.draw(figure, axes)
        figure.draw_without_rendering()
        assert axes[0][0].get_ylim()[0] < -0.3
        assert [ax.get_title() for ax in axes[0]] == ["initialisation", "end of training"]
        assert len(figure.legends[0].get_texts()) == 8
