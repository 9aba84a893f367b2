"""Runs read straight from MLflow's database, where that is a local file.

MLflow takes two seconds to be imported, and makes an object of each run, tag and value. What is read here are the
tables behind its `search_experiments` and `search_runs`, and nothing is written.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from study.track import words
from study.track.stored import StoredRun


def studies(path: Path) -> list[str]:
    """Return the experiments that hold a study's runs, the newest first.

    Like all here it raises `sqlite3.Error` for a database that can't be read, or isn't one of the MLflow that we know.
    """
    with _opened(path) as database:
        return [str(name) for (name,) in database.execute(
            "SELECT name FROM experiments e WHERE lifecycle_stage = 'active' AND EXISTS ("
            " SELECT 1 FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE r.experiment_id = e.experiment_id"
            f" AND r.lifecycle_stage = 'active' AND t.key = '{words.KIND}' AND t.value = 'run')"
            " ORDER BY last_update_time DESC, experiment_id"
        )]  # fmt: skip


def experiment_id(path: Path, name: str) -> str | None:
    """Return the id of an experiment, deleted or not, or None."""
    with _opened(path) as database:
        found = database.execute("SELECT experiment_id FROM experiments WHERE name = ?", (name,)).fetchone()
    return str(found[0]) if found else None


def experiment_tags(path: Path, experiment: str) -> dict[str, str]:
    """Return the tags of an experiment that is given by its id."""
    with _opened(path) as database:
        wanted = "SELECT key, value FROM experiment_tags WHERE experiment_id = ?"
        return dict(database.execute(wanted, (int(experiment),)))


def runs(path: Path, experiment: str, kind: str | None = None, *, tags_alone: bool = False) -> list[StoredRun]:
    """Return the runs of an experiment, given by its id, the newest first; of one kind, or all.

    With `tags_alone`, no parameter, metric or data set is read, and of the tags only ours.
    """
    chosen = "SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    asked: tuple[Any, ...] = (int(experiment),)
    if kind is not None:
        chosen += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
        asked += (words.KIND, kind)
    params: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, float]] = defaultdict(dict)
    digests: dict[str, str] = {}
    with _opened(path) as database:
        database.execute("BEGIN")  # all that follows is read at one moment
        rows = database.execute(
            f"SELECT run_uuid, name, status, start_time FROM runs WHERE run_uuid IN ({chosen})"
            " ORDER BY start_time DESC, run_uuid",
            asked,
        ).fetchall()
        tags = _pairs(database, "tags", chosen, asked, "AND key LIKE 'study.%'" if tags_alone else "")
        if not tags_alone:
            params, metrics = _pairs(database, "params", chosen, asked), _metrics(database, chosen, asked)
            digests = _digests(database, chosen, asked)
    return [
        StoredRun(run, str(name or ""), str(status), int(start or 0), tags[run], params[run], metrics[run],
                  digests.get(run, ""))
        for run, name, status, start in rows
    ]  # fmt: skip


def _pairs(
    database: sqlite3.Connection, table: str, chosen: str, asked: tuple[Any, ...], more: str = ""
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    wanted = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({chosen}) {more}"
    for run, key, value in database.execute(wanted, asked):
        found[run][key] = str(value)
    return found


def _metrics(database: sqlite3.Connection, chosen: str, asked: tuple[Any, ...]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    wanted = f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN ({chosen})"
    for run, key, value, nan in database.execute(wanted, asked):
        found[run][key] = float("nan") if nan else float(value)
    return found


def _digests(database: sqlite3.Connection, chosen: str, asked: tuple[Any, ...]) -> dict[str, str]:
    wanted = (
        "SELECT destination_id, digest FROM inputs JOIN datasets ON dataset_uuid = source_id"
        f" WHERE source_type = 'DATASET' AND destination_type = 'RUN' AND destination_id IN ({chosen})"
    )
    return {run: str(digest) for run, digest in database.execute(wanted, asked)}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=20)) as database:
        yield database
