import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from study.report.figures import curves as curve_figures
from study.report.figures import depth as depth_figure
from study.report.figures.style import depth_colours, draw_and_save, new_figure, spread
from study.report.gallery import draw_figures

from .frames import Truth, diverge, make_study, unfinish


def line(data, architecture, depth, split):
    (found,) = [x for x in data.lines if (x.architecture, x.depth, x.split) == (architecture, depth, split)]
    return found


@given(st.sets(st.integers(2, 2000), min_size=2, max_size=9))
def test_deeper_is_darker(depths):
    colours = depth_colours(depths)
    lightness = [np.dot(to_rgb(colours[depth]), (0.2126, 0.7152, 0.0722)) for depth in sorted(depths)]
    assert (np.diff(lightness) < -0.005).all()


def test_one_depth_has_a_colour():
    assert set(depth_colours([20])) == {20}


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


def test_curves_are_means_over_seeds(digits):
    data = curve_figures.curve_data(digits.curves, digits.runs)
    found = line(data, "plain", 56, "test")
    mine = digits.curves[digits.curves["net"] == "plain-56"].groupby("step")["test_error"]
    assert found.mean == pytest.approx(mine.mean().to_numpy())
    assert found.low == pytest.approx(mine.min().to_numpy())
    assert found.high == pytest.approx(mine.max().to_numpy())
    assert (found.seeds, found.label) == (3, "56-layer")
    assert data.panels == ("plain", "residual")
    assert data.last == 220
    assert data.power == 0


def test_the_axis_is_cut_above_every_final_point(digits, paper):
    for study in (digits, paper, diverge(digits, "plain-56 seed 1")):
        data = curve_figures.curve_data(study.curves, study.runs)
        assert all(one.high[-1] < data.top for one in data.lines)
    assert curve_figures.curve_data(paper.curves, paper.runs).top < 40
    assert curve_figures.curve_data(paper.curves, paper.runs).power == 4


def test_a_diverged_run_stays_at_the_error_of_guessing(digits):
    study = diverge(digits, "plain-56 seed 1")
    found = line(curve_figures.curve_data(study.curves, study.runs), "plain", 56, "train")
    others = study.curves[(study.curves["net"] == "plain-56") & (study.curves["step"] == 220)]
    assert len(others) == 2
    assert found.mean[-1] == pytest.approx((90 + others["train_error"].sum()) / 3)
    assert (found.high[-1], found.diverged) == (90, 1)


def test_unfinished_runs_are_drawn_only_where_there_is_nothing_else(digits):
    study = unfinish(digits, "plain-56 seed 0", "interrupted")
    assert line(curve_figures.curve_data(study.curves, study.runs), "plain", 56, "train").seeds == 2
    for seed in (1, 2):
        study = unfinish(study, f"plain-56 seed {seed}", "running")
    found = line(curve_figures.curve_data(study.curves, study.runs), "plain", 56, "train")
    assert (found.seeds, found.label) == (3, "56-layer, unfinished")


def test_seeds_evaluated_at_other_steps_do_not_make_the_mean_jump():
    curves = pd.DataFrame({
        "run_id": ["a", "a", "a", "b", "b"], "architecture": "plain", "depth": 8, "step": [0, 10, 20, 0, 20],
        "train_error": [40.0, 30.0, 20.0, 80.0, 40.0], "test_error": [np.nan] * 5,
    })  # fmt: skip
    runs = make_study(Truth({("plain", 8): (20, 1)}, seeds=2)).runs.assign(run_id=["a", "b"])
    data = curve_figures.curve_data(curves, runs)
    (found,) = data.lines  # no test error at all: no line
    assert found.mean == pytest.approx([60, (30 + 60) / 2, 30])


