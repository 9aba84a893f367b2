import math
from pathlib import Path

import pytest

from study.config import Tune
from study.tune import Search, SearchStore, shared_rates

TUNE = Tune(trials=8, shared=5, low=0.001, high=1.0)


def loss(rate: float) -> float:
    """Return a bowl over log rate with its bottom at 0.03."""
    return math.log10(rate / 0.03) ** 2


def open_search(folder: Path, tune: Tune = TUNE, name: str = "plain-20") -> Search:
    return SearchStore(f"sqlite:///{folder / 'optuna.db'}").search(name, tune, 7)


def finish(search: Search) -> list[float]:
    rates = []
    while not search.done:
        trial = search.ask()
        assert trial is not None
        search.tell(trial.number, loss(trial.rate))
        rates.append(trial.rate)
    return rates


def test_shared_rates_first_then_refinement_near_the_best(tmp_path: Path) -> None:
    search = open_search(tmp_path)
    rates = finish(search)
    assert rates[:5] == shared_rates(TUNE)
    assert len(rates) == 8
    assert search.ask() is None
    assert search.best() == (min(rates, key=loss), pytest.approx(min(map(loss, rates))))


def test_every_cell_gets_the_same_shared_rates(tmp_path: Path) -> None:
    first, second = (open_search(tmp_path, name=name) for name in ("plain-8", "resnet-56"))
    assert [first.ask() for _ in range(5)] == [second.ask() for _ in range(5)]


def test_refinement_waits_for_the_trials_before_it(tmp_path: Path) -> None:
    """One at a time, so that the rates don't depend on the number of workers."""
    search = open_search(tmp_path)
    trials = [search.ask() for _ in range(5)]
    assert search.ask() is None
    for trial in trials:
        assert trial is not None
        search.tell(trial.number, loss(trial.rate))
    assert search.ask() is not None
    assert search.ask() is None


def test_a_search_stopped_and_opened_again_tries_the_same_rates(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = finish(open_search(tmp_path / "a"))
    broken = []
    while True:
        search = open_search(tmp_path / "b")  # the launcher was killed after each trial, and once in the middle of one
        if search.done:
            break
        trial = search.ask()
        assert trial is not None
        if len(broken) == 2:
            again = open_search(tmp_path / "b").ask()
            assert again == trial
        search.tell(trial.number, loss(trial.rate))
        broken.append(trial.rate)
    assert broken == whole


def test_more_trials_go_on_with_a_finished_search(tmp_path: Path) -> None:
    first = finish(open_search(tmp_path))
    longer = open_search(tmp_path, TUNE.model_copy(update={"trials": 12, "shared": 7}))
    assert longer.left == 4
    rates = finish(longer)
    assert rates[:2] == shared_rates(TUNE.model_copy(update={"trials": 12, "shared": 7}))[5:]
    assert not set(rates) & set(first)


def test_diverged_and_broken_trials_count_and_are_not_chosen(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=3, sampler="none"))
    for how in ("diverged", "broken", "fine"):
        trial = search.ask()
        assert trial is not None
        if how == "broken":
            search.fail(trial.number)
        else:
            search.tell(trial.number, 23.0 if how == "diverged" else 1.0, diverged=how == "diverged")
    assert search.done
    assert search.best() == (trial.rate, 1.0)


def test_nothing_to_choose_where_all_broke(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=1))
    trial = search.ask()
    assert trial is not None
    search.fail(trial.number)
    assert search.done
    assert search.best() is None


def test_equal_values_choose_the_smaller_rate(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=4, sampler="none"))
    trials = [search.ask() for _ in range(4)]
    for trial in trials:
        assert trial is not None
        search.tell(trial.number, 0.0)
    assert search.best() == (min(trial.rate for trial in trials if trial), 0.0)


def test_pruning_stops_the_worse_half_but_none_of_the_first_four(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=8, sampler="none"))
    stopped = []
    for position in range(8):
        trial = search.ask()
        assert trial is not None
        running = [1.0, 2.0, 3.0, 4.0, 9.0, 0.5, 9.0, 2.0][position]
        if search.report(trial.number, 50, running):
            search.prune(trial.number)
            stopped.append(position)
        else:
            search.tell(trial.number, running)
    assert stopped == [4, 6]
    assert search.done


def test_no_pruner_no_pruning(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=6, sampler="none", pruner="none"))
    for value in (1.0, 1.0, 1.0, 1.0, 99.0):
        trial = search.ask()
        assert trial is not None
        assert not search.report(trial.number, 5, value)
        search.tell(trial.number, value)


def test_edge(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=5, sampler="none"))
    rates = sorted(finish(search))
    assert search.edge(rates[0]) == "lowest"
    assert search.edge(rates[-1]) == "highest"
    assert search.edge(rates[2]) is None
