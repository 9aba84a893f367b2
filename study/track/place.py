"""Where a study's runs lie: MLflow's own defaults, made explicit, and put right where a study's folder was moved."""

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

from study.errors import StudyError, without_passwords

SQLITE = "sqlite:///"


class Unreachable(StudyError):
    """MLflow doesn't answer; a moment later it may."""


def tracking_uri(folder: Path | None = None) -> str:
    """Return MLFLOW_TRACKING_URI, or MLflow's default of `folder` (this one) with its full path: mlflow.db.

    A relative default would follow the working folder, and turns into the retired file store where an old `mlruns`
    lies beside it.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return sqlite_address((folder or Path.cwd()).resolve() / "mlflow.db")
    path, (_, mark, options) = database_path(given), given.partition("?")
    return sqlite_address(path.resolve()) + mark + options if path is not None else given


def sqlite_address(path: Path) -> str:
    """Return the address of a local database, as SQLAlchemy's `URL` writes it, which is slow to import."""
    return SQLITE + quote(str(path), safe=" +/")


def database_path(uri: str) -> Path | None:
    """Return the file of a local database, or None for a server."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])) if uri.startswith(SQLITE) else None


def pages(uri: str) -> str:
    """Return what shows MLflow's pages: the address of a server, or the command that works in this folder.

    Without an option, `mlflow ui` shows `mlflow.db` of this folder, but where a file store of an older MLflow lies
    beside it, or another store is set.
    """
    path = database_path(uri)
    if path is None and urlparse(uri).scheme in ("http", "https"):
        return without_passwords(uri)
    here = path == Path.cwd() / "mlflow.db"
    if here and "MLFLOW_BACKEND_STORE_URI" not in os.environ and not any(Path("mlruns").glob("[0-9]*/meta.yaml")):
        return "mlflow ui"
    address = f"{SQLITE}mlflow.db" if here else without_passwords(uri)
    return shlex.join(["mlflow", "ui", "--backend-store-uri", address])


def study_folder(uri: str) -> Path:
    """Return where a study's other files lie: beside its local database, else in this folder."""
    path = database_path(uri)
    return path.parent if path else Path.cwd()


def artifact_location(uri: str, experiment: str) -> str | None:
    """Return where a new experiment's artifacts go: `mlruns` beside a local database, else the server's own choice."""
    path = database_path(uri)
    return (path.parent / "mlruns" / experiment).as_uri() if path else None


def repair_moved(uri: str) -> None:
    """Put artifact paths right in the local database of a study that was moved or copied: MLflow stores them in full.

    `mlruns` beside the database holds the files of a study that the database holds, whatever path is stored: that of
    the folder it was copied from would be written to, that of the folder it was moved from would be made anew. The path
    of another program's experiment is replaced only where it is gone, or its folder is found in that `mlruns` as well.
    """
    database_file = database_path(uri)
    if database_file is None or not database_file.exists():
        return
    with closing(sqlite3.connect(database_file, timeout=20)) as database:
        rows = database.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
        moved = [
            (experiment, old, new)
            for experiment, name, old in rows
            if (new := _beside(database_file.parent / "mlruns", str(name), str(old)))
        ]
        if not moved or not os.access(database_file, os.W_OK):  # a copy that may only be read
            return
        for experiment, old, new in moved:
            database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment))
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (new, len(old) + 1, experiment, len(old), old),
            )
        database.commit()


def local_path(location: str) -> Path | None:
    """Return the folder that an artifact location names, or None for another kind of place."""
    parts = urlparse(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(location) if location.startswith("/") else None


def exists(path: Path) -> bool:
    """Whether something is there, as far as can be seen: another user's folder may be closed to us."""
    try:
        return path.exists()
    except OSError:
        return False


def _beside(mlruns: Path, name: str, location: str) -> str:
    """Return where the files of an experiment lie that `location` says to be elsewhere; nothing where it is right."""
    path = local_path(location)
    if path is None or path.is_relative_to(mlruns) or "mlruns" not in path.parts:
        return ""
    own = Path("mlruns", name).parts
    is_study = path.parts[-len(own) :] == own
    depth = len(own) - 1 if is_study else path.parts[::-1].index("mlruns")
    here = mlruns.joinpath(*path.parts[len(path.parts) - depth :])
    if exists(here) and exists(path) and here.samefile(path):
        return ""
    return here.as_uri() if is_study or exists(here) or not exists(path) else ""
