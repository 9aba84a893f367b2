"""Optuna's storage, whose calls are repeated while its database is unavailable."""

import time
from abc import update_abstractmethods
from collections.abc import Callable
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from study.errors import StudyError, without_passwords
from study.retry import Retry, first_line, transient_database_error, transient_disk_error

OPENINGS = 5
"""Attempts to open the storage: launchers that begin at the same time all create its tables."""
LOCKED_SECONDS = 5.0
"""Seconds that SQLite itself waits for other writers."""


class RetryingStorage(BaseStorage):  # type: ignore[misc]  # Optuna hides its base from type checkers
    """A storage whose calls, each a transaction, are repeated while the database is locked, full or unreachable."""

    def __init__(self, url: str, retry: Retry) -> None:
        """Open the database at `url`; `retry` repeats the calls.

        Raises:
            StudyError: its tables are those of another version of Optuna.
            sqlalchemy.exc.SQLAlchemyError: it can't be opened.
        """
        local = {"connect_args": {"timeout": LOCKED_SECONDS}} if url.startswith("sqlite") else {}
        server_options = (
            {} if local else {"pool_pre_ping": True}
        )  # a server that was restarted has closed what was open
        _check_tables(url, local)
        self._storage = get_storage(
            RDBStorage(url, engine_kwargs={**local, **server_options})
        )  # with Optuna's own cache
        self._address = without_passwords(url)
        self._retry = retry

    def transient_error(self, error: Exception) -> str:
        """Return why the database can't be used at present, or "" if the error is permanent."""
        why = transient_database_error(error) or transient_disk_error(error)
        return why and f"Optuna's storage {self._address}: {why}"

    def remove_session(self) -> None:
        """Release the database's connection, as Optuna does at the end of a study."""
        self._storage.remove_session()


def _with_retries(name: str) -> Callable[..., Any]:
    def call(self: RetryingStorage, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._retry(lambda: getattr(self._storage, name)(*args, **kwargs), self.transient_error)
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = first_line(error.__cause__ or error)
            raise StudyError(f"Optuna's storage {self._address}: {reason}") from error

    call.__name__, call.__doc__ = name, getattr(BaseStorage, name).__doc__
    return call


for _name in BaseStorage.__abstractmethods__:
    setattr(RetryingStorage, _name, _with_retries(_name))
update_abstractmethods(RetryingStorage)


def open_storage(url: str, retry: Retry) -> BaseStorage:
    """Open Optuna's storage; try again if another launcher creates the same tables at this moment."""
    for attempt in range(1, OPENINGS):
        try:
            return RetryingStorage(url, retry)
        except DatabaseError:
            time.sleep(0.2 * attempt)
    return RetryingStorage(url, retry)


def _check_tables(url: str, options: dict[str, Any]) -> None:
    """Refuse tables of another version of Optuna, which would mark them as its own and fail later.

    Raises:
        StudyError: a column is missing.
    """
    engine = create_engine(url, **options)
    try:
        there = inspect(engine)
        for table in BaseModel.metadata.sorted_tables:
            if not there.has_table(table.name):
                continue
            missing = set(table.columns.keys()) - {column["name"] for column in there.get_columns(table.name)}
            if missing:
                raise StudyError(
                    f"Optuna's storage {url} has tables of another version of Optuna ('{table.name}' lacks "
                    f"'{min(missing)}'): `optuna storage upgrade --storage {url}` may bring them up to date; else move "
                    "it away, or name another with tune.storage"
                )
    finally:
        engine.dispose()
