import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from study.config import Tune
from study.errors import StudyError
from study.retry import Retry
from study.tune import SearchStore, shared_points
from tests.tune.bowl import TUNE, ask, finish, loss, open_search


def rates_of(tune: Tune) -> list[float]:
    return [point["lr"] for point in shared_points(tune)]


def test_shared_points_first_then_refinement_near_the_best(tmp_path: Path) -> None:
    search = open_search(tmp_path)
    trials = finish(search)
    assert [trial.point for trial in trials[:5]] == shared_points(TUNE)
    assert [trial.number for trial in trials] == list(range(8))
    assert search.ask() is None
    rates = [trial.rate for trial in trials]
    assert search.best() == ({"lr": min(rates, key=loss)}, pytest.approx(min(map(loss, rates))))


def test_every_cell_gets_the_same_shared_points(tmp_path: Path) -> None:
    first, second = (open_search(tmp_path, name=name) for name in ("plain-8", "resnet-56"))
    assert [first.ask() for _ in range(5)] == [second.ask() for _ in range(5)]


def test_refinement_waits_for_the_trials_before_it(tmp_path: Path) -> None:
    """One at a time, so that the rates don't depend on the number of workers."""
    search = open_search(tmp_path)
    trials = [ask(search) for _ in range(5)]
    assert search.ask() is None
    for trial in trials:
        search.tell(trial, loss(trial.rate))
    assert ask(search).number == 5
    assert search.ask() is None


@pytest.mark.parametrize("sampler", ["tpe", "bisect"])
def test_a_search_stopped_and_opened_again_tries_the_same_rates(tmp_path: Path, sampler: str) -> None:
    """As does one whose bottom lies outside, so that it is stopped while it widens too."""
    tune = TUNE.model_copy(update={"sampler": sampler})
    for bottom in (0.03, 30.0):
        whole = finish(open_search(tmp_path, tune, name=f"whole {bottom}"), bottom)
        broken = []
        while True:  # the launcher was killed after each trial, and once in the middle of one
            search = open_search(tmp_path, tune, name=f"broken {bottom}")
            if search.done:
                break
            trial = ask(search)
            if len(broken) == 2:
                assert open_search(tmp_path, tune, name=f"broken {bottom}").ask() == trial
            search.tell(trial, loss(trial.rate, bottom))
            broken.append(trial)
        assert broken == whole
        assert (len(whole) > 8) is (bottom == 30.0)


def test_a_search_stopped_between_a_value_and_the_trials_end(tmp_path: Path) -> None:
    """Optuna takes both in two steps: the trial is ended when the search is opened again, and not lost."""
    search = open_search(tmp_path, Tune(trials=1))
    trial = ask(search)
    search._live[trial.number].set_user_attr("value 0", 0.25)
    again = open_search(tmp_path, Tune(trials=1))
    assert again.done
    assert again.best() == (trial.point, 0.25)


@pytest.mark.parametrize("position", [0, 5])
def test_a_search_stopped_while_a_trial_got_its_point(tmp_path: Path, position: int) -> None:
    """It gets the one that it would have got: it is stored before the trial begins."""
    trials = finish(open_search(tmp_path, name="whole"))
    search = open_search(tmp_path, name="broken")
    for _ in range(position):
        trial = ask(search)
        search.tell(trial, loss(trial.rate))
    search._with_point = lambda trial: 1 / 0  # type: ignore[assignment,return-value,method-assign]
    with pytest.raises(ZeroDivisionError):
        search.ask()
    assert ask(open_search(tmp_path, name="broken")) == trials[position]


def test_a_trial_that_has_no_point_is_broken(tmp_path: Path) -> None:
    """As an earlier version left it where it was stopped: the search goes on with the next."""
    search = open_search(tmp_path, Tune(trials=2, shared=1, confirm=0))
    search.tell(ask(search), 1.0)
    search._study.ask()
    again = open_search(tmp_path, Tune(trials=2, shared=1, confirm=0))
    assert again.done
    assert again.best() is not None


def test_more_trials_go_on_with_a_finished_search(tmp_path: Path) -> None:
    first = finish(open_search(tmp_path))
    tune = TUNE.model_copy(update={"trials": 12, "shared": 7})
    longer = open_search(tmp_path, tune)
    assert longer.left == 4
    rates = [trial.rate for trial in finish(longer)]
    assert len(rates) == 4
    assert {trial.rate for trial in first} | set(rates) >= set(rates_of(tune))  # bisect may have come upon one before
    assert not set(rates) & {trial.rate for trial in first}


def test_fewer_trials_are_no_reason_to_go_on(tmp_path: Path) -> None:
    finish(open_search(tmp_path))
    shorter = open_search(tmp_path, TUNE.model_copy(update={"trials": 6}))
    assert shorter.done
    assert shorter.ask() is None


def test_diverged_and_broken_trials_count_and_are_not_chosen(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=3, sampler="none", confirm=0))
    for how in ("diverged", "broken", "fine"):
        trial = ask(search)
        if how == "broken":
            search.fail(trial)
        else:
            search.tell(trial, 23.0 if how == "diverged" else 1.0, diverged=how == "diverged")
    assert search.done
    assert search.best() == (trial.point, 1.0)


def test_nothing_to_choose_where_all_broke(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=2))
    for _ in range(2):
        search.fail(ask(search))
    assert search.done
    assert search.best() is None
    assert search.ask() is None


