import numpy as np
import pytest

from study.report.figures.points import name_points, panels_of, take_names
from study.report.figures.style import new_figure


def panels(draw, columns=1, **options):
    """Return the panels of a figure that was drawn; its names are taken off before that, as when it is saved."""
    with new_figure(columns=columns, **options) as (figure, axes):
        draw(axes[0])
        names = take_names(figure)
        figure.draw_without_rendering()
        assert not any(line.get_gid() for ax in figure.axes for line in ax.lines)
        return panels_of(figure, names)


def test_a_point_has_its_place_and_its_values():
    def draw(axes):
        (line,) = axes[0].plot([0, 5, 10], [1.0, 12.3456, 100.0])
        axes[0].set(xlim=(0, 10), ylim=(1, 100), yscale="log", xlabel="Iterations (1e4)", ylabel="Error (%)")
        name_points(line, "plain, 8 layers", [0, 50_000, 100_000])
        axes[0].axhline(3)

    (panel,) = panels(draw)
    assert (panel["x"], panel["y"]) == ("Iterations", "Error (%)")
    (line,) = panel["lines"]
    middle = pytest.approx(np.log10(12.3456) / 2, abs=1e-4)
    assert line == ["plain, 8 layers", 0, 0, 0, 1, 0.5, middle, 50_000, 12.35, 1, 1, 100_000, 100]
    left, top, width, height = panel["box"]
    assert 0 < left < left + width <= 1
    assert 0 <= top < top + height < 1


def test_what_is_cut_off_or_no_number_has_no_point():
    def draw(axes):
        (line,) = axes[0].plot([0, 1, 2], [1, np.nan, 500])
        name_points(line, "a")
        axes[0].set_ylim(0, 100)

    assert panels(draw)[0]["lines"][0][3:] == [0, 1]


def test_a_line_without_points_tells_nothing():
    (panel,) = panels(lambda axes: name_points(axes[0].plot([], [])[0], "a", [], []))
    assert panel["lines"] == [["a"]]


def test_of_very_many_points_some_are_told_with_both_ends():
    def draw(axes):
        name_points(axes[0].plot(range(1000))[0], "a")

    x = panels(draw)[0]["lines"][0][3::4]
    assert (x[0], x[-1]) == (0, 999)
    assert 50 < len(x) <= 61


def test_a_panel_shares_the_label_beside_it_and_one_without_names_is_left_out():
    def draw(axes):
        axes[0].set_ylabel("Error (%)")
        name_points(axes[1].plot([1, 2])[0], "a")

    (panel,) = panels(draw, columns=2, sharey=True)
    assert panel["y"] == "Error (%)"
    assert panel["box"][0] > 0.4
