"""Where a study's runs lie: MLflow's own defaults, made explicit, and put right where a study's folder was moved."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse

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
