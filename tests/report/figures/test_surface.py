import numpy as np
import pytest

from study.report.figures.style import new_figure
from study.report.figures.surface import draw_contours, draw_slices, surface_data, surface_drawings, through

from ..why.probes import make_evidence, with_probe
from ..why.slices import TICKS, bowl, surface_rows


def data_of(nets, loss_of=bowl, seeds=2, **options):
    evidence = with_probe(make_evidence(nets, seeds=seeds), "surface", surface_rows(loss_of, **options))
    return surface_data(evidence.ended("surface"), 10)


def test_shallow_and_deep_plain_nets_stand_beside_the_residual_one():
    nets = [(kind, depth) for kind in ("plain", "residual") for depth in (8, 20, 56)]
    data = data_of([*nets, ("residual", 110)])
    assert data.contoured == ("plain-8", "plain-56", "resnet-56")
    assert len(data.slices) == 14
    assert set(data.frame["seed"]) == {0}
    assert data.basin == pytest.approx(2.302585)
    assert data_of([("residual", 8), ("residual", 56)]).contoured == ("resnet-8", "resnet-56")
    assert data_of([("plain", 56), ("residual", 20)]).contoured == ("plain-56", "resnet-20")


def test_a_slice_is_what_was_measured():
    data = data_of([("plain", 20)], lambda run, a, b: 1 + a + 10 * b**2)
    losses = data.slices["plain-20", "running"]
    assert losses.shape == (9, 9)
    assert losses.iloc[0, 8] == pytest.approx(10)
    assert through(losses).tolist() == pytest.approx(list(1 + TICKS))
    frame = data.frame
    assert len(frame) == 162
    row = frame[(frame["a"] == 0.5) & (frame["b"] == -1.0)].iloc[0]
    assert row["loss"] == pytest.approx(11.5)


@pytest.mark.parametrize(
    ("low", "high", "levels"),
    [(0.02, 30, (0.01, 50)), (1e-9, 1e12, (1e-3, 100)), (2, 2.5, (1, 10)), (500, 600, (10, 100))],
)
def test_levels_hold_the_losses_within_bounds(low, high, levels):
    data = data_of([("plain", 20)], lambda run, a, b: low if a == b == 0 else high)
    assert (data.levels[0], data.levels[-1]) == pytest.approx(levels)
    assert np.diff(data.levels).min() > 0


@pytest.mark.parametrize("statistics", [("running", "batch"), ("batch",)])
def test_all_nets_have_the_same_scale_and_the_edge_of_the_basin(statistics):
    data = data_of([("plain", 20), ("plain", 56), ("residual", 56)], statistics=statistics)
    contours, _ = surface_drawings(data)
    with new_figure(contours.columns, height=contours.height, **contours.options) as (figure, axes):
        draw_contours(data, figure, axes)
        figure.draw_without_rendering()
        for ax in axes.ravel():
            filled, lines, edge = ax.collections
            assert (filled.norm.vmin, filled.norm.vmax) == (data.levels[0], data.levels[-1])
            assert list(lines.levels) == list(data.levels)
            assert list(edge.levels) == [pytest.approx(np.log(10))]
        assert [ax.get_title() for ax in axes[0]] == ["plain-20", "plain-56", "resnet-56"]


def test_a_line_a_net_through_its_centre():
    data = data_of([("plain", 20), ("plain", 56), ("residual", 56)])
    with new_figure(2, 1, surface_drawings(data)[1].height, sharey=True) as (figure, axes):
        draw_slices(data, figure, axes)
        figure.draw_without_rendering()
        lines = axes[0][0].get_lines()
        assert len(lines) == 4
        assert [line.get_linestyle() for line in lines[:3]] == ["--", "--", "-"]
        assert lines[0].get_ydata() == pytest.approx(0.01 + 4 * TICKS**2)
        assert lines[1].get_color() == lines[2].get_color() != lines[0].get_color()


def test_holes_and_overflow_are_drawn():
    def broken(run, a, b):
        return np.nan if a > 0.5 else np.inf if b > 0.5 else 1 + a**2

    data = data_of([("plain", 20)], broken)
    with new_figure(1, 2, surface_drawings(data)[0].height) as (figure, axes):
        draw_contours(data, figure, axes)
        figure.draw_without_rendering()
    assert data_of([("plain", 20)], lambda run, a, b: np.nan) is None
