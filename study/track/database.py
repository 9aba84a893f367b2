"""Runs read straight from MLflow's database, where that is a local file or in PostgreSQL.

MLflow takes two seconds to be imported, and makes an object of each run, tag and value. What is read here are the
tables behind its `search_experiments` and `search_runs`, and none of their rows is written.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from study.track import words
from study.track.place import database_path
from study.track.stored import StoredRun

Ask = Callable[..., Iterable[Any]]
"""From a question, with ? for each of the values that come second, to rows."""
AT_ONCE = 500
"""Runs that are asked for by their ids in one question, at most."""


class UnreadableError(Exception):
    """A database that can't be read, or isn't one of the MLflow that we know."""


def is_readable(uri: str) -> bool:
    """Whether what lies at an address is a database that is read here."""
    return database_path(uri) is not None or uri.startswith(("postgresql:", "postgresql+"))


def knock(uri: str) -> None:
    """Ask a server for a connection: MLflow's own client would try for an hour before it says that none is there.

    Raises:
        SQLAlchemyError: nobody answers.
        ImportError: its driver isn't installed.
    """
    _engine(uri).connect().close()


def studies(uri: str) -> list[str]:
    """Return the experiments that hold a study's runs, the newest first.

    Like all that reads here it raises `UnreadableError`.
    """
    with _opened(uri) as ask:
        return [str(name) for (name,) in ask(
            "SELECT name FROM experiments e WHERE lifecycle_stage = 'active' AND EXISTS ("
            " SELECT 1 FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE r.experiment_id = e.experiment_id"
            f" AND r.lifecycle_stage = 'active' AND t.key = '{words.KIND}' AND t.value = 'run')"
            " ORDER BY COALESCE(last_update_time, 0) DESC, experiment_id"
        )]  # fmt: skip


def experiment_id(uri: str, name: str) -> str | None:
    """Return the id of an experiment, deleted or not, or None."""
    with _opened(uri) as ask:
        found = list(ask("SELECT experiment_id FROM experiments WHERE name = ?", (name,)))
    return str(found[0][0]) if found else None


def experiment_tags(uri: str, experiment: str) -> dict[str, str]:
    """Return the tags of an experiment that is given by its id."""
    with _opened(uri) as ask:
        wanted = "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
        return {str(key): str(value) for key, value in ask(wanted, (int(experiment),))}


def artifact_places(uri: str, experiment: str) -> list[str]:
    """Return where the files of an experiment's finished runs of nets lie."""
    wanted = (
        "SELECT artifact_uri FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE experiment_id = ?"
        f" AND status = 'FINISHED' AND lifecycle_stage = 'active' AND t.key = '{words.KIND}' AND t.value = 'run'"
    )
    with _opened(uri) as ask:
        return [str(place) for (place,) in ask(wanted, (int(experiment),))]


def runs(
    uri: str, experiment: str, kind: str | None = None, *, ids: Sequence[str] = (), tags_alone: bool = False
) -> list[StoredRun]:
    """Return the runs of an experiment, given by its id, the newest first; of one kind, or with one of `ids`, or all.

    With `tags_alone`, no parameter, metric or data set is read, and of the tags only ours.
    """
    chosen = "SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    asked: tuple[Any, ...] = (int(experiment),)
    if ids:
        chosen += f" AND run_uuid IN ({_marks(ids)})"
        asked += tuple(ids)
    if kind is not None:
        chosen += f" AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = '{words.KIND}' AND value = ?)"
        asked += (kind,)
    params: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, float]] = defaultdict(dict)
    digests: dict[str, str] = {}
    with _opened(uri) as ask:
        rows = list(
            ask(
                f"SELECT run_uuid, name, status, start_time FROM runs WHERE run_uuid IN ({chosen})"
                " ORDER BY start_time DESC, run_uuid",
                asked,
            )
        )
        if not rows:
            return []
        tags = _pairs(ask, "tags", chosen, asked, "AND substr(key, 1, 6) = 'study.'" if tags_alone else "")
        if not tags_alone:
            params, metrics = _pairs(ask, "params", chosen, asked), _metrics(ask, chosen, asked)
            digests = _digests(ask, chosen, asked)
    return [
        StoredRun(run, str(name or ""), str(status), int(start or 0), tags[run], params[run], metrics[run],
                  digests.get(run, ""))
        for run, name, status, start in rows
    ]  # fmt: skip


