"""What is waited for, what is done meanwhile, and what isn't waited for."""

import errno
import sqlite3

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import IntegrityError, OperationalError

from study.patience import GivenUp, Patience, database_is_away, disk_is_away
from study.track.connect import is_away

LOCKED = OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))
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


def always(error: Exception) -> str:
    return str(error)


def test_nothing_is_waited_for_by_default() -> None:
    with pytest.raises(OSError, match="No space left"):
        Patience()(Weather(FULL), disk_is_away)


def test_what_will_pass_is_tried_again_and_something_else_done_meanwhile() -> None:
    patience, told, back = Patience(), list[str](), list[float]()
    patience.meanwhile = lambda why, _seconds: told.append(why)
    patience.back = back.append
    weather = Weather(FULL, FULL)
    assert patience(weather, disk_is_away) == "done"
    assert told == ["No space left on device (a file)"] * 2
    assert len(back) == 1
    assert weather.calls == 3
    assert patience(weather, disk_is_away) == "done"  # nothing is told where all is well
    assert len(back) == 1


def test_what_will_not_pass_is_raised_at_once() -> None:
    patience, told = Patience(), list[str]()
    patience.meanwhile = lambda why, _seconds: told.append(why)
    with pytest.raises(FileNotFoundError):
        patience(Weather(FileNotFoundError(errno.ENOENT, "No such file")), disk_is_away)
    assert told == []


def test_patience_has_an_end() -> None:
    patience = Patience()

    def meanwhile(why: str, seconds: float) -> None:
        assert seconds >= 0
        raise GivenUp(why)

    patience.meanwhile = meanwhile
    with pytest.raises(GivenUp, match="x"):
        patience(Weather(ValueError("x")), always)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LOCKED, "database is locked"),
        (IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")), ""),
        (ValueError("x"), ""),
    ],
)
def test_what_a_database_says_while_it_is_away(error: Exception, expected: str) -> None:
    assert database_is_away(error) == expected
    outer = RuntimeError("Optuna's own words")
    outer.__cause__ = error
    assert database_is_away(outer) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MlflowException(LOCKED, TEMPORARILY_UNAVAILABLE), "MLflow at /x/mlflow.db: "),
        (MlflowException("API request to x failed with exception y"), "MLflow at /x/mlflow.db: it doesn't answer"),
        (MlflowException("no run", RESOURCE_DOES_NOT_EXIST), ""),
        (requests.ConnectionError("refused"), "MLflow at /x/mlflow.db: it doesn't answer"),
        (FULL, "MLflow at /x/mlflow.db: No space left on device (a file)"),
        (ValueError("x"), ""),
    ],
)
def test_what_mlflow_says_while_it_is_away(error: Exception, expected: str) -> None:
    found = is_away("sqlite:////x/mlflow.db", error)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_a_password_is_not_told() -> None:
    assert "secret" not in is_away("postgresql://me:secret@there/db", FULL)
