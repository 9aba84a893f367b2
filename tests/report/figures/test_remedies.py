import numpy as np
import pandas as pd
import pytest

from study.report.figures.remedies import Row, doses_drawing, drawn_rows, remedies_drawing
from study.report.figures.style import new_figure


def make_row(label, deep, shallow=(1.0, 1.2), diverged=0, depths=(8, 56), base=False, architecture="plain"):
    return Row(label, architecture, base, *depths, np.array(shallow), np.array(deep), diverged)


ROWS = (
    make_row("no remedy (plain-56)", (40.0, 42.0, 44.0), base=True),
    make_row("shortcut (resnet-56)", (0.4, 0.5), base=True, architecture="residual"),
    make_row("width=2 (plain-56)", (1.0, 90.0), diverged=1),
    make_row("a very long name " * 5, (3.0,)),
)


def test_the_lowest_error_comes_first():
    drawing = remedies_drawing(ROWS, 0.08)
    assert [label[:8] for label in drawing.data["remedy"].unique()] == ["shortcut", "a very l", "no remed", "width=2 "]
    assert len(drawing.data) == 4 * 2 + 3 + 2 + 2 + 1
    assert "linear up to 0.1% and logarithmic above" in drawing.texts[1]
    assert "intervals are cut" in drawing.texts[1]  # that of two seeds, one of which diverged


def test_errors_of_one_size_stay_on_a_linear_axis():
    assert "logarithmic" not in remedies_drawing([make_row("a", (5.0, 6.0), (4.0, 4.0))], 0.08).texts[1]


def test_a_row_a_remedy_and_lines_for_those_to_compare_with():
    with new_figure() as (figure, axes):
        remedies_drawing(ROWS, 0.08).draw(figure, axes)
        ax = axes[0][0]
        labels = [text.get_text() for text in ax.get_yticklabels()]
        assert labels[0] == "shortcut (resnet-56)"
        assert all(len(text) <= 50 for text in labels)
        upright = [line for line in ax.lines if list(line.get_xdata()) in ([42.0, 42.0], [0.45, 0.45])]
        assert len(upright) == 2
        key = [text.get_text() for text in figure.legends[0].get_texts()]
        assert key == ["shortcut (resnet-56)", "no remedy (plain-56)", "8 layers", "56 layers", "diverged"]


def test_of_very_many_the_ends_are_drawn():
    drawn = drawn_rows([make_row(f"width={k}", (float(k), k + 1.0)) for k in range(90)])
    assert len(drawn) == 40
    assert (drawn[0].label, drawn[-1].label) == ("width=0", "width=89")


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS[:1],
        (make_row("one depth", (2.0,), (2.0,), depths=(56, 56)),),
        (make_row("zeros", (0.0, 0.0), (0.0,)),),
    ],
)
def test_remedies_draw(rows, tmp_path):
    remedies_drawing(rows, 0.08).save(tmp_path)
    assert (tmp_path / "why-remedies.png").stat().st_size > 3000


@pytest.mark.parametrize(
    "cells",
    [
        ((40.0, 42.0), (3.0, 90.0), (0.4, 0.5)),
        ((40.0,), (3.0,), (0.4,)),
        ((2.0, 2.0), (2.0, 2.0), (2.0, 2.0)),
    ],
)
def test_doses_draw(cells, tmp_path):
    rows = [
        (depth, scale, error, int(scale == 0.5 and max(errors) == 90))
        for depth in (8, 20, 56)
        for scale, errors in zip((0.0, 0.5, 1.0), cells, strict=True)
        for error in errors
    ]
    drawing = doses_drawing(pd.DataFrame(rows, columns=["depth", "shortcut_scale", "error", "diverged"]), 0.08)
    assert set(drawing.data["depth"]) == {8, 56}
    assert len(drawing.data) == 2 * sum(map(len, cells))
    drawing.save(tmp_path)
    assert (tmp_path / "why-shortcut-scale.png").stat().st_size > 3000
