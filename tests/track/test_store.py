import socket
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import Metric

from study.errors import StudyError
from study.events import Epoch
from study.track import database
from study.track import tags as tag
from study.track.frames import load_curves, load_runs, load_trials
from study.track.store import Store
from study.track.uri import tracking_uri

POINT = Epoch(
    step=10,
    epoch=1.0,
    lr=0.1,
    train_error=50.0,
    train_loss=1.5,
    test_error=60.0,
    test_loss=1.7,
    validation_error=None,
    validation_loss=None,
    images_per_second=1000.0,
    seconds=1.0,
    memory_mib=500.0,
    time=1.7e9,
)
PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0, "lr": 0.1, "iterations_per_epoch": 10}


def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def begin(store: Store, key: str = "k", **params: object) -> str:
    return store.begin("plain-8 seed 0", PARAMS | params, {tag.KIND: "run", tag.KEY: key})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    run = begin(store)
    store.log_points(run, [POINT, replace(POINT, step=20, epoch=2.0, train_error=40.0, test_loss=float("inf"))])
    store.end(
        run, "finished", step=20, metrics={"final_train_error": 39.0, "final_validation_error": None, "seconds": 2}
    )
    row = load_runs("digits", uri(tmp_path)).iloc[0]
    assert (row["architecture"], row["depth"], row["seed"], row["lr"]) == ("plain", 8, 0, 0.1)
    assert (row["outcome"], row["status"], row["step"], row["seconds"]) == ("finished", "FINISHED", 20, 2)
    assert row["final_train_error"] == 39.0
    curves = load_curves("digits", uri(tmp_path))
    assert list(curves["step"]) == [10, 20]
    assert list(curves["train_error"]) == [50.0, 40.0]
    assert curves["test_loss"].isna().tolist() == [False, True]  # infinity isn't stored as 1.8e308
    assert curves["validation_error"].isna().all()
    assert load_trials("digits", uri(tmp_path)).empty


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("finished", "FINISHED"), ("diverged", "FINISHED"), ("failed", "FAILED"), ("interrupted", "KILLED")],
)
def test_status_in_mlflow(tmp_path: Path, outcome: str, status: str) -> None:
    store = Store("digits", uri(tmp_path))
    run = begin(store)
    store.end(run, outcome, reason="because")
    (record,) = store.records()
    assert (record.outcome, record.status, record.tags[tag.REASON]) == (outcome, status, "because")


