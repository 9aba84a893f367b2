import pytest

from study.report.figures.overfitting import error_data, overfitting_drawing
from study.report.figures.style import new_figure


def test_runs_without_a_test_error_are_left_out(digits):
    runs = digits.runs.copy()
    runs.loc[runs["name"] == "plain-56 seed 0", "final_test_error"] = float("nan")
    frame = error_data(runs)
    assert len(frame) == 23
    assert ((frame["architecture"] == "plain") & (frame["depth"] == 56)).sum() == 2


@pytest.mark.parametrize(("deepest", "scale"), [(56, "function"), (20, "linear")])
def test_every_run_has_a_place(digits, deepest, scale):
    drawing = overfitting_drawing(digits.runs[digits.runs["depth"] <= deepest], 3.0, "plain-8")
    with new_figure() as (figure, axes):
        drawing.draw(figure, axes)
        figure.draw_without_rendering()
        ax = axes[0][0]
        assert (ax.get_xscale(), ax.get_yscale()) == (scale, scale)
        assert ax.get_xlim()[0] < 0 <= drawing.data["final_train_error"].max() < ax.get_xlim()[1]
        assert drawing.data["final_test_error"].max() < ax.get_ylim()[1]
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert texts[:3] == ["plain nets", "residual nets", "8 layers"]
        assert texts[-2:] == ["equal errors", "gap of plain-8"]