def new_keys(uri: str, experiment: str, known: Collection[str]) -> dict[str, str]:
    """Return the keys of those runs of an experiment, deleted ones too, that aren't `known`; "" where one has none.

    Runs are counted first, which is all there is to do while nothing is new: to count ten thousand takes a millisecond,
    to look through their keys thirty. Those that are missing are the newest, as a rule; else all are looked through.
    """
    with _opened(uri) as ask:
        ((number,),) = ask("SELECT count(*) FROM runs WHERE experiment_id = ?", (int(experiment),))
        missing = int(number) - len(known)
        if missing == 0:
            return {}
        wanted = "SELECT run_uuid FROM runs WHERE experiment_id = ?"
        newest = ask(f"{wanted} ORDER BY start_time DESC LIMIT ?", (int(experiment), max(0, missing) + AT_ONCE))
        new = [str(run) for (run,) in newest if run not in known]
        if len(new) != missing:
            new = [str(run) for (run,) in ask(wanted, (int(experiment),)) if run not in known]
        keys = dict.fromkeys(new, "")
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            wanted = f"SELECT run_uuid, value FROM tags WHERE key = '{words.KEY}' AND run_uuid IN ({_marks(some)})"
            keys.update((str(run), str(key)) for run, key in ask(wanted, tuple(some)))
    return keys


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _pairs(ask: Ask, table: str, chosen: str, asked: tuple[Any, ...], more: str = "") -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    wanted = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({chosen}) {more}"
    for run, key, value in ask(wanted, asked):
        found[run][key] = str(value)
    return found


def _metrics(ask: Ask, chosen: str, asked: tuple[Any, ...]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    wanted = f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN ({chosen})"
    for run, key, value, nan in ask(wanted, asked):
        found[run][key] = float("nan") if nan else float(value)
    return found


def _digests(ask: Ask, chosen: str, asked: tuple[Any, ...]) -> dict[str, str]:
    wanted = (
        "SELECT destination_id, digest FROM inputs JOIN datasets ON dataset_uuid = source_id"
        f" WHERE source_type = 'DATASET' AND destination_type = 'RUN' AND destination_id IN ({chosen})"
    )
    return {run: str(digest) for run, digest in ask(wanted, asked)}


@contextmanager
def _opened(uri: str) -> Iterator[Ask]:
    """Yield what answers questions, all as of one moment."""
    path = database_path(uri)
    with _local(path) if path is not None else _server(uri) as ask:
        yield ask


@contextmanager
def _local(path: Path) -> Iterator[Ask]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=20)) as database:
            database.execute("BEGIN")
            yield database.execute
    except sqlite3.Error as error:
        raise UnreadableError(str(error)) from error


@contextmanager
def _server(uri: str) -> Iterator[Ask]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _engine(uri).connect() as connection:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

            def ask(wanted: str, asked: tuple[Any, ...] = ()) -> Iterable[Any]:
                # Straight from the driver: SQLAlchemy's rows cost as much again as all else.
                rows: list[Any] = connection.exec_driver_sql(wanted.replace("?", "%s"), asked).cursor.fetchall()
                return rows

            yield ask
    except (SQLAlchemyError, ImportError) as error:  # the latter where the driver isn't installed
        raise UnreadableError(str(error)) from error


@lru_cache(maxsize=4)
def _engine(uri: str) -> Any:
    """Return a server's connections: one is kept, since a new one costs as much as ten questions."""
    from sqlalchemy import create_engine

    return create_engine(uri, pool_size=1, pool_pre_ping=True)
