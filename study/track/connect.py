"""Where MLflow keeps things: its own defaults, made explicit, and put right where a study's folder was moved."""

import logging
import os
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported, like the next
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from filelock import FileLock
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from study.errors import StudyError

SQLITE = "sqlite:///"


class Unreachable(StudyError):
    """MLflow doesn't answer; a moment later it may."""


def tracking_uri(folder: Path | None = None) -> str:
    """Return MLFLOW_TRACKING_URI, or MLflow's default of `folder` (this one) with its full path: mlflow.db.

    A relative default would follow the working folder, and turns into the retired file store where an old `mlruns`
    lies beside it.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return f"{SQLITE}{Path(given.removeprefix(SQLITE)).resolve()}" if given.startswith(SQLITE) else given
    return f"{SQLITE}{(folder or Path.cwd()).resolve() / 'mlflow.db'}"


def database_path(uri: str) -> Path | None:
    """Return the file of a local database, or None for a server."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def study_folder(uri: str) -> Path:
    """Return where a study's other files lie: beside its local database, else in this folder."""
    path = database_path(uri)
    return path.parent if path else Path.cwd()


@lru_cache(maxsize=8)
def connect(uri: str) -> MlflowClient:
    """Return a client; creates or migrates a local database.

    Raises:
        StudyError: the address is of no use.
        Unreachable: nobody answers there.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    path = database_path(uri)
    if path is None and urlparse(uri).scheme not in ("http", "https", "postgresql", "mysql", "mssql"):
        raise StudyError(f"MLFLOW_TRACKING_URI={uri}: a sqlite:///, postgresql:// or http:// address is needed")
    with answering(uri):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path) if path is not None else nullcontext():
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)  # opens the database, or fails now, not in the middle of a study
    return client


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises in this block while it is away into one line.

    Raises:
        Unreachable: nobody answers at `uri`, now or in the middle of the block.
    """
    try:
        if uri.startswith("http"):
            _knock(uri)
        yield
    except (MlflowException, OSError, SQLAlchemyError) as error:
        raise Unreachable(f"MLflow can't be reached at {uri}: {_line(error)}") from None


def _line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Let one process make the database, and others wait for it: MLflow's own making of tables isn't safe for two."""
    path = Path(f"{database}.lock")
    if database.exists() and not path.exists():
        yield
        return
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def all_runs(client: MlflowClient, experiment_id: str, filter_string: str = "") -> list[Run]:
    """Return every run of an experiment that the filter lets through, the newest first."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], filter_string, max_results=5000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _knock(uri: str) -> None:
    """Ask a server for anything at all: MLflow's own client would try for minutes before it says that none is there.

    Raises:
        OSError: nobody answers.
    """
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            pass
    except urllib.error.HTTPError:
        pass  # an answer, if not a friendly one: what follows will tell
    except urllib.error.URLError as error:
        raise OSError(error.reason) from None


def artifact_location(uri: str, experiment: str) -> str | None:
    """Return where a new experiment's artifacts go: `mlruns` beside a local database, else the server's own choice."""
    path = database_path(uri)
    return (path.parent / "mlruns" / experiment).as_uri() if path else None


def repair_moved(uri: str) -> None:
    """Put a moved study's artifact paths right in its local database: MLflow stores them in full, and moves none.

    A path that is gone is replaced where the same folder is found in `mlruns` beside the database.
    """
    database_file = database_path(uri)
    if database_file is None or not database_file.exists():
        return
    with closing(sqlite3.connect(database_file, timeout=20)) as database:
        rows = database.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        for experiment, location in rows:
            path = Path(urlparse(str(location)).path) if str(location).startswith(("file:", "/")) else None
            if path is None or path.exists() or "mlruns" not in path.parts:
                continue
            inside = path.parts[len(path.parts) - path.parts[::-1].index("mlruns") :]
            here = database_file.parent.joinpath("mlruns", *inside)
            if here.exists():
                old, new = str(location), here.as_uri()
                database.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment)
                )
                database.execute(
                    "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                    "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                    (new, len(old) + 1, experiment, len(old), old),
                )
        database.commit()
