import numpy as np
import pytest

from study.report import figures
from study.report.figures.speed import draw_speed, speed_data, speed_drawing
from study.report.figures.style import new_figure

from ..frames import diverge


def test_medians_of_finished_runs(digits):
    runs = diverge(digits, "plain-56 seed 1").runs
    runs.loc[runs["name"] == "plain-56 seed 0", "seconds"] = 200.0
    seeds = speed_data(runs)
    times = seeds[(seeds["architecture"] == "plain") & (seeds["metric"] == "seconds")]
    nets = times.groupby("depth")["median"]
    assert nets.size().to_dict() == {8: 3, 20: 3, 32: 3, 56: 2}  # the diverged one took less time than it would have
    assert nets.first()[56] == (200 + 116) / 2
    assert len(seeds) == 2 * 23
    assert "kinds of device" not in speed_drawing(runs).texts[1]
    runs.loc[runs["seed"] == 2, "device"] = "cuda"
    assert "on 2 kinds of device" in speed_drawing(runs).texts[1]


def test_what_is_not_known_is_left_out(digits):
    runs = digits.runs.assign(images_per_second=np.nan)
    assert set(speed_data(runs)["metric"]) == {"seconds"}
    with pytest.raises(ValueError, match="no finished run has 'images_per_second'"):
        figures.throughput(runs)
    assert speed_drawing(digits.runs.assign(outcome="diverged")) is None


@pytest.mark.parametrize(
    ("factor", "label", "scale"),
    [
        (1, "Time (s)", "linear"),
        (60, "Time (min)", "linear"),
        (3600, "Time (h)", "linear"),
        (None, "Time (h)", "log"),
    ],
)
def test_time_has_a_unit_that_suits_it(digits, factor, label, scale):
    seconds = digits.runs["seconds"] * factor if factor else digits.runs["depth"] ** 3.0
    with new_figure() as (_, axes):
        assert figures.duration(digits.runs.assign(seconds=seconds), axes[0][0]) is axes[0][0]
        assert axes[0][0].get_ylabel() == label
        assert axes[0][0].get_yscale() == scale


def test_speeds_over_a_wide_range_have_plain_numbers(digits):
    data = speed_data(digits.runs.assign(images_per_second=2e5 / digits.runs["depth"]))
    with new_figure() as (figure, axes):
        draw_speed(data, axes[0][0], "images_per_second")
        figure.draw_without_rendering()
        low, high = axes[0][0].get_ylim()
        shown = [t.get_text() for t in axes[0][0].get_yticklabels() if low <= t.get_position()[1] <= high]
        assert shown == ["5,000", "10,000", "20,000"]
