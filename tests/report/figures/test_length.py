from dataclasses import replace

import pandas as pd
import pytest

from study.report.figures.length import draw_length, length_data, length_drawing
from study.report.figures.style import depth_colours, new_figure
from study.verdict.length import of_all_lengths

from ..conftest import DIGITS
from ..frames import make_study, with_budget

COLOURS = depth_colours((8, 20, 32, 56))


@pytest.fixture(scope="module")
def runs(digits) -> pd.DataFrame:
    return with_budget(digits, replace(DIGITS, seeds=2)).runs


def test_a_net_of_one_length_is_left_out(runs):
    frame = length_data(of_all_lengths(runs, ""))
    assert set(frame["depth"]) == {8, 56}
    nets = frame.groupby(["architecture", "depth", "iterations"])["seeds"].first()
    assert nets.to_dict() == {
        (kind, depth, length): seeds
        for kind in ("plain", "residual")
        for depth in (8, 56)
        for length, seeds in ((220, 3), (660, 2))
    }
    deep = runs[(runs["net"] == "plain-56") & (runs["variant"] == "budget=3")]
    shown = frame[(frame["architecture"] == "plain") & (frame["depth"] == 56) & (frame["iterations"] == 660)]
    assert list(shown["error"]) == list(deep["final_train_error"])
    assert shown["mean"].iloc[0] == pytest.approx(deep["final_train_error"].mean())


def test_its_words(runs):
    title, caption, alt = length_drawing(runs, "", COLOURS).texts
    assert title == "Training error against length of training"
    for words in ("Means over 2 to 3 seeds", "nets of one length alone are left out", "He et al. 2015 (section 4.1"):
        assert words in caption
    assert "tuned for the shortest" in caption
    assert "tuned for the shortest" not in length_drawing(runs.assign(lr_tuned=False), "", COLOURS).texts[1]
    assert "Plain net of 8 layers: 0.0" in alt
    assert "% after 220 iterations, " in alt


def test_there_is_none_of_one_length(digits, runs):
    assert length_drawing(digits.runs, "", COLOURS) is None
    assert length_drawing(runs[runs["variant"] == "budget=3"], "budget=3", COLOURS) is None
    lost = runs.assign(outcome=runs["outcome"].where(runs["variant"] == "budget=3", "failed"))
    assert length_drawing(lost, "", COLOURS) is None


def test_of_lengths_that_are_judged_by_themselves_the_shortest_has_it(digits):
    longer = make_study(DIGITS, seed=4).runs.assign(variant="epochs=60", total_iterations=660)
    runs = pd.concat([digits.runs.assign(variant="epochs=20"), longer.assign(run_id=longer["run_id"] + "x")])
    assert length_drawing(runs, "epochs=60", COLOURS) is None
    drawing = length_drawing(runs, "epochs=20", COLOURS)
    assert set(drawing.data["depth"]) == {8, 20, 32, 56}
    assert "left out" not in drawing.texts[1]


def test_a_panel_an_architecture_and_a_line_a_depth(runs):
    frame = length_data(of_all_lengths(runs, ""))
    with new_figure(2, sharey=True) as (figure, axes):
        draw_length(frame, COLOURS, 0.1, figure, axes)
        figure.draw_without_rendering()
        assert [ax.get_title() for ax in axes[0]] == ["plain nets", "residual nets"]
        for ax in axes[0]:
            assert ax.get_xscale() == "log"
            assert [tick.get_text() for tick in ax.get_xticklabels()] == ["220", "660"]
            means = [line for line in ax.get_lines() if line.get_linestyle() == "-" and line.get_markersize() == 4.0]
            assert [line.get_color() for line in means] == [COLOURS[8], COLOURS[56]]
            hollow = [line for line in ax.get_lines() if line.get_markersize() == 3.0]
            assert [len(line.get_xdata()) for line in hollow] == [5, 5]
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["8 layers", "56 layers"]
