import numpy as np
import pandas as pd
import pytest

from study.report.figures.lesion import block_places, lesion_data, lesion_drawings
from study.report.figures.style import new_figure

from ..why.lesions import by_degrees, with_lesions
from ..why.probes import make_evidence


def rows_of(nets, rise=by_degrees, seeds=2, **options):
    evidence = with_lesions(make_evidence(nets, seeds=seeds), rise, **options)
    return evidence.ended("lesion"), evidence.ended("reordering")


def drawings_of(*arguments, **options):
    return lesion_drawings(*rows_of(*arguments, **options), 90.0)


def test_blocks_count_from_the_input_those_that_cant_be_taken_out_included():
    assert block_places(["layer1.0", "layer1.1", "layer2.1", "layer3.2"]) == {
        "layer1.0": 1,
        "layer1.1": 2,
        "layer2.1": 4,
        "layer3.2": 7,
    }


def test_a_line_a_net_with_the_range_of_seeds():
    lesions, orders = rows_of((("plain", 20), ("residual", 20)), whole=lambda run: 10.0 + run["seed"])
    frame = lesion_data(lesions, 90.0)
    assert len(frame) == 11 + 6
    lines = {key: line.reset_index(drop=True) for key, line in frame.groupby(["kind", "architecture"])}
    assert list(lines["each", "plain"]["place"]) == [1, 2, 3, 5, 6]
    residual = lines["each", "residual"]
    assert list(residual["place"]) == [1, 2, 3, 4, 5, 6]
    assert list(residual["downsamples"]) == [False, False, False, True, False, False]
    assert residual["rise"][3] == pytest.approx(20.005)
    assert (residual["lowest"][3], residual["highest"][3]) == (20.0, 20.01)
    assert residual["guessing"][0] == pytest.approx(79.5)
    random = lines["random", "residual"]
    assert list(random["place"]) == [1, 2, 4]
    assert list(random.loc[2, ["rise", "lowest", "highest"]]) == [40.5, 40.0, 41.0]
    assert (random["seeds"][0], random["draws"][0]) == (2, 2)
    groups = lesion_drawings(lesions, orders, 90.0)[1].data
    assert list(groups["kind"]) == ["random"] * 6 + ["reordering"] * 2 * 2 * 8


def test_few_of_many_depths_are_drawn():
    each, _ = drawings_of([("plain", depth) for depth in (8, 14, 20, 26, 32)], seeds=1)
    assert set(each.data["depth"]) == {8, 20, 32}
    assert each.texts[1].endswith("Of 5 depths, 3 are drawn.")


def test_a_panel_a_depth_with_gaps_and_rings():
    each, _ = drawings_of([(kind, depth) for kind in ("plain", "residual") for depth in (8, 20)])
    with new_figure(2, sharey=True) as (figure, axes):
        each.draw(figure, axes)
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
    _, groups = drawings_of(nets, seeds=1)
    with new_figure(2, sharey=True) as (figure, axes):
        groups.draw(figure, axes)
        figure.draw_without_rendering()
        counts, orders = axes[0]
        assert [label.get_text() for label in counts.get_xticklabels()] == ["1", "2", "4"]
        assert orders.xaxis.get_inverted()
        assert len(orders.get_lines()) == min(3, len(nets))


def test_either_may_be_missing():
    rows, orders = rows_of((("plain", 8),))
    (each,) = lesion_drawings(rows[rows["kind"] == "each"], pd.DataFrame(), 90.0)
    (random,) = lesion_drawings(rows[rows["kind"] == "random"], pd.DataFrame(), 90.0)
    for drawing in (each, random):
        with new_figure() as (figure, axes):
            drawing.draw(figure, axes)
    assert lesion_drawings(pd.DataFrame(), orders, 90.0) == []
