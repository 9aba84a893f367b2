import numpy as np
import pandas as pd
import pytest

from study.report import figures
from study.report.figures.rates import draw_panels, height, rate_data, rates_drawing, shape
from study.report.figures.style import new_figure
from study.verdict.searches import by_trial, other_fields, search_of

from ..frames import Truth, make_study, make_trial


def data_of(trials, tolerance=1.0):
    trials = by_trial(trials)
    fields = other_fields(trials["point"]) if len(trials) else ()
    nets = [search_of(net, tolerance, fields) for _, net in trials.groupby(["architecture", "depth"])]
    return rate_data(trials, nets, tolerance, fields)


def one_net(**states):
    rows = [
        make_trial("plain", 8, 0, 0.01, seed=1000, error=4.0),
        make_trial("plain", 8, 0, 0.01, seed=1001, error=6.0),
    ]
    rows += [make_trial("plain", 8, 1, 0.1, seed=seed, error=2.0, chosen=True) for seed in (1000, 1001)]
    rows += [make_trial("plain", 8, 2, 0.3, seed=seed, error=50.0, state="pruned") for seed in (1000, 1001)]
    rows += [make_trial("plain", 8, 3, 2.0, seed=seed, state="diverged") for seed in (1000, 1001)]
    return pd.DataFrame(rows).assign(**states)


def test_every_trial_is_a_point():
    trials = data_of(one_net()).trials
    assert list(trials["lr"]) == [0.01, 0.1, 0.3, 2.0]
    assert list(trials["error"]) == [5.0, 2.0, 51.0, 90.0]  # of the pruned one the running error
    assert list(trials["lowest"][:2]) == [4.0, 2.0]
    assert list(trials["highest"][:2]) == [6.0, 2.0]
    assert list(trials["state"]) == ["complete", "complete", "pruned", "diverged"]
    assert list(trials["chosen"]) == [False, True, False, False]


def test_limits_leave_out_what_diverged():
    data = data_of(one_net())
    assert data.top == 51.0
    assert data.has_roof
    assert data.compressed
    assert data.bounds == (0.001, 1.0)  # one trial lies beyond
    inside = data_of(one_net().query("lr < 1"))
    assert (inside.bounds, inside.has_roof) == (None, False)
    assert not data_of(one_net().query("state == 'complete'")).compressed


def test_a_pruned_trial_without_a_running_error_stands_above():
    data = data_of(one_net(train_error=np.nan))
    assert np.isnan(data.trials["error"][2])
    assert data.top == 6.0
    assert "hollow marks above the highest error were pruned and have no error" in rates_drawing(data).texts[1]
    assert data_of(one_net().drop(columns="train_error")).top == 6.0


def test_the_caption_says_what_the_marks_are():
    _, caption, alt = rates_drawing(data_of(one_net())).texts
    for wanted in (
        "4 trials a net",
        "means over a trial's seeds",
        "linear up to 1% and logarithmic above",
        "hollow marks were pruned and stand at their running training error then",
        "crosses at the top diverged",
        "a ring marks the rate that the search chose",
        "within 1 point of a net's best",
        "broken lines are the bounds asked for, 0.001 and 1",
    ):
        assert wanted in caption
    plain_data = data_of(one_net().query("state == 'complete' and seed == 1000").assign(chosen=False))
    _, plain, _ = rates_drawing(plain_data).texts
    for unwanted in ("pruned", "diverged", "ring", "seeds", "bounds", "logarithmic"):
        assert unwanted not in plain
    assert "plain 8 layers 2.00% at 0.1, chosen 0.1" in alt
    assert "Diverged trials: 1." in alt


def test_nothing_to_draw():
    assert data_of(pd.DataFrame()) is None
    assert data_of(one_net(state="running")) is None


@pytest.mark.parametrize("case", ["all", "diverged", "pruned", "one trial", "fields", "zero", "vgg", "many depths"])
def test_every_case_is_drawn(case):
    trials = {
        "all": one_net(),
        "diverged": one_net(state="diverged", chosen=False),
        "pruned": one_net(state="pruned", chosen=False, train_error=np.nan),
        "one trial": one_net().iloc[:1],
        "fields": one_net(point=[f'{{"lr": {i}, "momentum": {i / 10}}}' for i in range(8)]),
        "zero": one_net(final_train_error=0.0, train_error=0.0),
        "vgg": make_study(Truth({("plain", 18): (1, 1), ("residual", 18): (1, 1), ("vgg", 16): (1, 1)})).trials,
        "many depths": make_study(Truth({("residual", depth): (1, 1) for depth in (20, 32, 44, 56, 110)})).trials,
    }[case]
    data = data_of(trials)
    rows, columns = shape(data)
    assert rows * columns >= len(data.depths)
    with new_figure(columns, rows=rows, height=height(data), sharex=True, sharey=True) as (drawn, axes):
        draw_panels(data, drawn, axes)
        drawn.draw_without_rendering()
        (legend,) = drawn.legends
        page, box = drawn.bbox, legend.get_window_extent()
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert all(ax.bbox.height > 0.4 * drawn.dpi for ax in drawn.axes)
        labels = [text.get_window_extent() for text in legend.get_texts()]
        assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])
        for ax in drawn.axes:
            low, high = ax.get_ylim()
            for line in ax.lines[:-1]:
                y = np.asarray(line.get_ydata(), dtype=float)
                assert ((y >= low) & (y <= high)).all()
    assert "nan" not in "".join(rates_drawing(data).texts)


def test_a_user_draws_a_depth():
    trials = one_net()
    with new_figure() as (_, axes):
        assert figures.rates(trials, axes[0][0]) is axes[0][0]
        assert axes[0][0].get_title() == "8 layers"
        with pytest.raises(ValueError, match="no ended trial at 20 layers"):
            figures.rates(trials, axes[0][0], depth=20)
    with pytest.raises(ValueError, match="2 variants"):
        figures.rates(pd.concat([trials, trials.assign(variant="width=2")]))


def test_every_trial_has_its_nets_good_range():
    trials = data_of(one_net()).trials
    assert trials["good_from"].iloc[0] <= 0.1 <= trials["good_to"].iloc[0]
