"""Trials with several seeds: begun, stopped, taken up again, compared seed by seed."""

from pathlib import Path

import pytest

from study.config import Tune
from study.tune import Search, Trial
from tests.tune.bowl import ask, loss, open_search

THREE = Tune(trials=4, sampler="none", seeds=3, widen=0, confirm=0, pruner="none")


def numbers(trials: list[Trial]) -> list[tuple[int, int]]:
    return [(trial.number, trial.repeat) for trial in trials]


def test_a_trial_is_given_out_once_for_each_seed(tmp_path: Path) -> None:
    search = open_search(tmp_path, THREE)
    trials = [ask(search) for _ in range(12)]
    assert numbers(trials) == [(number, repeat) for number in range(4) for repeat in range(3)]
    assert len({trial.rate for trial in trials[:3]}) == 1
    assert search.ask() is None
    assert search.started == 4


def test_the_value_is_the_mean_in_whatever_order_seeds_end(tmp_path: Path) -> None:
    search = open_search(tmp_path, THREE.model_copy(update={"trials": 1}))
    trials = [ask(search) for _ in range(3)]
    for trial, value in ((trials[2], 0.3), (trials[0], 0.1)):
        assert search.tell(trial, value) == []
        assert not search.done
        assert search.best() is None
    search.tell(trials[1], 0.2)
    assert search.done
    assert search.best() == (trials[0].point, pytest.approx(0.2))


def test_the_mean_and_not_the_best_seed_chooses(tmp_path: Path) -> None:
    search = open_search(tmp_path, THREE.model_copy(update={"trials": 2}))
    values = [[0.0, 0.0, 9.0], [2.0, 2.0, 2.0]]
    trials = [ask(search) for _ in range(6)]
    for trial in trials:
        search.tell(trial, values[trial.number][trial.repeat])
    assert search.best() == (trials[3].point, 2.0)


@pytest.mark.parametrize("told", [0, 1, 2, 3, 4, 5])
def test_a_resumed_trial_lacks_only_the_seeds_that_did_not_end(tmp_path: Path, told: int) -> None:
    """Six seeds of two trials are in flight; some end, the launcher is killed."""
    search = open_search(tmp_path, THREE)
    trials = [ask(search) for _ in range(6)]
    ended = [trials[i] for i in (4, 0, 2, 3, 1)][:told]
    for trial in ended:
        search.tell(trial, float(trial.repeat))
    again = open_search(tmp_path, THREE)
    lacking = [trial for trial in trials if trial not in ended]
    assert [ask(again) for _ in lacking] == lacking
    assert ask(again).number == 2
    for trial in lacking:
        again.tell(trial, float(trial.repeat))
    assert again.left == 2
    assert {trial.value for trial in again._trials() if trial.value is not None} == {1.0}


def test_the_search_ends_with_its_last_seed(tmp_path: Path) -> None:
    search = open_search(tmp_path, THREE)
    for left in (4, 3, 2, 1):
        for _ in range(3):
            assert (search.left, search.done) == (left, False)
            search.tell(ask(search), 1.0)
    assert (search.left, search.done) == (0, True)


def end(search: Search, how: str, trial: Trial) -> list[Trial]:
    return search.prune(trial) if how == "prune" else search.fail(trial)


@pytest.mark.parametrize("how", ["prune", "fail"])
def test_a_trial_that_ends_early_needs_no_other_seeds(tmp_path: Path, how: str) -> None:
    """Those in line are taken out, those in flight are named, one that has ended isn't."""
    search = open_search(tmp_path, THREE.model_copy(update={"seeds": 4}))
    first, second, third = (ask(search) for _ in range(3))  # the fourth is in line
    search.tell(first, 1.0)
    assert numbers(end(search, how, second)) == [(0, 2), (0, 3)]
    assert not search.is_live(third)
    assert ask(search).number == 1
    assert search.left == 3
    again = open_search(tmp_path, THREE.model_copy(update={"seeds": 4}))
    assert ask(again).number == 1  # nor does it come back


