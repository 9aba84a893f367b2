import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.verdict.searches import by_trial, compare, good_range, jumps, other_fields, search_of
from tests.report.frames import make_trial


def frame(*rows, **changes):
    return pd.DataFrame(list(rows)).assign(**changes)


def curve(architecture, depth, errors, **others):
    """One net: an error for each rate, or the state of the trial that has none."""
    return [
        make_trial(
            architecture,
            depth,
            number,
            lr,
            **others,
            **({"state": error} if isinstance(error, str) else {"error": error}),
        )
        for number, (lr, error) in enumerate(errors.items())
    ]


def searched(errors, tolerance=1.0, **others):
    return search_of(by_trial(frame(*curve("plain", 20, errors, **others))), tolerance, ())


def test_seeds_become_one_trial():
    rows = [make_trial("plain", 8, 0, 0.1, seed=1000 + i, error=error) for i, error in enumerate((1.0, 2.0, 6.0))]
    (trial,) = by_trial(frame(*rows)).to_dict("records")
    assert (trial["error"], trial["error_low"], trial["error_high"]) == (3.0, 1.0, 6.0)
    assert (trial["seeds"], trial["state"], trial["validation"]) == (3, "complete", 6.0)


@pytest.mark.parametrize(
    ("states", "chosen", "expected"),
    [
        (("complete", "diverged"), False, "diverged"),
        (("complete", "pruned"), False, "pruned"),
        (("complete", "failed"), False, "failed"),
        (("complete", "running"), False, "open"),
        (("complete", "interrupted"), True, "open"),
        (("complete",), False, "open"),  # its other seed has not begun
        (("complete",), True, "pruned"),  # the search ended without it
    ],
)
def test_state_of_a_trial_with_seeds(states, chosen, expected):
    rows = [make_trial("plain", 8, 1, 0.1, seed=1000 + i, state=state) for i, state in enumerate(states)]
    other = [make_trial("plain", 8, 0, 0.2, seed=1000 + i, chosen=chosen) for i in range(2)]
    trial = by_trial(frame(*rows, *other)).set_index("number").loc[1]
    assert trial["state"] == expected
    assert np.isnan(trial["error"]) == (expected != "diverged")


def test_of_two_searches_of_a_net_the_last_counts():
    """The first had two seeds a rate: beside it the second's trials would lack one."""
    first = [make_trial("plain", 8, 0, 0.1, seed=seed, error=1.0) for seed in (1000, 1001)]
    second = [make_trial("plain", 8, number, 0.1, error=3.0, began=pd.Timestamp(9), chosen=True) for number in (0, 1)]
    other = make_trial("plain", 20, 0, 0.1, error=5.0)
    trials = by_trial(frame(*first, *second, other))
    assert list(trials["error"]) == [3.0, 3.0, 5.0]
    assert set(trials["state"]) == {"complete"}


def test_points_are_equal_whatever_the_order_of_their_fields():
    one, other = '{"lr": 0.1, "weight_decay": 0.0001}', '{"weight_decay": 0.00010000001, "lr": 0.1}'
    trials = by_trial(frame(make_trial("plain", 8, 0, 0.1, point=one), make_trial("plain", 20, 0, 0.1, point=other)))
    assert trials["key"].nunique() == 1
    assert other_fields(trials["point"]) == ()
    third = make_trial("plain", 8, 1, 0.1, point=json.dumps({"lr": 0.1, "weight_decay": 0.001}))
    assert other_fields(by_trial(frame(third, make_trial("plain", 20, 0, 0.1, point=one)))["point"]) == (
        "weight_decay",
    )


def test_good_range_is_interpolated_in_log_rate():
    found = searched({0.001: 21.0, 0.01: 11.0, 0.1: 1.0, 1.0: 5.0})
    # One point above the best is a tenth of the way down and a quarter of the way up, in decades.
    assert found.best[:2] == (0.1, 1.0)
    assert found.good.low == pytest.approx(10**-1.1)
    assert found.good.high == pytest.approx(10**-0.75)
    assert found.good.decades == pytest.approx(0.35)
    assert (found.good.open_low, found.good.open_high, found.good.others) == (False, False, ())
    assert searched({0.001: 21.0, 0.01: 11.0, 0.1: 1.0, 1.0: 5.0}, 2.0).good.decades == pytest.approx(0.7)


