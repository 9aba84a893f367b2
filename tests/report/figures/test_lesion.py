import numpy as np
import pandas as pd
import pytest

from study.report.figures.lesion import block_places, draw_each, draw_groups, lesion_data
from study.report.figures.style import new_figure
from study.report.why.ended import ended

from ..why.lesions import by_degrees, with_lesions
from ..why.probes import make_evidence


def data_of(nets, rise=by_degrees, seeds=2, **options):
    evidence = with_lesions(make_evidence(nets, seeds=seeds), rise, **options)
    return lesion_data(ended(evidence, "lesion"), ended(evidence, "reordering"), 90.0)


def test_blocks_count_from_the_input_those_that_cant_be_taken_out_included():
    assert block_places(["layer1.0", "layer1.1", "layer2.1", "layer3.2"]) == {
        "layer1.0": 1, "layer1.1": 2, "layer2.1": 4, "layer3.2": 7,
    }  # fmt: skip


def test_a_line_a_net_with_the_range_of_seeds():
    data = data_of((("plain", 20), ("residual", 20)), whole=lambda run: 10.0 + run["seed"])
    plain, residual = data.each
    assert list(plain.place) == [1, 2, 3, 5, 6]
    assert list(residual.place) == [1, 2, 3, 4, 5, 6]
    assert residual.marked == (False, False, False, True, False, False)
    assert residual.mean[3] == pytest.approx(20.005)
    assert (residual.low[3], residual.high[3]) == (20.0, 20.01)
    assert residual.room == pytest.approx(79.5)
    random = data.random[1]
    assert list(random.place) == [1, 2, 4]
    assert (random.mean[2], random.low[2], random.high[2]) == (40.5, 40.0, 41.0)
    assert (random.seeds, random.draws) == (2, 2)
    frame = data.frame()
    assert len(frame) == 11 + 6
    assert set(data.groups_frame()["kind"]) == {"random", "reordering"}
    assert len(data.shuffled) == 2 * 2 * 8


def test_few_of_many_depths_are_drawn():
    data = data_of([("plain", depth) for depth in (8, 14, 20, 26, 32)], seeds=1)
    assert data.depths == (8, 20, 32)
    assert data.all_depths == (8, 14, 20, 26, 32)


def test_a_panel_a_depth_with_gaps_and_rings():
    data = data_of([(kind, depth) for kind in ("plain", "residual") for depth in (8, 20)])
    with new_figure(2, sharey=True) as (figure, axes):
        draw_each(data, figure, axes)
        figure.draw_without_rendering()
        plain, ringed, room, *_ = axes[0][0].get_lines()
        assert np.isnan(plain.get_ydata()[3])
        assert len(ringed.get_xdata()) == 0
        assert room.get_ydata()[0] == pytest.approx(90.0)
        rings = axes[0][0].get_lines()[4]
        assert list(rings.get_xdata()) == [4]
        low, high = axes[0][0].get_ylim()
        assert low < 0
        assert high > 90


@pytest.mark.parametrize("nets", [(("plain", 8),), [("residual", depth) for depth in (8, 20, 56, 110)]])
def test_counts_and_orders_stand_beside_each_other(nets):
    data = data_of(nets, seeds=1)
    with new_figure(2, sharey=True) as (figure, axes):
        draw_groups(data, figure, axes)
        figure.draw_without_rendering()
        counts, orders = axes[0]
        assert [label.get_text() for label in counts.get_xticklabels()] == ["1", "2", "4"]
        assert orders.xaxis.get_inverted()
        assert len(orders.get_lines()) == min(3, len(nets))


def test_either_may_be_missing():
    evidence = with_lesions(make_evidence((("plain", 8),)))
    rows = ended(evidence, "lesion")
    data = lesion_data(rows[rows["kind"] == "each"], pd.DataFrame(), 90.0)
    assert data.random == ()
    assert data.shuffled.empty
    with new_figure() as (figure, axes):
        draw_each(data, figure, axes)
    data = lesion_data(rows[rows["kind"] == "random"], pd.DataFrame(), 90.0)
    assert data.each == ()
    with new_figure() as (figure, axes):
        draw_groups(data, figure, axes)
    assert lesion_data(pd.DataFrame(), ended(evidence, "reordering"), 90.0) is None
