"""Direct SQL on MLflow's tables, where they are in a local file or in PostgreSQL.

MLflow takes two seconds to import and makes an object of each run, tag and value. This module reads the tables behind
its `search_experiments`, `search_runs` and `get_metric_history`, and writes none of their rows except the paths of a
study that was moved (`repair_moved`).

Versions: the tables of MLflow 3.12, the oldest that pyproject.toml allows, to 3.17. Where a table or column is missing,
`UnreadableError` is raised and `find` asks MLflow's client instead.
"""

import math
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from study.track import tags as tag
from study.track.uri import database_path, exists, local_path

Value = TypeVar("Value")
Query = Callable[..., Iterable[Any]]
"""Runs a SELECT with ? for each value of the second argument; returns its rows."""
IDS_PER_QUERY = 500
RUNS_PER_QUERY, VALUES_PER_FETCH = 100, 10_000
"""Runs per query of `metric_values`, and rows fetched at a time."""
TAGS = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({})"
PARAMS = "SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({})"
METRICS = "SELECT run_uuid, key, CASE WHEN is_nan THEN NULL ELSE value END FROM latest_metrics WHERE run_uuid IN ({})"
DIGESTS = (
    "SELECT destination_id, digest FROM inputs JOIN datasets ON dataset_uuid = source_id"
    " WHERE source_type = 'DATASET' AND destination_type = 'RUN' AND destination_id IN ({})"
)
"""What is read of the runs that a subquery chooses."""


@dataclass(frozen=True)
class StoredRun:
    """A run of any kind in plain values: parameters, tags, and the last value of each metric."""

    run_id: str
    name: str
    status: str
    """MLflow's status: RUNNING, FINISHED, FAILED or KILLED."""
    start_time: int
    """Start in milliseconds since 1970."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    digest: str = ""
    """Of the data set that it is linked to."""

    @property
    def kind(self) -> str:
        """`run`, `tuning`, `trial` or `dataset`; empty where it has no such tag."""
        return self.tags.get(tag.KIND, "")

    @property
    def key(self) -> str:
        """The key that identifies the run within its study; empty where it has none."""
        return self.tags.get(tag.KEY, "")

    @property
    def outcome(self) -> str:
        """How the run ended, or `running`."""
        return self.tags.get(tag.OUTCOME, "running")


class UnreadableError(Exception):
    """A database that can't be read, or whose tables aren't those of a known version of MLflow."""


def is_readable(uri: str) -> bool:
    """Whether this module reads the kind of database that an address names."""
    return database_path(uri) is not None or uri.startswith(("postgresql:", "postgresql+"))


def check_connection(uri: str) -> None:
    """Open a connection to a server: MLflow's own client would try for an hour before it reports a missing one.

    Raises:
        SQLAlchemyError: the server doesn't answer.
        ImportError: its driver isn't installed.
    """
    _engine(uri).connect().close()


def studies(uri: str) -> list[str]:
    """Return the experiments that hold a study's runs, the newest first.

    All readers of this module raise `UnreadableError`.
    """
    return experiments(
        uri,
        " AND EXISTS ("
        " SELECT 1 FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE r.experiment_id = e.experiment_id"
        f" AND r.lifecycle_stage = 'active' AND t.key = '{tag.KIND}' AND t.value = 'run')",
    )


def experiments(uri: str, condition: str = "") -> list[str]:
    """Return the experiments that aren't deleted and meet a condition in SQL, the newest first."""
    order = "ORDER BY COALESCE(last_update_time, 0) DESC, experiment_id"
    return _column(uri, f"SELECT name FROM experiments e WHERE lifecycle_stage = 'active'{condition} {order}")


def experiment_id(uri: str, name: str) -> str | None:
    """Return the id of an experiment, deleted or not, or None."""
    return next(iter(_column(uri, "SELECT experiment_id FROM experiments WHERE name = ?", name)), None)