def test_good_range_is_open_at_the_last_trial():
    found = searched({0.01: 1.5, 0.1: 1.0, 1.0: 1.2})
    assert (found.good.low, found.good.high, found.good.decades) == (0.01, 1.0, 2.0)
    assert found.good.open_low
    assert found.good.open_high


def test_a_pruned_neighbour_ends_the_good_range_and_a_diverged_one_has_the_error_of_guessing():
    found = searched({0.001: 1.5, 0.01: "pruned", 0.1: 1.0, 1.0: "diverged"})
    assert (found.good.low, found.good.open_low) == (0.1, False)
    assert found.good.high == pytest.approx(0.1 * 10 ** (1 / 89))
    assert found.good.others == (0.001,)
    assert (found.trials, found.counts) == (4, {"complete": 2, "pruned": 1, "diverged": 1})


def test_equal_errors_are_told_apart_by_loss():
    rows = curve("plain", 8, {0.01: 0.0, 0.1: 0.0, 1.0: 0.0})
    rows[1]["final_train_loss"] = -1.0
    assert search_of(by_trial(frame(*rows)), 1.0, ()).best.rate == 0.1


def test_a_net_whose_trials_all_diverged_has_no_best():
    found = searched({0.01: "diverged", 0.1: "diverged"})
    assert (found.best, found.good, found.by_loss, found.by_validation) == (None, None, None, None)
    assert found.counts == {"diverged": 2}
    assert searched({0.1: "running"}).trials == 1


def test_winners_by_loss_and_by_validation():
    rows = curve("plain", 8, {0.01: 3.0, 0.1: 2.0, 1.0: 1.0, 10.0: "diverged"})
    for row, held_out in zip(rows, (5.0, 5.0, 7.0, np.nan), strict=True):
        row["final_validation_error"] = held_out
    found = search_of(by_trial(frame(*rows)), 1.0, ())
    assert found.by_loss.rate == 1.0
    assert (found.by_validation.rate, found.by_validation.validation) == (0.1, 5.0)  # of two equal ones the nearer
    none = search_of(by_trial(frame(*rows, final_validation_error=np.nan)), 1.0, ())
    assert none.by_validation is None


def test_bounds_edge_and_choice():
    rows = curve("plain", 8, {0.0003: 3.0, 0.1: 2.0, 3.162: 1.0}, edge="highest")
    rows[2]["chosen"] = True
    found = search_of(by_trial(frame(*rows)), 1.0, ())
    assert (found.outside, found.edge, found.chosen.rate) == (2, "highest", 3.162)
    unbound = search_of(by_trial(frame(*rows, low=None, high=None, chosen=False)), 1.0, ())
    assert (unbound.outside, unbound.chosen) == (0, None)


def test_other_fields_leave_nothing_to_interpolate():
    trials = by_trial(frame(*curve("plain", 8, {0.01: 1.5, 0.03: 40.0, 0.1: 1.0, 1.0: 30.0})))
    good = search_of(trials, 1.0, ("weight_decay",)).good
    assert (good.low, good.high, good.open_low, good.open_high) == (0.01, 0.1, True, False)


def test_nets_are_compared_at_the_points_that_both_tried():
    shallow = curve("plain", 8, {0.001: 5.0, 0.01: 2.0, 0.1: "pruned", 0.3: "diverged", 1.0: "diverged", 0.5: 1.0})
    deep = curve("plain", 20, {0.001: 9.0, 0.01: 1.0, 0.1: 3.0, 0.3: 4.0, 1.0: "diverged", 0.7: 1.0})
    middle = curve("plain", 14, {0.001: 0.0})
    found = compare(by_trial(frame(*shallow, *middle, *deep)), "plain")
    assert (found.shallow, found.deep) == ("plain-8", "plain-20")
    assert [(one.point["lr"], one.difference, one.state) for one in found.same] == [
        (0.001, 4.0, "complete"),
        (0.01, -1.0, "complete"),
        (0.3, -86.0, "shallow"),
        (1.0, 0.0, "both"),
    ]
    assert found.pruned == ({"lr": 0.1},)
    assert compare(by_trial(frame(*shallow)), "plain") is None
    assert compare(by_trial(frame(*shallow)), "residual") is None


def test_no_trials():
    assert by_trial(pd.DataFrame()).empty