def test_a_trial_with_a_diverged_seed_goes_on_and_loses(tmp_path: Path) -> None:
    search = open_search(tmp_path, THREE.model_copy(update={"trials": 2}))
    trials = [ask(search) for _ in range(6)]
    search.tell(trials[0], 23.0, diverged=True)
    assert search.is_live(trials[1])
    for trial in trials[1:]:
        search.tell(trial, 1.0)
    assert search.best() == (trials[3].point, 1.0)


def test_seeds_are_compared_with_the_same_seeds_of_other_trials(tmp_path: Path) -> None:
    """The second seed trains worse everywhere; that alone is no reason to stop it."""
    search = open_search(tmp_path, Tune(trials=6, sampler="none", seeds=2, pruner="median", widen=0, confirm=0))
    for number in range(5):
        for repeat in range(2):
            trial = ask(search)
            assert not search.report(trial, 2, 10.0 * repeat + 0.01 * (5 - number)), numbers([trial])
            search.tell(trial, 10.0 * repeat)
    first = ask(search)
    assert search.report(first, 2, 5.0)  # far worse than the first seed of others, if better than their second


BY_SEED = [3.0, 1.0, 4.0, 5.0, 2.0]
"""Values of a good trial: seeds differ far more than trials do."""


def run_wilcoxon(folder: Path, last: list[float]) -> tuple[list[int], Search]:
    """Tell four good trials, then one with `last`; return which of its seeds were told."""
    search = open_search(folder, Tune(trials=5, sampler="none", seeds=5, pruner="wilcoxon", widen=0, confirm=0))
    for _ in range(20):
        trial = ask(search)
        assert not search.report(trial, 2, 100.0)  # only whole seeds are compared
        assert search.tell(trial, BY_SEED[trial.repeat]) == []
    told = []
    while (next_one := search.ask()) is not None:
        told.append(next_one.repeat)
        dropped = search.tell(next_one, last[next_one.repeat])
        assert bool(dropped) is (not search.is_live(next_one) and len(told) < 5)
    return told, search


def test_wilcoxon_stops_a_trial_that_loses_seed_by_seed(tmp_path: Path) -> None:
    """Four losses of four are the first that can't be chance at one in ten (1/16): a search with fewer seeds has none.

    Each loss is small beside the difference between seeds, which unpaired comparisons would drown in.
    """
    told, search = run_wilcoxon(tmp_path, [value + 0.1 for value in BY_SEED])
    assert told == [0, 1, 2, 3]
    assert search.done
    best = search.best()
    assert best is not None
    assert best[1] == 3.0


def test_wilcoxon_lets_a_trial_go_on_that_wins_some(tmp_path: Path) -> None:
    told, search = run_wilcoxon(tmp_path, [3.1, 0.9, 4.1, 4.9, 2.1])
    assert told == [0, 1, 2, 3, 4]
    assert search.done


def test_wilcoxon_compares_all_seeds_of_the_best_trial(tmp_path: Path) -> None:
    """Whichever of its seeds ended last."""
    search = open_search(tmp_path, Tune(trials=5, sampler="none", seeds=5, pruner="wilcoxon", widen=0, confirm=0))
    trials = [ask(search) for _ in range(25)]
    for trial in reversed(trials[:20]):
        search.tell(trial, BY_SEED[trial.repeat])
    answers = [search.tell(trial, BY_SEED[trial.repeat] + 0.1) for trial in trials[20:24]]
    assert [numbers(answer) for answer in answers] == [[], [], [], [(4, 4)]]


def test_refining_waits_for_every_seed(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=3, shared=2, seeds=2, widen=0, confirm=0))
    trials = [ask(search) for _ in range(4)]
    for trial in trials[:3]:
        search.tell(trial, loss(trial.rate))
        assert search.ask() is None
    search.tell(trials[3], loss(trials[3].rate))
    assert numbers([ask(search), ask(search)]) == [(2, 0), (2, 1)]
