import numpy as np
import pytest

from study.report.figures.gradients import draw_gradients, draw_weights, gradient_data, moment_colours, weight_data
from study.report.figures.style import new_figure
from study.report.moments import END, at_moments
from study.statistics.growth import BATCH_NORM_GROWTH

from ..why.probes import gradient_rows, make_evidence, with_probe


def measured(evidence=None, **options):
    evidence = with_probe(evidence or make_evidence(), "gradients", gradient_rows(lambda run, step: 1.2, **options))
    return at_moments(evidence.rows("gradients"), evidence.runs)


def test_gradients_stand_over_the_last_layer_s():
    data = gradient_data(measured(noise=0.0))
    assert data.moments == (0, 1, 100, END)
    assert data.lines.panels == ("plain", "residual")
    (line,) = [one for one in data.lines if (one.architecture, one.depth, one.moment) == ("plain", 20, 0)]
    assert line.place.tolist() == list(range(18))  # the last is 0; the first, whose input is the image, is left out
    assert line.mean == pytest.approx(1.2 ** np.arange(18))
    assert len(data.frame()) == 4 * 2 * (18 + 54)


def test_of_many_moments_some_have_panels():
    data = gradient_data(measured(steps=(0, 1, 2, 3, 5, 10, 100, 220)))
    assert len(data.moments) == 5
    assert (data.moments[0], data.moments[-1]) == (0, END)


def test_weights_are_the_deepest_nets():
    data = weight_data(measured(norm_growth=lambda run, step: 4.0 if step else 1.0))
    assert data.nets == (("plain", 56), ("residual", 56))
    assert {one.depth for lines in data.lines.values() for one in lines} == {56}
    norms = {one.moment: one.mean for one in data.lines["weight_norm"] if one.architecture == "plain"}
    assert norms[1.0][0] == pytest.approx(40)
    assert norms[1.0][-1] == pytest.approx(10)
    assert all(one.moment > 0 for one in data.lines["turn"])  # nothing has turned at initialisation
    assert len(set(moment_colours(data.moments).values())) == 4


@pytest.mark.parametrize("nets", [(("plain", 8),), (("plain", 20), ("residual", 56))])
def test_drawing_one_net_or_several(nets):
    rows = measured(make_evidence(nets, seeds=1))
    data, weights = gradient_data(rows), weight_data(rows)
    with new_figure(len(data.moments), rows=len(data.lines.panels), sharex=True, sharey=True) as (figure, axes):
        draw_gradients(data, BATCH_NORM_GROWTH, figure, axes)
        figure.draw_without_rendering()
        assert axes[0][0].get_title() == "initialisation"
        low, high = axes[0][0].get_ylim()
        assert all(low < line.low.min() and line.high.max() < high for line in data.lines)
    with new_figure(len(weights.nets), rows=len(weights.lines)) as (figure, axes):
        draw_weights(weights, figure, axes)
        assert axes[2][0].get_ylabel() == "Turn (rad)"


def test_nothing_measured_is_nothing_to_draw():
    rows = measured()
    assert gradient_data(rows.assign(input_gradient=np.nan)) is None
    assert weight_data(rows.iloc[:0]) is None