@given(
    st.lists(st.one_of(st.floats(0, 90), st.just(math.nan)), min_size=1, max_size=8).filter(
        lambda errors: not all(math.isnan(error) for error in errors)
    ),
    st.floats(0.1, 20),
)
def test_a_good_range_holds_the_best_and_no_neighbour_that_is_not_good(errors, tolerance):
    rates = 10.0 ** -np.arange(len(errors), 0, -1)
    rows = curve("plain", 8, {lr: "pruned" if math.isnan(e) else e for lr, e in zip(rates, errors, strict=True)})
    found = search_of(by_trial(frame(*rows)), tolerance, ())
    assert found.good.low <= found.best.rate <= found.good.high
    for rate, error in zip(rates, errors, strict=True):
        inside = found.good.low < rate < found.good.high
        assert not inside or error <= found.best.error + tolerance + 1e-9
        good = error <= found.best.error + tolerance
        assert good == (found.good.low <= rate <= found.good.high or rate in found.good.others)


def test_a_rate_that_was_pruned_once_and_finished_once_is_known():
    trials = by_trial(frame(*curve("plain", 8, {0.01: 1.0, 0.1: 1.5}), make_trial("plain", 8, 9, 0.1, state="pruned")))
    assert good_range(trials, 1.0).high == 0.1


def test_a_trial_at_a_point_tried_before_with_another_seed_is_a_further_seed_of_it():
    rows = [
        make_trial("plain", 8, 0, 0.1, error=1.0, chosen=True),
        make_trial("plain", 8, 1, 0.2, error=5.0),
        make_trial("plain", 8, 2, 0.1, error=3.0, seed=1001, chosen=True),
        make_trial("plain", 8, 3, 0.2, seed=1001, state="failed"),
    ]
    first, other, broken = by_trial(frame(*rows)).to_dict("records")
    assert (first["number"], first["error"], first["seeds"], first["state"]) == (0, 2.0, 2, "complete")
    assert (other["number"], other["error"], other["seeds"], other["state"]) == (1, 5.0, 1, "complete")
    assert (broken["number"], broken["state"]) == (3, "failed")


def test_a_further_seed_beside_trials_of_several_seeds():
    rows = [make_trial("plain", 8, n, 0.1 + n, seed=1000 + i, error=2.0, chosen=n == 0) for n in (0, 1) for i in (0, 1)]
    rows.append(make_trial("plain", 8, 2, 0.1, seed=1002, error=8.0, chosen=True))
    first, other = by_trial(frame(*rows)).to_dict("records")
    assert (first["error"], first["seeds"], first["state"]) == (4.0, 3, "complete")
    assert (other["error"], other["seeds"], other["state"]) == (2.0, 2, "complete")


def test_a_point_tried_again_with_the_same_seed_is_a_trial_of_its_own():
    """As earlier versions did where the first was pruned."""
    rows = [make_trial("plain", 8, number, 0.5, state="pruned") for number in (0, 1)]
    assert by_trial(frame(*rows))["number"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("errors", "smallest", "jump"),
    [
        ({0.01: 30, 0.03: 5, 0.1: 2, 0.3: 40, 1.0: 80}, 0.5, None),  # falls to its best and rises beyond
        ({0.01: 30, 0.03: 2, 0.1: 60, 0.3: 9, 1.0: 80}, 0.5, (0.1, 0.3)),
        ({0.01: 4, 0.03: 60, 0.1: 50, 0.3: 2, 1.0: 80}, 0.5, (0.03, 0.01)),  # the largest of two on the way down
        ({0.01: 30, 0.03: 2, 0.1: 60, 0.3: 55.5, 1.0: 80}, 0.5, None),
        ({0.01: 30, 0.03: 2, 0.1: 60, 0.3: 9, 1.0: 80}, 6.0, None),
        ({0.01: 30, 0.03: 2, 0.1: 60, 0.2: "pruned", 0.3: 9}, 0.5, None),  # what lies between isn't known
        ({0.01: 30, 0.03: 2, 0.1: "diverged", 0.3: 9}, 0.5, (0.1, 0.3)),
        ({0.01: "pruned", 0.03: "pruned"}, 0.5, None),
        ({0.01: 2.0}, 0.5, None),
    ],
)
def test_neighbouring_rates_that_disagree(errors, smallest, jump):
    found = jumps(by_trial(frame(*curve("plain", 20, errors))), smallest)
    assert [(item.near.rate, item.far.rate) for item in found] == ([jump] if jump else [])
    for item in found:
        assert item.size > max(5, 10 * smallest)
