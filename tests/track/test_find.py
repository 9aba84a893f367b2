import os
import sqlite3
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from study.errors import StudyError
from study.track import database
from study.track import tags as tag
from study.track.client import connect
from study.track.find import experiment_tags, find_experiment, list_studies, read_runs, search_runs
from study.track.snapshot import take_snapshot
from study.track.store import Store
from tests.track.test_store import POINT


@pytest.fixture(scope="module")
def uri(small_study: Path) -> str:
    return f"sqlite:///{small_study / 'mlflow.db'}"


@pytest.mark.parametrize("kind", [None, "run", "trial", "tuning", "dataset"])
def test_runs_are_those_of_mlflows_client(uri: str, kind: str | None) -> None:
    experiment = find_experiment("small", uri)
    wanted = f"tags.`{tag.KIND}` = '{kind}'" if kind else ""
    expected = [asdict(run) for run in search_runs(connect(uri), experiment, wanted)]
    found = [asdict(run) for run in read_runs(experiment, uri, kind)]
    assert len(found) > 0
    assert found == expected


def test_odd_values_and_deleted_runs(database: str) -> None:
    store = Store("s", database)
    run = store.begin("odd name", {"a": "x" * 400, "b": None}, {tag.KIND: "run"})
    store.client.log_metric(run, "nan", float("nan"), step=2)
    store.client.log_metric(run, "up", 1.0, step=2)
    store.client.log_metric(run, "up", 2.0, step=1)  # the last step stands, not the last call
    store.log_points(run, [POINT])
    gone = store.begin("gone", {"a": 1}, {tag.KIND: "run"})
    store.client.delete_run(gone)
    (found,) = read_runs(store.experiment_id, database)
    (expected,) = search_runs(store.client, store.experiment_id)
    assert repr(found) == repr(expected)  # NaN isn't equal to itself
    assert found.metrics["up"] == 1.0


def test_studies_and_tags_are_those_of_mlflows_client(database: str) -> None:
    client = connect(database)
    for name in ("first", "second"):
        Store(name, database).begin("r", {"a": 1}, {tag.KIND: "run"})
    client.create_experiment("not ours")
    store = Store("first", database)
    client.set_experiment_tag(store.experiment_id, "k", "v")  # and so it is the last that was added to
    found = client.search_experiments(order_by=["last_update_time DESC"])
    assert list_studies(database) == [one.name for one in found if one.name in ("first", "second")]
    assert experiment_tags(store.experiment_id, database)["k"] == "v"
    assert find_experiment("first", database) == store.experiment_id
    with pytest.raises(StudyError, match="no study is called 'third'"):
        find_experiment("third", database)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert list_studies(uri) == []
    with pytest.raises(StudyError, match="no study is called 's'"):
        take_snapshot("s", uri)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, but long enough to have been one " * 50)
    with pytest.raises(StudyError, match=r"can't be reached.*not a database"):
        list_studies(f"sqlite:///{path}")


def test_an_empty_database_is_left_to_mlflow(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA user_version = 1")
    with pytest.raises(database.UnreadableError):
        database.studies(f"sqlite:///{path}")
    assert list_studies(f"sqlite:///{path}") == []


def test_reading_a_local_study_loads_neither_mlflow_nor_pandas(small_study: Path) -> None:
    code = (
        "from study.track.find import list_studies; from study.track.snapshot import take_snapshot; import sys\n"
        "seen = take_snapshot(list_studies()[0]); assert seen.records and seen.protocols and seen.state\n"
        "print([m for m in ('mlflow', 'pandas', 'torch', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=small_study, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"