def test_reopening_says_what_is_logged(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    run = begin(store)
    assert store.reopen(run) == (0, False)
    store.log_points(run, [POINT, replace(POINT, step=20)])
    store.end(run, "interrupted")
    assert Store("digits", uri(tmp_path)).reopen(run) == (20, False)
    (record,) = store.records()
    assert (record.outcome, record.status) == ("running", "RUNNING")


def test_a_point_logged_twice_is_read_once(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    run = begin(store)
    store.log_points(run, [POINT])
    store.log_points(run, [replace(POINT, train_error=49.0)])
    assert len(load_curves("digits", uri(tmp_path))) == 1


def test_many_points_go_in_one_call(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    run = begin(store)
    store.log_points(run, [replace(POINT, step=step, epoch=step / 10) for step in range(1, 401)])
    assert len(load_curves("digits", uri(tmp_path))) == 400


def test_runs_are_found_by_their_keys(tmp_path: Path) -> None:
    """The newest first; a trial by the search that its key begins with."""
    store = Store("digits", uri(tmp_path))
    first, second, other = (begin(store, key) for key in ("k", "k", "k2"))
    trials = [store.begin("t", PARAMS, {tag.KIND: "trial", tag.KEY: key}) for key in ("k-1", "k-2", "k2-1", "k")]
    store.end(first, "finished")
    assert [record.run_id for record in store.records_of("k", "run")] == [second, first]
    assert [record.outcome for record in store.records_of("k", "run")] == ["running", "finished"]
    assert [record.run_id for record in store.records_of("k", "trial")] == [trials[3]]
    assert store.records_of("k", "tuning") == []
    assert [record.run_id for record in store.records_within("k", "trial")] == [trials[1], trials[0]]
    assert [store.settle(run) for run in (first, other)] == ["finished", "interrupted"]


MAKING = "from study.track.store import Store; input(); print(Store('digits').experiment_id)"


@pytest.mark.parametrize("at_once", [1, 500])
def test_runs_that_another_begins_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Only what has come since the last look is asked for; whoever began it, and whenever it says that it did."""
    monkeypatch.setattr(database, "IDS_PER_QUERY", at_once)
    ours, other = Store("s", uri(tmp_path)), Store("s", uri(tmp_path))
    before = [begin(other, key) for key in ("a", "a", "b")]
    assert {record.run_id for record in ours.records_of("a", "run")} == set(before[:2])
    mine = begin(ours, "c")
    new = begin(other, "c")
    slow = other.client.create_run(
        other.experiment_id, start_time=1, tags={tag.KIND: "run", tag.KEY: "d", tag.OUTCOME: "running"}
    )
    other.client.create_run(other.experiment_id)  # by hand: it has no key
    assert [record.run_id for record in ours.records_of("d", "run")] == [slow.info.run_id]
    assert {record.run_id for record in ours.records_of("c", "run")} == {mine, new}
    other.end(new, "finished")
    assert {record.outcome for record in ours.records_of("c", "run")} == {"running", "finished"}
    ours.client.delete_run(before[2])
    assert ours.records_of("b", "run") == []
    ours.client.restore_run(before[2])
    assert [record.run_id for record in ours.records_of("b", "run")] == [before[2]]


def test_nothing_is_read_again_while_nothing_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("s", uri(tmp_path))
    begin(store, "a")
    assert store.records_of("b", "run") == []
    monkeypatch.setattr(database, "runs", None)
    for key in "cdef":
        begin(store, key)
        assert store.records_of("b", "run") == []
        assert database.new_keys(store.uri, store.experiment_id, store._keys._known) == {}


@pytest.mark.slow
def test_two_that_begin_at_once_make_one_study(tmp_path: Path) -> None:
    """The database, its tables and the experiment."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", f"import study.track; print(); {MAKING}"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()  # it has loaded everything
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert len({out for out, _ in said}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db"]  # no lock is left


def test_a_deleted_experiment_is_a_clear_error(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(StudyError, match="was deleted: give the grid another name"):
        Store("digits", uri(tmp_path))


def test_an_unknown_study_names_those_there_are(tmp_path: Path) -> None:
    begin(Store("digits", uri(tmp_path)))
    with pytest.raises(StudyError, match=r"no study is called 'digit' .*known: digits"):
        load_runs("digit", uri(tmp_path))


def test_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri() == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///sub/my.db")
    assert tracking_uri() == f"sqlite:///{tmp_path.resolve()}/sub/my.db"


def test_nobody_there_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StudyError, match=rf"can't be reached at http://127.0.0.1:{port}: .*refused"):
        Store("digits", f"http://127.0.0.1:{port}")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, and too long to be an empty one" * 100)
    with pytest.raises(StudyError, match=r"can't be reached at sqlite:.*file is not a database"):
        Store("digits", uri(tmp_path))


@pytest.mark.parametrize("address", ["file:///x/y", "ftp://x", "nonsense"])
def test_an_address_of_no_use(address: str) -> None:
    with pytest.raises(StudyError, match="address is needed"):
        Store("digits", address)


def test_figures_of_an_attempt_that_was_cut_off_stand(database: str) -> None:
    """Logged before the outcome was: taken up again, the run comes to the same, but for the time it took."""
    figures = {"final_train_error": 1.0, "seconds": 5.0}
    for attempt in (0, 1):
        store = Store("g", database)
        if attempt == 0:
            run = begin(store)
            store.client.log_batch(run, metrics=[Metric(key, value, 1, 20) for key, value in figures.items()])
        else:
            store.reopen(run)
            store.end(run, "finished", step=20, metrics=figures | {"seconds": 7.0, "final_test_error": 2.0})
    (row,) = load_runs("g", database).to_dict("records")
    assert (row["final_train_error"], row["seconds"], row["final_test_error"]) == (1.0, 5.0, 2.0)
    assert [len(store.client.get_metric_history(run, key)) for key in (*figures, "final_test_error")] == [1, 1, 1]
    store.reopen(run)
    store.end(run, "finished", step=40, metrics=figures | {"final_train_error": 0.5})  # a search with more trials
    assert load_runs("g", database)["final_train_error"].item() == 0.5


def test_a_point_is_logged_whole_or_not_at_all(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: what is logged of a run is known by one of its metrics."""
    store = Store("g", database)
    run = begin(store)
    log, calls = store.client.log_batch, []

    def keep(run_id: str, metrics: list[Metric], **more: object) -> None:
        calls.append(Counter(metric.step for metric in metrics))
        log(run_id, metrics=metrics, **more)

    monkeypatch.setattr(store.client, "log_batch", keep)
    store.log_points(run, [replace(POINT, step=step, validation_error=1.0) for step in range(1, 1001)])
    assert sum(len(call) for call in calls) == 1000
    assert {count for call in calls for count in call.values()} == {9}
    assert all(sum(call.values()) <= 1000 for call in calls)
