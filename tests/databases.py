"""SQLite databases that take tests no time: MLflow's tables as a copy, and no wait for the disk at a commit."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Engine, NullPool, create_engine, event


def copy_tables(path: Path) -> None:
    """Let this process copy MLflow's tables from `path`; its migrations, which take seconds, make them there once."""
    from mlflow.store.db import utils

    make = utils._initialize_tables
    with FileLock(f"{path}.lock"):
        if not path.exists():
            new = path.with_suffix(".new")
            make(create_engine(f"sqlite:///{new}", poolclass=NullPool))
            new.rename(path)
    made = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(sqlite3.connect(path)) as file:
        file.backup(made)

    def copy(engine: Engine) -> None:
        if engine.dialect.name != "sqlite":
            make(engine)
            return
        with closing(engine.raw_connection()) as connection, suppress(sqlite3.OperationalError):
            made.backup(connection.driver_connection)
            return
        make(engine)  # where a copy fails, on a full disk say, the program meets what MLflow raises

    utils._initialize_tables = copy


@event.listens_for(Engine, "connect")
def _leave_the_disk_to_the_system(connection: object, _record: object) -> None:
    """Survive the death of every process, as before, but not that of the machine."""
    if isinstance(connection, sqlite3.Connection):
        (wait,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout = 0")
        with suppress(sqlite3.Error):  # locked, or no database: what follows will meet that
            connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA busy_timeout = {wait}")
