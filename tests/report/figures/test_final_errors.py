import numpy as np
import pandas as pd
import pytest

from study.report import figures
from study.report.figures.final_errors import depth_data, depth_drawing, draw_depth
from study.report.figures.labels import squeeze
from study.report.figures.style import new_figure
from study.statistics.interval import Interval

from ..frames import Truth, diverge, make_study


def test_depth_figure_has_every_seed(digits):
    data = depth_data(digits.runs)
    plain = data.seeds[(data.seeds["architecture"] == "plain") & (data.seeds["metric"] == "final_train_error")]
    assert list(plain["depth"].unique()) == [8, 20, 32, 56]
    expected = digits.runs.loc[digits.runs["net"] == "plain-56", "final_train_error"]
    deep = plain[plain["depth"] == 56]
    assert sorted(deep["error"]) == sorted(expected)
    assert deep["mean"].unique() == pytest.approx(expected.mean())
    low, high, _ = data.axes["final_train_error"]
    assert low < 0
    assert high > expected.max()


def test_errors_over_decades_are_squeezed_and_zero_is_shown(digits):
    data = depth_data(digits.runs)
    low, high, linear = data.axes["final_train_error"]
    assert linear == 0.1  # one image of 1,293 is 0.08%
    assert data.axes["final_test_error"].linear == 0  # they span 3 to 38
    with new_figure() as (_, axes):
        draw_depth(data, axes[0][0], "final_train_error")
        at = axes[0][0].transData.transform([(8, error) for error in (low, 0, 0.1, 1, 10, high)])[:, 1]
        assert (np.diff(at) > 0).all()
        assert at[3] - at[2] > 0.15 * (at[-1] - at[0])  # 0.1 and 1 are far apart
        assert squeeze(0.0, 0.1) == 0
    few = depth_data(digits.runs.assign(train_images=60))
    assert few.axes["final_train_error"].linear == 1.0  # one image of 60 is more than a percent


def test_errors_of_one_size_are_not(paper):
    assert depth_data(paper.runs).axes["final_test_error"].linear == 0
    flat = make_study(Truth({("plain", 8): (5, 1), ("plain", 20): (9, 1)}))
    assert not any(axis.linear for axis in depth_data(flat.runs).axes.values())


def test_a_wide_interval_does_not_squeeze_the_seeds(digits):
    runs = diverge(digits, "resnet-56 seed 0").runs
    data = depth_data(runs)
    assert data.axes["final_train_error"].high < 130
    # A mean of errors has an interval from 0 to 100 at most, so nothing of it lies beyond the axis.
    assert not data.clipped
    assert ((data.means["low"] >= 0) & (data.means["high"] <= 100)).all()


def test_the_interval_may_be_another(digits):
    data = depth_data(digits.runs, lambda cell: Interval(float(np.median(cell)), 1.0, 2.0, n=(len(cell),)))
    assert set(data.seeds["low"]) == {1.0}
    assert set(data.seeds["high"]) == {2.0}


def test_the_data_has_a_row_a_seed(digits):
    frame = depth_data(digits.runs).seeds
    assert len(frame) == 2 * len(digits.runs)
    mine = frame[(frame["metric"] == "final_train_error") & (frame["architecture"] == "plain") & (frame["depth"] == 56)]
    assert mine["error"].mean() == pytest.approx(mine["mean"].iloc[0])
    assert (mine["low"] < mine["mean"]).all()
    assert set(mine["seeds"]) == {3}


def test_a_user_draws_on_axes_of_their_own(digits):
    with new_figure() as (_, axes):
        assert figures.depth(digits.runs, axes[0][0], metric="final_test_error") is axes[0][0]
        assert axes[0][0].get_ylabel() == "Final test error (%)"
        with pytest.raises(ValueError, match="there are final_train_error"):
            figures.depth(digits.runs.assign(final_test_error=np.nan), axes[0][0], metric="final_test_error")
    with pytest.raises(ValueError, match="2 variants"):
        figures.depth(pd.concat([digits.runs, digits.runs.assign(variant="width=2")]))


def test_longer_trainings_are_left_out(digits):
    longer = digits.runs.assign(variant="budget=3", final_train_error=0.0)
    both = depth_data(pd.concat([digits.runs, longer])).seeds
    pd.testing.assert_frame_equal(both, depth_data(digits.runs).seeds)
    assert set(depth_data(longer).seeds["error"]) > {0.0}  # where they are all there is, they are drawn


def test_the_same_numbers_give_the_same_bytes(digits, tmp_path):
    for folder in ("a", "b"):
        depth_drawing(digits.runs).save(tmp_path / folder)
    for kind in ("png", "svg", "pdf", "csv"):
        assert (tmp_path / f"a/depth.{kind}").read_bytes() == (tmp_path / f"b/depth.{kind}").read_bytes()
    svg = (tmp_path / "a/depth.svg").read_text()
    assert "Final training error (%)" in svg  # text stays text
    assert "<dc:date>" not in svg
