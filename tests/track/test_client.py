"""MLflow's client: the database is there as a whole, or not at all."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.store.db.utils import _get_alembic_config

from study.errors import StudyError
from study.track import tags as tag
from study.track.client import connect, transient_mlflow_error
from study.track.find import list_studies
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.uri import database_path
from tests.conftest import run_here
from tests.track.servers import Guarded, Server


@pytest.mark.parametrize("size", [1, 400_000])  # bytes; the whole is about 700,000
def test_killed_while_it_makes_the_database(tmp_path: Path, size: int) -> None:
    file = tmp_path / "mlflow.db"
    new = Path(f"{file}.new")
    code = f"from study.track.client import connect; connect('sqlite:///{file}')"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while process.poll() is None and not (new.exists() and new.stat().st_size >= size):
            time.sleep(0.001)
        process.kill()
    assert process.returncode < 0
    assert new.stat().st_size >= size
    assert not file.exists()

    client = connect(f"sqlite:///{file}")
    assert [found.name for found in client.search_experiments()] == ["Default"]
    assert not new.exists()


@pytest.mark.parametrize(
    "text",
    [
        "(sqlite3.IntegrityError) UNIQUE constraint failed: params.key, params.run_uuid",
        '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "param_pk"',
        "(sqlite3.IntegrityError) UNIQUE constraint failed: tags.key, tags.run_uuid",
        "(sqlite3.IntegrityError) UNIQUE constraint failed: experiment_tags.key, experiment_tags.experiment_id",
        '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "experiment_tag_pk"',
    ],
)
def test_values_that_another_process_writes_at_this_moment_are_written_again(text: str) -> None:
    assert "another process" in transient_mlflow_error("sqlite:///mlflow.db", MlflowException(text, BAD_REQUEST))
    assert not transient_mlflow_error(
        "sqlite:///mlflow.db", MlflowException("Changing param values is not allowed", BAD_REQUEST)
    )


def with_version(uri: str, version: str) -> Path:
    """Give a database's tables another version, and one table less, as an older MLflow's has."""
    path = database_path(uri)
    assert path is not None
    with closing(sqlite3.connect(path)) as made:
        made.execute("UPDATE alembic_version SET version_num = ?", (version,))
        made.execute("DROP TABLE job_locks")
        made.commit()
    return path


@pytest.mark.parametrize(
    "words", [["status"], ["report"], ["run", "--grid", "digits", "--dry-run"], ["run", "--grid", "digits"]]
)
def test_a_database_of_an_older_mlflow_is_named_and_not_migrated(database: str, words: list[str]) -> None:
    Store("s", database).begin("r", {"a": 1}, {"study.kind": "run"})
    newest, before, *_ = (
        found.revision for found in ScriptDirectory.from_config(_get_alembic_config("")).walk_revisions()
    )
    connect.cache_clear()
    path = with_version(database, before)
    bytes_before = path.read_bytes()
    done = run_here(path.parent, *words)
    if words != ["status"]:  # which needs no more than the tables have
        assert done.returncode == 2
        assert f"{path} was made by an older MLflow (its tables have version {before}" in done.stderr
        assert f"{newest}): make a copy, then bring it up to date: mlflow db upgrade {database}" in done.stderr
        assert [line.startswith("error: ") for line in done.stderr.splitlines()][-1:] == [True]
    else:
        assert done.returncode == 0, done.stderr
    assert path.read_bytes() == bytes_before


def test_a_database_of_a_newer_mlflow_is_named(database: str) -> None:
    path = with_version(database, "0123456789ab")
    connect.cache_clear()
    with pytest.raises(StudyError, match=r"made by a newer MLflow \(MLflow [\d.]+ doesn't know version 0123456789ab"):
        connect(f"sqlite:///{path}")


@pytest.mark.slow
def test_name_and_password_in_a_servers_address_are_mlflows(tmp_path: Path) -> None:
    """They are sent to it, with those of its artifacts, and are no part of the host's name."""
    with Server(tmp_path) as server, Guarded(server.address, "bob", "p w/%") as guard:
        uri = f"http://bob:p%20w%2F%25@{guard.host}"
        store = Store("s", uri)
        params = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0}
        run = store.begin("r", params, {tag.KIND: "run"})
        store.add_text(run, "text", "a.txt")
        assert list_studies(uri) == ["s"]
        assert [record.run_id for record in take_snapshot("s", uri).records] == [run]
        assert [found.path for found in store.client.list_artifacts(run)] == ["a.txt"]
        assert guard.refused == 0
        connect.cache_clear()
        with pytest.raises(StudyError, match=r"can't be reached at http://\*\*\*@127.0.0.1") as caught:
            connect(f"http://bob:wrong@{guard.host}")
        assert "wrong" not in str(caught.value)
        assert guard.refused > 0


@pytest.mark.parametrize("address", ["http://bob:s3cr3t@no-such-host.invalid", "http://bob:s3/cr3t@127.0.0.1:1"])
def test_a_server_that_is_not_there_is_named_without_its_password(address: str) -> None:
    with pytest.raises(StudyError, match=r"can't be reached at http://\*\*\*@") as caught:
        connect(address)
    assert "cr3t" not in str(caught.value)


def test_processes_that_store_one_tag_at_once_all_succeed(database: str) -> None:
    """Each inserts what the others insert too: whoever is later must take what is there as its own."""
    barrier, stores = Barrier(4, timeout=60), [Store("s", database) for _ in range(4)]

    def work(store: Store) -> None:
        store.retry.on_wait = lambda *_: None
        for key in range(20):
            barrier.wait()
            store.do(store.client.set_experiment_tag, store.experiment_id, f"key {key}", "value")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, stores))
    tags = stores[0].client.get_experiment(stores[0].experiment_id).tags
    assert {f"key {key}" for key in range(20)} <= set(tags)
