"""Addresses of MLflow's stores and of the files beside them: MLflow's own defaults, made explicit."""

import os
import shlex
from pathlib import Path
from urllib.parse import quote, unquote, urlparse, urlsplit, urlunsplit

from study.errors import StudyError, without_passwords

SQLITE = "sqlite:///"


class Unreachable(StudyError):
    """MLflow doesn't answer; a moment later it may."""


def tracking_uri(folder: Path | None = None) -> str:
    """Return MLFLOW_TRACKING_URI, or MLflow's default of `folder` (this one) with its full path: mlflow.db.

    A relative default would follow the working folder, and would turn into the retired file store where an old `mlruns`
    is beside it.
    """
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        return sqlite_uri((folder or Path.cwd()).resolve() / "mlflow.db")
    path, (_, mark, options) = database_path(address), address.partition("?")
    return sqlite_uri(path.resolve()) + mark + options if path is not None else address


def sqlite_uri(path: Path) -> str:
    """Return the address of a local database, as SQLAlchemy's `URL` writes it, which is slow to import."""
    return SQLITE + quote(str(path), safe=" +/")


def database_path(uri: str) -> Path | None:
    """Return the file of a local database, or None for a server."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])) if uri.startswith(SQLITE) else None


def ui_address(address: str) -> str:
    """Return the address of MLflow's pages for a browser, without name and password.

    Raises:
        StudyError: it isn't an http or https address.
    """
    parts = urlsplit(without_passwords(address))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StudyError(f"'{address}': an http:// or https:// address of MLflow's pages is needed")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def study_folder(uri: str) -> Path:
    """Return the folder of a study's other files: beside its local database, else in this folder."""
    path = database_path(uri)
    return path.parent if path else Path.cwd()


def artifact_location(uri: str, experiment: str) -> str | None:
    """Return where a new experiment's artifacts go: `mlruns` beside a local database, else the server's own choice."""
    path = database_path(uri)
    return (path.parent / "mlruns" / experiment).as_uri() if path else None


def old_files_hint(uri: str) -> str:
    """Return how the files of an old MLflow beside a local database, or where an address points, become a database."""
    path = database_path(uri)
    folder = path.parent / "mlruns" if path is not None else local_path(uri) or Path(uri)
    if not any(folder.glob("*/meta.yaml")):
        return ""
    words = ["mlflow", "migrate-filestore", "--source", str(folder), "--target", "sqlite:///migrated.db"]
    return f"; {folder} is an old MLflow's store of files: `{shlex.join(words)}` makes a database of it"


def local_path(location: str) -> Path | None:
    """Return the folder that an artifact location names, or None for another kind of place."""
    parts = urlparse(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(location) if location.startswith("/") else None


def exists(path: Path) -> bool:
    """Whether a path exists and can be seen: a folder of another user may be closed."""
    try:
        return path.exists()
    except OSError:
        return False