def experiment_tags(uri: str, experiment: str) -> dict[str, str]:
    """Return the tags of an experiment that is given by its id."""
    with _connected(uri) as query:
        rows = query("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (int(experiment),))
        return {str(key): str(value) for key, value in rows}


def artifact_uris(uri: str, experiment: str) -> list[str]:
    """Return where the files of an experiment's finished runs of nets are."""
    sql = (
        "SELECT artifact_uri FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE experiment_id = ?"
        f" AND status = 'FINISHED' AND lifecycle_stage = 'active' AND t.key = '{tag.KIND}' AND t.value = 'run'"
    )
    return _column(uri, sql, int(experiment))


def runs(
    uri: str, experiment: str, kind: str | None = None, *, ids: Sequence[str] = (), tags_only: bool = False
) -> list[StoredRun]:
    """Return the runs of an experiment, given by its id, the newest first; of one kind, or with one of `ids`, or all.

    With `tags_only`, only this program's tags are read, and no parameter, metric or data set.
    """
    chosen = "SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    values: tuple[Any, ...] = (int(experiment),)
    if ids:
        chosen += f" AND run_uuid IN ({_marks(ids)})"
        values += tuple(ids)
    if kind is not None:
        chosen += f" AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = '{tag.KIND}' AND value = ?)"
        values += (kind,)
    sql = f"SELECT run_uuid, name, status, start_time FROM runs WHERE run_uuid IN ({chosen})"
    params: dict[str, dict[str, str]] = {}
    metrics: dict[str, dict[str, float]] = {}
    digests: dict[str, str] = {}
    with _connected(uri) as query:
        rows = list(query(f"{sql} ORDER BY start_time DESC, run_uuid", values))
        if not rows:
            return []
        own = " AND substr(key, 1, 6) = 'study.'" if tags_only else ""
        tags = _by_run(query(TAGS.format(chosen) + own, values), str)
        if not tags_only:
            params = _by_run(query(PARAMS.format(chosen), values), str)
            metrics = _by_run(query(METRICS.format(chosen), values), lambda x: math.nan if x is None else float(x))
            digests = {run: str(digest) for run, digest in query(DIGESTS.format(chosen), values)}
    return [
        StoredRun(
            run_id=run,
            name=str(name or ""),
            status=str(status),
            start_time=int(start or 0),
            tags=tags.get(run, {}),
            params=params.get(run, {}),
            metrics=metrics.get(run, {}),
            digest=digests.get(run, ""),
        )
        for run, name, status, start in rows
    ]


def new_keys(uri: str, experiment: str, known: Collection[str]) -> dict[str, str]:
    """Return the keys of those runs of an experiment, deleted ones too, that aren't `known`; "" where one has none.

    Runs are counted first, which is enough while nothing is new: counting ten thousand takes a millisecond, reading
    their keys thirty. The new runs are usually the newest; otherwise all runs are searched.
    """
    with _connected(uri) as query:
        ((number,),) = query("SELECT count(*) FROM runs WHERE experiment_id = ?", (int(experiment),))
        missing = int(number) - len(known)
        if missing == 0:
            return {}
        sql = "SELECT run_uuid FROM runs WHERE experiment_id = ?"
        newest = query(f"{sql} ORDER BY start_time DESC LIMIT ?", (int(experiment), max(0, missing) + IDS_PER_QUERY))
        new = [str(run) for (run,) in newest if run not in known]
        if len(new) != missing:
            new = [str(run) for (run,) in query(sql, (int(experiment),)) if run not in known]
        keys = dict.fromkeys(new, "")
        for start in range(0, len(new), IDS_PER_QUERY):
            ids = new[start : start + IDS_PER_QUERY]
            sql = f"SELECT run_uuid, value FROM tags WHERE key = '{tag.KEY}' AND run_uuid IN ({_marks(ids)})"
            keys.update((str(run), str(key)) for run, key in query(sql, tuple(ids)))
    return keys


def metric_values(connection: Any, run_ids: Sequence[str], key: str) -> Iterator[Sequence[Any]]:
    """Yield, in parts, rows (run id, step, time in ms, value, is NaN) of a metric from SQLAlchemy's `connection`.

    The connection is that of MLflow's own store, so that any database of MLflow's works.
    """
    from mlflow.store.tracking.dbmodels.models import SqlMetric as M
    from sqlalchemy import select

    columns = select(M.run_uuid, M.step, M.timestamp, M.value, M.is_nan)
    for start in range(0, len(run_ids), RUNS_PER_QUERY):
        ids = run_ids[start : start + RUNS_PER_QUERY]
        with connection.execute(columns.where(M.key == key, M.run_uuid.in_(ids))) as result:
            # Straight from the driver: SQLAlchemy's rows cost as much again as all else.
            while rows := result.cursor.fetchmany(VALUES_PER_FETCH):
                yield rows


def repair_moved(uri: str) -> None:
    """Correct artifact paths in the local database of a study that was moved or copied: MLflow stores absolute ones.

    `mlruns` beside the database holds the files of the database's studies, so it replaces the stored path: otherwise
    files would go to the folder that was copied, or a folder that was moved away would be created again. The path of
    another program's experiment is replaced only if it is gone, or if its folder is in that `mlruns` too.
    """
    file = database_path(uri)
    if file is None or not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=20)) as database:
        rows = database.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
        moved = [
            (experiment, old, new)
            for experiment, name, old in rows
            if (new := _moved_to(file.parent / "mlruns", str(name), str(old)))
        ]
        if not moved or not os.access(file, os.W_OK):  # a read-only copy
            return
        for experiment, old, new in moved:
            database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment))
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (new, len(old) + 1, experiment, len(old), old),
            )
        database.commit()


