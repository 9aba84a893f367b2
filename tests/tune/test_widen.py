"""The search goes on beyond its bounds while that pays."""

from pathlib import Path

import pytest

from study.config import Tune
from tests.tune.bowl import TUNE, ask, finish, loss, open_search

NARROW = Tune(trials=4, sampler="none", low=0.001, high=0.1, confirm=0)
HIGHEST = 0.1  # the paper's rate, which all searches try
HALF_DECADES = [0.32, 1.0, 3.2, 10.0]


def lowest() -> float:
    from study.tune import shared_points

    return min(point["lr"] for point in shared_points(NARROW))


@pytest.mark.parametrize(
    ("bottom", "beyond"),
    [
        (0.005, []),  # inside
        (0.1, [0.32]),  # at the edge: one more shows that it falls off
        (0.4, [0.32, 1.0]),
        (1.5, [0.32, 1.0, 3.2]),
        (1e4, HALF_DECADES),  # it would pay for ever: `widen` is the end
    ],
)
def test_it_goes_on_by_half_decades_while_it_pays(tmp_path: Path, bottom: float, beyond: list[float]) -> None:
    search = open_search(tmp_path, NARROW)
    trials = finish(search, bottom)
    assert [trial.rate for trial in trials[4:]] == beyond
    assert search.widened == len(beyond)
    assert search.started == 4 + len(beyond)
    best = search.best()
    assert best is not None
    assert best[0]["lr"] == min((trial.rate for trial in trials), key=lambda rate: loss(rate, bottom))
    assert search.edge(best[0]["lr"]) == ("highest" if bottom == 1e4 else None)


def test_it_goes_down_too(tmp_path: Path) -> None:
    rates = [trial.rate for trial in finish(open_search(tmp_path, NARROW), bottom=1e-4)]
    steps = [rates[5] / rates[4], rates[4] / min(rates[:4])]
    assert min(rates[:4]) == lowest()
    assert steps == pytest.approx([10**-0.5] * 2, rel=0.05)


@pytest.mark.parametrize("widen", [0, 1, 2])
def test_no_more_than_is_allowed(tmp_path: Path, widen: int) -> None:
    search = open_search(tmp_path, NARROW.model_copy(update={"widen": widen}))
    assert len(finish(search, bottom=1e4)) == 4 + widen
    assert search.widened == widen
    best = search.best()
    assert best is not None
    assert search.edge(best[0]["lr"]) == "highest"


def test_done_only_when_the_last_trial_beyond_has_ended(tmp_path: Path) -> None:
    search = open_search(tmp_path, NARROW)
    for _ in range(4):
        trial = ask(search)
        search.tell(trial, loss(trial.rate, 0.4))
    assert (search.done, search.left) == (False, 1)
    trial = ask(search)
    assert trial.rate > HIGHEST
    assert (search.done, search.left) == (False, 1)
    assert search.ask() is None  # one at a time
    search.tell(trial, loss(trial.rate, 0.4))
    assert (search.done, search.left) == (False, 1)
    trial = ask(search)
    search.tell(trial, loss(trial.rate, 0.4))
    assert (search.done, search.left) == (True, 0)


@pytest.mark.parametrize("how", ["pruned", "diverged", "broken"])
def test_a_trial_beyond_that_comes_to_nothing_is_the_end(tmp_path: Path, how: str) -> None:
    search = open_search(tmp_path, NARROW)
    for _ in range(4):
        trial = ask(search)
        search.tell(trial, loss(trial.rate, 1e4))
    trial = ask(search)
    if how == "pruned":
        search.prune(trial)
    elif how == "broken":
        search.fail(trial)
    else:
        search.tell(trial, 99.0, diverged=True)
    assert search.done
    assert search.ask() is None
    assert search.edge(HIGHEST) == ("highest" if how == "broken" else None)  # nothing is known of a broken one


def test_a_search_whose_trials_all_diverged_looks_at_smaller_rates(tmp_path: Path) -> None:
    search = open_search(tmp_path, NARROW)
    for _ in range(4):
        search.tell(ask(search), 23.0, diverged=True)
    trial = ask(search)
    assert trial.rate < lowest()


def test_stopped_between_the_decision_and_the_trial(tmp_path: Path) -> None:
    """The point beyond waits in the storage: it is tried as it is, and as one beyond."""
    search = open_search(tmp_path, NARROW)
    for _ in range(4):
        trial = ask(search)
        search.tell(trial, loss(trial.rate, 0.1))
    search._study.ask = lambda: 1 / 0  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        search.ask()
    again = open_search(tmp_path, NARROW)
    assert [trial.rate for trial in finish(again, 0.1)] == [0.32]
    assert again.widened == 1


@pytest.mark.parametrize("sampler", ["none", "tpe", "bisect"])
def test_more_trials_later_come_on_top_of_those_beyond(tmp_path: Path, sampler: str) -> None:
    tune = NARROW.model_copy(update={"sampler": sampler})
    assert len(finish(open_search(tmp_path, tune), bottom=1e4)) == 8
    longer = open_search(tmp_path, tune.model_copy(update={"trials": 7}))
    assert (longer.done, longer.left) == (False, 3)
    assert len(finish(longer, bottom=1e4)) == 3
    assert longer.widened == 4


def test_more_widening_later_goes_on(tmp_path: Path) -> None:
    finish(open_search(tmp_path, NARROW.model_copy(update={"widen": 1})), bottom=1e4)
    wider = open_search(tmp_path, NARROW.model_copy(update={"widen": 3}))
    assert [trial.rate for trial in finish(wider, bottom=1e4)] == [1.0, 3.2]


def test_only_the_rate_is_moved_beyond(tmp_path: Path) -> None:
    tune = NARROW.model_copy(update={"momentum": (0.5, 0.99), "warmup": (0, 50)})
    trials = finish(open_search(tmp_path, tune), bottom=1e4)
    best = next(trial for trial in trials if trial.rate == HIGHEST)
    assert [trial.point for trial in trials[4:]] == [best.point | {"lr": rate} for rate in HALF_DECADES]


def test_a_suggestion_from_beyond_is_one_of_those_asked_for(tmp_path: Path) -> None:
    search = open_search(tmp_path, TUNE)
    search.suggest({"lr": 10.0})
    assert len(finish(search)) == 8
    assert search.widened == 0
