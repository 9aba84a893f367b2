import numpy as np
import pandas as pd
import pytest

from study.report.figures.continuation import continuation_data, continuation_drawing

from ..why.built import ITERATIONS, come_back, continued


def data_of(evidence):
    return continuation_data(evidence.rows("continuation"), evidence.runs)


def test_a_panel_is_a_shallow_net_and_a_line_a_noise():
    evidence = continued(come_back)
    data = data_of(evidence)
    assert [(panel.shallow, panel.deep, panel.rate) for panel in data.panels] == [(8, 56, 0.1), (20, 56, 0.1)]
    assert data.noises == (0.0, 0.01, 1.0)
    panel = data.panels[0]
    assert panel.courses[0].errors.shape == (3, len(ITERATIONS))
    finals = evidence.runs.query("net == 'plain-8'")["final_train_error"]
    assert panel.courses[2].mean[-1] == pytest.approx(finals.mean() + 3.0, abs=0.05)
    assert panel.own.mean[-1] == pytest.approx(finals.mean(), abs=0.05)
    assert sorted(panel.trained) == sorted(evidence.runs.query("net == 'plain-56'")["final_train_error"])
    assert panel.courses[0].moved == pytest.approx(0.2)


def test_rates_have_panels_of_their_own():
    data = data_of(continued(rates=(0.01, 0.1)))
    assert [(panel.shallow, panel.rate) for panel in data.panels] == [(8, 0.01), (8, 0.1), (20, 0.01), (20, 0.1)]
    assert all(panel.own is not None for panel in data.panels)


def test_a_loss_that_is_not_finite_counts_as_guessing_to_the_end():
    data = data_of(continued(breaks=1))
    course = data.panels[0].courses[0]
    assert course.stopped == ((20.0, 90.0),)
    assert course.errors[1, -1] == 90.0
    assert course.errors[0, -1] < 5


def test_errors_over_decades_are_squeezed():
    assert data_of(continued(come_back, depths=(20,))).errors.linear > 0
    high = continued()
    rows = high.rows("continuation").assign(error=50.0)
    assert continuation_data(rows, high.runs).errors.linear == 0


def test_the_data_has_a_row_an_iteration():
    frame = data_of(continued(seeds=1)).frame()
    assert len(frame) == 2 * (3 + 1) * len(ITERATIONS)
    assert set(frame["seeds"]) == {1}


def test_there_is_none_where_nothing_was_trained_on():
    evidence = continued()
    assert continuation_data(pd.DataFrame(columns=["target", "error"]), evidence.runs) is None
    rows = evidence.rows("continuation")
    assert continuation_data(rows.assign(error=np.nan), evidence.runs) is None
    assert continuation_data(rows[rows["target"] == rows["depth"]], evidence.runs) is None  # only the nets themselves


@pytest.mark.parametrize(
    "options",
    [
        {"course": come_back},
        {"breaks": 0},
        {"depths": (8,), "seeds": 1, "noises": (0.0,)},
        {"rates": tuple(0.01 * 2**k for k in range(8))},
    ],
)
def test_it_draws(options, tmp_path):
    data = data_of(continued(**options))
    assert len(data.drawn) <= 12
    continuation_drawing(data, "A chart.").save(tmp_path)
    assert (tmp_path / "why-continuation.png").stat().st_size > 5000