def _moved_to(mlruns: Path, name: str, location: str) -> str:
    """Return where the files of an experiment are if not at `location`; empty where that is right."""
    path = local_path(location)
    if path is None or path.is_relative_to(mlruns) or "mlruns" not in path.parts:
        return ""
    usual = Path("mlruns", name).parts
    is_study = path.parts[-len(usual) :] == usual
    depth = len(usual) - 1 if is_study else path.parts[::-1].index("mlruns")
    moved = mlruns.joinpath(*path.parts[len(path.parts) - depth :])
    if exists(moved) and exists(path) and moved.samefile(path):
        return ""
    return moved.as_uri() if is_study or exists(moved) or not exists(path) else ""


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _column(uri: str, sql: str, *values: Any) -> list[str]:
    """Return the only column of a query's rows."""
    with _connected(uri) as query:
        return [str(value) for (value,) in query(sql, values)]


def _by_run(rows: Iterable[Any], convert: Callable[[Any], Value]) -> dict[str, dict[str, Value]]:
    """Return the values of rows (run id, key, value) by run and key."""
    by_run: dict[str, dict[str, Value]] = defaultdict(dict)
    for run, key, value in rows:
        by_run[run][key] = convert(value)
    return by_run


@contextmanager
def _connected(uri: str) -> Iterator[Query]:
    """Yield a function that runs queries, all of which see one state of the database."""
    path = database_path(uri)
    with _local(path) if path is not None else _server(uri) as query:
        yield query


@contextmanager
def _local(path: Path) -> Iterator[Query]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=20)) as database:
            database.execute("BEGIN")
            yield database.execute
    except sqlite3.Error as error:
        raise UnreadableError(str(error)) from error


@contextmanager
def _server(uri: str) -> Iterator[Query]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _engine(uri).connect() as connection:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

            def query(sql: str, values: tuple[Any, ...] = ()) -> Iterable[Any]:
                # Straight from the driver: SQLAlchemy's rows cost as much again as all else.
                rows: list[Any] = connection.exec_driver_sql(sql.replace("?", "%s"), values).cursor.fetchall()
                return rows

            yield query
    except (SQLAlchemyError, ImportError) as error:  # the latter where the driver isn't installed
        raise UnreadableError(str(error)) from error


@lru_cache(maxsize=4)
def _engine(uri: str) -> Any:
    """Return a server's connection pool of one: a new connection costs as much as ten queries."""
    from sqlalchemy import create_engine

    return create_engine(uri, pool_size=1, pool_pre_ping=True)
