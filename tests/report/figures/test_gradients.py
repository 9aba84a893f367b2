import numpy as np
import pytest

from study.report.figures.gradients import (
    gradient_lines,
    gradients_drawing,
    weight_lines,
    weights_drawing,
)
from study.report.figures.style import new_figure
from study.report.moments import END, moments_of

from ..why.probes import gradient_rows, make_evidence, with_probe


def measured(evidence=None, **options):
    evidence = with_probe(evidence or make_evidence(), "gradients", gradient_rows(lambda run, step: 1.2, **options))
    return evidence.at_moments("gradients")


def test_gradients_stand_over_the_last_layer_s():
    lines = gradient_lines(measured(noise=0.0))
    assert moments_of(lines) == [0, 1, 100, END]
    assert list(lines["architecture"].unique()) == ["plain", "residual"]
    line = lines[(lines["architecture"] == "plain") & (lines["depth"] == 20) & (lines["moment"] == 0)]
    assert line["place"].tolist() == list(range(18))  # the last is 0; the first, whose input is the image, is left out
    assert line["value"].tolist() == pytest.approx(list(1.2 ** np.arange(18)))
    assert len(lines) == 4 * 2 * (18 + 54)


def test_of_many_moments_some_have_panels():
    moments = moments_of(gradient_lines(measured(steps=(0, 1, 2, 3, 5, 10, 100, 220))))
    assert len(moments) == 5
    assert (moments[0], moments[-1]) == (0, END)


def test_weights_are_the_deepest_nets():
    lines = weight_lines(measured(norm_growth=lambda run, step: 4.0 if step else 1.0))
    assert set(lines["depth"]) == {56}
    plain = lines[(lines["quantity"] == "weight_norm") & (lines["architecture"] == "plain") & (lines["moment"] == 1)]
    assert plain["value"].iloc[0] == pytest.approx(40)
    assert plain["value"].iloc[-1] == pytest.approx(10)
    # Nothing has turned at initialisation.
    assert lines.loc[lines["quantity"] == "turn", "moment"].min() > 0


@pytest.mark.parametrize("nets", [(("plain", 8),), (("plain", 20), ("residual", 56))])
def test_drawing_one_net_or_several(nets):
    rows = measured(make_evidence(nets, seeds=1))
    gradients, weights = gradients_drawing(rows), weights_drawing(rows)
    with new_figure(gradients.columns, **gradients.options) as (figure, axes):
        gradients.draw(figure, axes)
        figure.draw_without_rendering()
        assert axes[0][0].get_title() == "initialisation"
        low, high = axes[0][0].get_ylim()
        assert low < gradients.data["lowest"].min()
        assert high > gradients.data["highest"].max()
    with new_figure(weights.columns, **weights.options) as (figure, axes):
        weights.draw(figure, axes)
        assert axes[2][0].get_ylabel() == "Turn (rad)"


def test_nothing_measured_is_nothing_to_draw():
    rows = measured()
    assert gradients_drawing(rows.assign(input_gradient=np.nan)) is None
    assert weights_drawing(rows.iloc[:0]) is None