def test_equal_values_choose_the_smaller_rate(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=4, sampler="none", confirm=0))
    trials = [ask(search) for _ in range(4)]
    for trial in trials:
        search.tell(trial, 0.0)
    assert search.best() == ({"lr": min(trial.rate for trial in trials)}, 0.0)


def test_pruning_stops_the_worse_half_but_none_of_the_first_four(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=8, sampler="none", pruner="median"))
    stopped = []
    for position in range(8):
        trial = ask(search)
        running = [1.0, 2.0, 3.0, 4.0, 9.0, 0.5, 9.0, 2.0][position]
        if search.report(trial, 2, running):
            assert search.prune(trial) == []
            assert not search.is_live(trial)
            stopped.append(position)
        else:
            search.tell(trial, running)
    assert stopped == [4, 6]
    assert search.left == len(search._trials(optuna.trial.TrialState.WAITING)) == 0


def test_halving_stops_those_behind_at_a_quarter(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=24, sampler="none", pruner="halving", widen=0, confirm=0))
    stopped = []
    for position in range(24):
        trial = ask(search)
        running = 1.0 + position
        quarters = (quarter for quarter in (1, 2) if search.report(trial, quarter, running))
        if next(quarters, None) is None:
            search.tell(trial, running)
        else:
            search.prune(trial)
            stopped.append(position)
    assert stopped == list(range(1, 24))  # each is behind all before it
    assert search.done


def test_no_pruner_no_pruning(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=6, sampler="none", pruner="none"))
    for value in (1.0, 1.0, 1.0, 1.0, 99.0):
        trial = ask(search)
        assert not search.report(trial, 2, value)
        search.tell(trial, value)


def test_a_suggested_point_is_tried_after_the_shared_ones_and_counts(tmp_path: Path) -> None:
    search = open_search(tmp_path)
    search.suggest({"lr": 0.0321})
    trials = finish(search)
    assert [trial.rate for trial in trials[:6]] == [*rates_of(TUNE), 0.0321]
    assert len(trials) == 8
    search.suggest({"lr": 0.0456})  # it has ended: too late
    assert search.done


def test_a_suggestion_is_made_once_and_an_empty_one_is_none(tmp_path: Path) -> None:
    open_search(tmp_path).suggest({"lr": 0.0321})
    search = open_search(tmp_path)
    search.suggest({"lr": 0.0321})
    search.suggest({})
    assert [ask(search).rate for _ in range(6)][5] == 0.0321
    assert search.ask() is None


def test_a_suggestion_finds_no_room_where_all_trials_are_shared(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=4, sampler="none", widen=0, confirm=0))
    search.suggest({"lr": 0.0321})
    assert [trial.rate for trial in finish(search)] == rates_of(search.tune)


def test_a_suggestion_from_beyond_the_bounds(tmp_path: Path) -> None:
    """A shallower net's search may have been widened; then the rate is tried as it is, without a warning."""
    search = open_search(tmp_path)
    search.suggest({"lr": 3.2})
    assert [ask(search).rate for _ in range(6)][5] == 3.2


def test_edge(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=5, sampler="none", widen=0, confirm=0))
    rates = sorted(trial.rate for trial in finish(search))
    assert search.edge(rates[0]) == "lowest"
    assert search.edge(rates[-1]) == "highest"
    assert search.edge(rates[2]) is None


def test_two_rates_have_no_edge(tmp_path: Path) -> None:
    search = open_search(tmp_path, Tune(trials=2, sampler="none", confirm=0))
    (first, _) = finish(search)
    assert search.edge(first.rate) is None


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/optuna.db", "postgresql://nobody@127.0.0.1:1/x", "what"])
def test_a_storage_that_cannot_be_opened_is_one_line(url: str) -> None:
    with pytest.raises(StudyError, match=r"Optuna's storage .* can't be opened: ") as caught:
        SearchStore(url).search("plain-20", TUNE, 0)
    assert len(str(caught.value).splitlines()) == 1


OLD_TABLES = """
CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512) NOT NULL, direction VARCHAR(8) NOT NULL);
CREATE TABLE version_info (version_info_id INTEGER PRIMARY KEY, schema_version INTEGER, library_version VARCHAR(256));
CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, study_id INTEGER, state VARCHAR(8) NOT NULL, value FLOAT,
    datetime_start DATETIME, datetime_complete DATETIME);
"""
"""Of Optuna before 2.4, and no version."""


def test_tables_of_an_older_optuna_are_named_and_left_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(OLD_TABLES)
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"tables of another version of Optuna \('trials' lacks 'number'\): `optuna"):
        SearchStore(f"sqlite:///{path}").search("plain-8", TUNE, 0)
    assert path.read_bytes() == before


def test_what_a_database_refuses_for_good_is_a_line(tmp_path: Path) -> None:
    """And isn't waited for."""
    store = SearchStore(f"sqlite:///{tmp_path / 'optuna.db'}", Retry())
    search = store.search("plain-8", TUNE, 0)
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as made:
        made.execute("ALTER TABLE trials RENAME COLUMN state TO condition")
        made.commit()
    with pytest.raises(StudyError, match=r"Optuna's storage sqlite:///.*no such column: trials\.state"):
        search.ask()


def test_optuna_warns_of_nothing_in_the_middle_of_the_progress() -> None:
    """Not of a package that it misses, either."""
    code = "import sys; sys.modules['greenlet'] = None\nimport study.tune.search\n"
    code += "from optuna._gp import batched_lbfgsb as found\nassert not found._greenlet_imports.is_successful()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stderr == ""
