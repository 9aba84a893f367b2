"""The best rates get further seeds, and the mean over all seeds chooses between them."""

from pathlib import Path

import pytest

from study.config import Tune
from study.tune import Search, Trial
from tests.tune.bowl import TUNE, ask, finish, loss, open_search

FOUR = Tune(trials=4, sampler="none", low=0.001, high=1.0, widen=0, pruner="none", confirm=2)
FIRST = {0: 4.0, 1: 1.0, 2: 2.0, 3: 3.0}
"""Values of the four rates with the first seed: the second leads, then the third."""


def value(trial: Trial, further: dict[int, float]) -> float:
    """Return a rate's value with the first seed, or with a further one."""
    return (further if trial.number > 3 else FIRST)[trial.number]


def rate_of(number: int) -> float:
    from study.tune import shared_points

    return shared_points(FOUR)[number]["lr"]


def run(search: Search, further: dict[int, float]) -> list[Trial]:
    trials = []
    while (trial := search.ask()) is not None:
        search.tell(trial, value(trial, further))
        trials.append(trial)
    return trials


def test_the_best_two_are_tried_again_with_the_next_seed_and_the_mean_chooses(tmp_path: Path) -> None:
    search = open_search(tmp_path, FOUR)
    trials = run(search, {4: 8.0, 5: 2.5})
    assert [(trial.number, trial.repeat) for trial in trials[4:]] == [(4, 1), (5, 1)]
    assert [trial.rate for trial in trials[4:]] == [rate_of(1), rate_of(2)]
    assert search.best() == ({"lr": rate_of(2)}, pytest.approx(2.25))  # the mean of the other is 4.5
    assert (search.done, search.started, search.confirmed, search.widened) == (True, 6, 2, 0)


@pytest.mark.parametrize("confirm", [0, 1])
def test_none_are_where_there_is_nothing_to_choose_between(tmp_path: Path, confirm: int) -> None:
    search = open_search(tmp_path, FOUR.model_copy(update={"confirm": confirm}))
    assert len(run(search, {})) == 4
    assert search.best() == ({"lr": rate_of(1)}, 1.0)
    one = open_search(tmp_path, Tune(trials=1, confirm=2), name="one")
    assert len(finish(one)) == 1


def test_several_further_seeds_of_trials_with_several(tmp_path: Path) -> None:
    tune = FOUR.model_copy(update={"seeds": 2, "confirm": 3, "confirm_seeds": 2})
    search = open_search(tmp_path, tune)
    assert (search.left, search.trainings_left) == (4 + 6, tune.trainings)
    trials = []
    for left in range(tune.trainings, 0, -1):
        assert search.trainings_left >= left
        trials.append(ask(search))
        search.tell(trials[-1], {0: 9.0, 1: 1.0, 2: 2.0, 3: 3.0}.get(trials[-1].number, 5.0))
    assert search.done
    assert [trial.repeat for trial in trials[8:]] == [2, 2, 2, 3, 3, 3]
    assert [trial.rate for trial in trials[8:]] == [rate_of(1), rate_of(2), rate_of(3)] * 2
    assert search.best() == ({"lr": rate_of(1)}, pytest.approx((1 + 1 + 5 + 5) / 4))


def test_they_run_side_by_side_and_count(tmp_path: Path) -> None:
    search = open_search(tmp_path, FOUR)
    for left in (6, 5, 4, 3):
        assert (search.left, search.done) == (left, False)
        trial = ask(search)
        search.tell(trial, value(trial, {}))
    further = [ask(search), ask(search)]
    assert search.ask() is None
    assert (search.left, search.done) == (2, False)
    search.tell(further[1], 2.0)
    assert (search.left, search.done) == (1, False)
    search.tell(further[0], 2.0)
    assert (search.left, search.done) == (0, True)


@pytest.mark.parametrize(("sampler", "bottom"), [("bisect", 0.03), ("none", 30.0)])
def test_a_search_stopped_at_any_time_is_the_same(tmp_path: Path, sampler: str, bottom: float) -> None:
    """Also where its bottom lies outside, so that it widens before."""
    tune = TUNE.model_copy(update={"sampler": sampler, "confirm": 3, "confirm_seeds": 2})
    whole = finish(open_search(tmp_path, tune, name="whole"), bottom)
    broken = []
    while not (search := open_search(tmp_path, tune, name="broken")).done:
        trial = ask(search)
        assert open_search(tmp_path, tune, name="broken").ask() == trial  # killed with it in flight
        search = open_search(tmp_path, tune, name="broken")
        search.tell(ask(search), loss(trial.rate, bottom))
        broken.append(trial)
    assert broken == whole
    assert open_search(tmp_path, tune, name="whole").best() == search.best()


