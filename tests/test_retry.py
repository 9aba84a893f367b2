"""What is waited for, what is done meanwhile, and what isn't waited for."""

import errno
import sqlite3
from contextlib import closing
from tempfile import TemporaryDirectory

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from study.retry import Retry, RetryTimeout, transient_database_error, transient_disk_error
from study.track.client import transient_mlflow_error

psycopg2 = pytest.importorskip("psycopg2")  # a GPU machine may not have it


def refused(wanted: str, *, locked: bool = False) -> OperationalError:
    """Return what SQLite and SQLAlchemy really raise."""
    with TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/x.db", poolclass=NullPool, connect_args={"timeout": 0})
        with closing(sqlite3.connect(f"{folder}/x.db", isolation_level=None)) as other:
            other.execute("CREATE TABLE t (a)")
            if locked:
                other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(OperationalError) as caught, engine.begin() as connection:
                connection.exec_driver_sql(wanted)
    return caught.value


LOCKED = refused("INSERT INTO t VALUES (1)", locked=True)
NO_COLUMN = refused("SELECT b FROM t")
FULL = OSError(errno.ENOSPC, "No space left on device", "a file")


class Weather:
    """Fails a few times, then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


class OfMySQL(psycopg2.OperationalError):
    """As the drivers of MySQL raise it: a number, then words."""


class WithState(psycopg2.OperationalError):
    """As a server's answer comes: with an SQLSTATE, which psycopg2 lets nobody set."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = state


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def always(error: Exception) -> str:
    return str(error)


def test_nothing_is_waited_for_by_default() -> None:
    with pytest.raises(OSError, match="No space left"):
        Retry()(Weather(FULL), transient_disk_error)


def test_what_will_pass_is_tried_again_and_something_else_done_meanwhile() -> None:
    retry, told, back = Retry(), list[str](), list[float]()
    retry.on_wait = lambda why, _seconds: told.append(why)
    retry.on_recovered = back.append
    weather = Weather(FULL, FULL)
    assert retry(weather, transient_disk_error) == "done"
    assert told == ["No space left on device (a file)"] * 2
    assert len(back) == 1
    assert weather.calls == 3
    assert retry(weather, transient_disk_error) == "done"  # nothing is told where all is well
    assert len(back) == 1


def test_what_will_not_pass_is_raised_at_once() -> None:
    retry, told = Retry(), list[str]()
    retry.on_wait = lambda why, _seconds: told.append(why)
    with pytest.raises(FileNotFoundError):
        retry(Weather(FileNotFoundError(errno.ENOENT, "No such file")), transient_disk_error)
    assert told == []


def test_a_full_disk_is_seen_behind_what_a_library_made_of_it() -> None:
    """As matplotlib's PDF writer does, which stumbles while it tidies up."""

    def stumble() -> None:
        try:
            raise FULL
        finally:
            raise AttributeError("'Stream' object has no attribute 'pos'")

    with pytest.raises(AttributeError) as caught:
        stumble()
    assert transient_disk_error(caught.value) == "No space left on device (a file)"
    assert transient_disk_error(AttributeError("x")) == ""


def test_retry_gives_up() -> None:
    retry = Retry()

    def meanwhile(why: str, seconds: float) -> None:
        assert seconds >= 0
        raise RetryTimeout(why)

    retry.on_wait = meanwhile
    with pytest.raises(RetryTimeout, match="x"):
        retry(Weather(ValueError("x")), always)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LOCKED, "database is locked"),
        (IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")), ""),
        (NO_COLUMN, ""),
        (refused("SELECT a FROM u"), ""),
        (OperationalError("x", {}, psycopg2.OperationalError("could not connect to server")), "could not connect"),
        (InterfaceError("x", {}, psycopg2.InterfaceError("connection already closed")), "connection already closed"),
        (OperationalError("x", {}, OfMySQL(2013, "Lost connection to MySQL server")), "(2013, 'Lost connection"),
        (OperationalError("x", {}, OfMySQL(1054, "Unknown column 'a'")), ""),
        (OperationalError("x", {}, WithState("57P01", "terminating connection due to administrator")), "terminating"),
        (OperationalError("x", {}, WithState("53100", "could not extend file: No space left on device")), "could not"),
        (OperationalError("x", {}, WithState("42703", 'column "a" does not exist')), ""),
        (ValueError("x"), ""),
    ],
)
def test_what_a_database_says_while_it_is_away(error: Exception, expected: str) -> None:
    outer = RuntimeError("Optuna's own words")
    outer.__cause__ = error
    for raised in (error, outer):
        assert transient_database_error(raised).startswith(expected)
        assert bool(transient_database_error(raised)) == bool(expected)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MlflowException(LOCKED, TEMPORARILY_UNAVAILABLE), "MLflow at /x/mlflow.db: "),
        (MlflowException("API request to x failed with exception y"), "MLflow at /x/mlflow.db: it doesn't answer"),
        (MlflowException("no run", RESOURCE_DOES_NOT_EXIST), ""),
        (caused_by(MlflowException(NO_COLUMN, TEMPORARILY_UNAVAILABLE), NO_COLUMN), ""),
        (caused_by(MlflowException(LOCKED, TEMPORARILY_UNAVAILABLE), LOCKED), "MLflow at /x/mlflow.db: database is"),
        (requests.ConnectionError("refused"), "MLflow at /x/mlflow.db: it doesn't answer"),
        (FULL, "MLflow at /x/mlflow.db: No space left on device (a file)"),
        (ValueError("x"), ""),
    ],
)
def test_what_mlflow_says_while_it_is_away(error: Exception, expected: str) -> None:
    found = transient_mlflow_error("sqlite:////x/mlflow.db", error)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_a_password_is_not_told() -> None:
    assert "secret" not in transient_mlflow_error("postgresql://me:secret@there/db", FULL)
