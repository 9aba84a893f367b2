"""Optuna's storage, opened with care, each of whose calls is made again while its database is away."""

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
from study.retry import Patience, database_is_away, disk_is_away, first_line

OPENINGS = 5
"""How often the storage is opened before it counts as broken: launchers that begin at once all make its tables."""
LOCKED_SECONDS = 5.0
"""How long SQLite waits by itself for others that write."""


class PatientStorage(BaseStorage):  # type: ignore[misc]  # Optuna hides its base from type checkers
    """A storage whose calls, each a transaction, are made again while the database is locked, full or gone."""

    def __init__(self, url: str, patience: Patience) -> None:
        """Open the database at `url`; `patience` says what is done while it is away afterwards.

        Raises:
            StudyError: its tables are those of another version of Optuna.
            sqlalchemy.exc.SQLAlchemyError: it can't be opened.
        """
        local = {"connect_args": {"timeout": LOCKED_SECONDS}} if url.startswith("sqlite") else {}
        kept = {} if local else {"pool_pre_ping": True}  # a server that was restarted has closed what was open
        _check_tables(url, local)
        self._whole = get_storage(RDBStorage(url, engine_kwargs={**local, **kept}))  # with Optuna's own cache
        self._address = without_passwords(url)
        self._patience = patience

    def away(self, error: Exception) -> str:
        """Say why the database can't be used now, or nothing where the cause won't pass."""
        why = database_is_away(error) or disk_is_away(error)
        return why and f"Optuna's storage {self._address}: {why}"

    def remove_session(self) -> None:
        """Let go of the database's connection, as Optuna does at the end of a study."""
        self._whole.remove_session()


def _patiently(name: str) -> Callable[..., Any]:
    def call(self: PatientStorage, *given: Any, **named: Any) -> Any:
        try:
            return self._patience(lambda: getattr(self._whole, name)(*given, **named), self.away)
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = first_line(error.__cause__ or error)
            raise StudyError(f"Optuna's storage {self._address}: {reason}") from error

    call.__name__, call.__doc__ = name, getattr(BaseStorage, name).__doc__
    return call


for _name in BaseStorage.__abstractmethods__:
    setattr(PatientStorage, _name, _patiently(_name))
update_abstractmethods(PatientStorage)


def open_storage(url: str, patience: Patience) -> BaseStorage:
    """Open Optuna's storage, again where another launcher made the same tables at this moment."""
    for attempt in range(1, OPENINGS):
        try:
            return PatientStorage(url, patience)
        except DatabaseError:
            time.sleep(0.2 * attempt)
    return PatientStorage(url, patience)


def _check_tables(url: str, options: dict[str, Any]) -> None:
    """Refuse tables of another version of Optuna: it marks those without a version as its own, and fails later.

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