def test_one_that_broke_leaves_the_choice_to_those_that_have_all_seeds(tmp_path: Path) -> None:
    search = open_search(tmp_path, FOUR)
    for _ in range(4):
        trial = ask(search)
        search.tell(trial, value(trial, {}))
    first, second = ask(search), ask(search)
    search.fail(first)
    assert not search.is_live(first)
    assert search.best() == ({"lr": rate_of(1)}, 1.0)  # none has all seeds yet
    search.tell(second, 4.0)
    assert search.best() == ({"lr": rate_of(2)}, pytest.approx(3.0))
    assert search.done


def test_a_diverged_one_counts(tmp_path: Path) -> None:
    search = open_search(tmp_path, FOUR)
    for _ in range(4):
        trial = ask(search)
        search.tell(trial, value(trial, {}))
    search.tell(ask(search), 23.0, diverged=True)
    search.tell(ask(search), 2.0)
    assert search.best() == ({"lr": rate_of(2)}, 2.0)


def test_they_are_not_pruned(tmp_path: Path) -> None:
    """There is nothing to compare them with: other rates haven't their seeds."""
    search = open_search(tmp_path, Tune(trials=6, sampler="none", widen=0, pruner="median", confirm=2))
    for _ in range(6):
        trial = ask(search)
        assert not search.report(trial, 2, 1.0)
        search.tell(trial, 1.0)
    for _ in range(2):
        trial = ask(search)
        assert not search.report(trial, 2, 99.0)
        search.tell(trial, 1.0)


def test_pruned_and_broken_trials_get_none(tmp_path: Path) -> None:
    search = open_search(tmp_path, FOUR)
    search.prune(ask(search), 0.1)
    search.fail(ask(search))
    search.tell(ask(search), 1.0)
    search.tell(ask(search), 2.0)
    assert [ask(search).rate, ask(search).rate] == [rate_of(2), rate_of(3)]


def test_a_rate_chosen_by_them_on_the_edge_widens_the_search(tmp_path: Path) -> None:
    """By the first seed the lowest rate is only second: that is no reason to go on below it yet."""
    tune = Tune(trials=3, sampler="none", low=0.01, high=1.0, pruner="none", widen=1, confirm=2)
    search = open_search(tmp_path, tune)
    trials = [ask(search) for _ in range(3)]
    lowest, middle, highest = sorted(trials, key=lambda trial: trial.rate)
    for trial, first in ((lowest, 2.0), (middle, 1.0), (highest, 3.0)):
        search.tell(trial, first)
    again = {trial.rate: trial for trial in (ask(search), ask(search))}
    search.tell(again[middle.rate], 9.0)
    search.tell(again[lowest.rate], 2.0)
    assert (search.done, search.left) == (False, 1)
    below = ask(search)
    assert below.rate < lowest.rate
    search.tell(below, 4.0)
    assert search.done
    assert search.best() == (lowest.point, 2.0)


def test_more_trials_later_lead_to_further_seeds_of_the_new_best(tmp_path: Path) -> None:
    finish(open_search(tmp_path, FOUR))
    longer = open_search(tmp_path, FOUR.model_copy(update={"trials": 8}))
    assert longer.left >= 4
    trials = finish(longer)
    best = longer.best()
    assert best is not None
    assert [trial.repeat for trial in trials[:4]] == [0] * 4
    assert all(trial.repeat == 1 for trial in trials[4:])
    assert best[0]["lr"] == min((rate for rate in longer_rates(longer)), key=loss)


def longer_rates(search: Search) -> list[float]:
    return [trial.params["lr"] for trial in search._trials()]


def test_more_further_seeds_later_add_what_lacks(tmp_path: Path) -> None:
    finish(open_search(tmp_path, FOUR))
    more = open_search(tmp_path, FOUR.model_copy(update={"confirm_seeds": 2}))
    assert more.left == 2
    assert [trial.repeat for trial in finish(more)] == [2, 2]