def test_depth_figure_has_every_seed(digits):
    data = depth_figure.depth_data(digits.runs)
    plain = next(one for one in data.series if (one.architecture, one.metric) == ("plain", "final_train_error"))
    assert plain.depths == (8, 20, 32, 56)
    expected = digits.runs.loc[digits.runs["net"] == "plain-56", "final_train_error"]
    assert sorted(plain.seeds[3]) == sorted(expected)
    assert plain.means[3].estimate == pytest.approx(expected.mean())
    low, high = data.limits["final_train_error"]
    assert low < 0
    assert high > expected.max()


def test_depths_too_near_for_labels_keep_their_ticks():
    near = np.array([16.0, 19.0, 20.0, 110.0])
    assert depth_figure.tick_labels((16, 19, 20, 110), near) == ["", "", "20", "110"]
    apart = np.array([8.0, 20.0, 32.0, 56.0])
    assert depth_figure.tick_labels((8, 20, 32, 56), apart) == ["8", "20", "32", "56"]
    assert depth_figure.tick_labels((20,), np.array([20.0])) == ["20"]


def test_drawn_labels_do_not_overlap(digits, paper):
    for study in (digits, paper):
        data = curve_figures.curve_data(study.curves, study.runs)
        with new_figure(2, height=2.7, sharey=True) as (figure, axes):
            curve_figures.draw_all(data, figure, axes)
            figure.draw_without_rendering()
            boxes = [[text.get_window_extent() for text in ax.texts] for ax in axes[0]]
            page = figure.bbox
        for labels in boxes:
            assert len(labels) > 2
            assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])
            assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in labels)


@pytest.mark.parametrize("case", ["plain only", "one seed", "one depth", "diverged", "very deep", "vgg", "no test"])
def test_every_figure_is_drawn(case, tmp_path):
    pair = make_study(Truth({(name, depth): (1, 1) for name in ("plain", "residual") for depth in (8, 20)}))
    study = {
        "plain only": pair,
        "one seed": make_study(Truth({("plain", 8): (1, 1), ("residual", 8): (1, 1), ("plain", 20): (1, 1)}, seeds=1)),
        "one depth": make_study(Truth({("plain", 8): (1, 1), ("residual", 8): (1, 1)}, trials=1)),
        "diverged": diverge(pair, "plain-20 seed 1"),
        "very deep": make_study(Truth({("residual", depth): (1, 1) for depth in (20, 32, 110, 1202)})),
        "vgg": make_study(Truth({("plain", 18): (1, 1), ("residual", 18): (1, 1), ("vgg", 16): (1, 1)})),
        "no test": pair,
    }[case]
    runs, curves = study.runs, study.curves
    if case == "plain only":
        runs, curves = (frame[frame["architecture"] == "plain"] for frame in (runs, curves))
    if case == "no test":
        runs, curves = runs.assign(final_test_error=np.nan), curves.assign(test_error=np.nan)
    pictures = draw_figures(runs, curves, depth_colours(runs["depth"]), tmp_path)
    names = {picture.name for picture in pictures}
    assert {"depth", "curves"} <= names
    assert ("degradation" in names) == (case in ("plain only", "one seed", "diverged", "no test"))
    for picture in pictures:
        assert "nan" not in picture.caption + picture.alt
        for kind in ("png", "svg", "pdf"):
            assert (tmp_path / f"{picture.name}.{kind}").stat().st_size > 1000


def test_the_same_numbers_give_the_same_bytes(digits, tmp_path):
    data = depth_figure.depth_data(digits.runs)
    for folder in ("a", "b"):
        draw_and_save(tmp_path / folder, "depth", lambda figure, axes: depth_figure.draw_both(data, figure, axes), 2)
    for kind in ("png", "svg", "pdf"):
        assert (tmp_path / f"a/depth.{kind}").read_bytes() == (tmp_path / f"b/depth.{kind}").read_bytes()
    svg = (tmp_path / "a/depth.svg").read_text()
    assert "Final training error (%)" in svg  # text stays text
    assert "<dc:date>" not in svg
