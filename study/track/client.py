"""Connect to MLflow, and turn its errors while it is unavailable into one line."""

import http.client
import logging
import os
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse, urlsplit, urlunsplit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported, like the next
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, else
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # its default would block for minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # seconds

import requests
from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.version import VERSION
from sqlalchemy.exc import SQLAlchemyError

from study.errors import StudyError, without_passwords
from study.retry import first_line, transient_database_error, transient_disk_error
from study.track import database
from study.track.uri import SQLITE, Unreachable, database_path, old_files_hint, sqlite_uri

TRANSIENT = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "INTERNAL_ERROR")
"""Codes of transient errors: MLflow, or the connection to it, fails for a while."""
SAME_ROW = re.compile(r'UNIQUE constraint failed: (params|tags|experiment_tags)\b|"(param|tag|experiment_tag)_pk"')
"""How SQLite and PostgreSQL refuse a parameter or tag that another process has just inserted."""


@lru_cache(maxsize=8)
def connect(uri: str) -> MlflowClient:
    """Return a client; create a missing local database, but migrate none.

    Raises:
        StudyError: the address can't be used, or another version of MLflow made the database.
        Unreachable: MLflow doesn't answer.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs what it raises, with a traceback
    path = database_path(uri)
    scheme = urlparse(uri).scheme.partition("+")[0]  # what follows names a driver
    if path is None and scheme not in ("http", "https", "postgresql", "mysql", "mssql"):
        needed = "a sqlite:///, postgresql:// or http:// address is needed"
        raise StudyError(f"MLFLOW_TRACKING_URI={uri}: {needed}{old_files_hint(uri)}")
    with translate_errors(uri):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path) if path is not None else nullcontext():
            if scheme not in ("http", "https"):
                _check_schema(uri)
            client = MlflowClient(tracking_uri=_with_driver(uri))
            client.search_experiments(max_results=1)  # opens the database, or fails now, not in the middle of a study
    return client


@contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Turn the errors that MLflow raises in this block while it is unavailable into one line.

    Raises:
        Unreachable: MLflow doesn't answer at `uri`, now or later in the block.
        StudyError: the driver of that database isn't installed.
    """
    try:
        if uri.startswith("http"):
            _check_server(uri)
        elif database.is_readable(uri) and database_path(uri) is None:
            database.check_connection(uri)
        yield
    except ImportError as error:
        raise StudyError(f"{uri}: {error}; pip install '.[postgresql]', and write postgresql+psycopg2://") from None
    except (MlflowException, OSError, SQLAlchemyError) as error:
        reason = _reason(error) or first_line(error)
        raise Unreachable(f"MLflow can't be reached at {without_passwords(uri)}: {reason}") from None


def transient_mlflow_error(uri: str, error: Exception) -> str:
    """Return why MLflow can't be used now; "" unless the cause passes by itself or with free disk space."""
    if isinstance(error, Unreachable):
        return str(error)
    reason = _reason(error)
    return reason and f"MLflow at {database_path(uri) or without_passwords(uri)}: {reason}"


def _reason(error: Exception) -> str:
    if isinstance(error, MlflowException):
        reason = transient_database_error(error)
        if SAME_ROW.search(str(error)):
            return "another process is writing the same values"  # once they are there, equal ones are accepted
        refused = isinstance(error.__cause__, SQLAlchemyError)  # by a database, whose own errors are known
        if not reason and not refused and error.error_code in TRANSIENT:
            return "it doesn't answer" if "failed with exception" in str(error) else first_line(error)
        return reason
    if isinstance(error, requests.RequestException):
        refused = error.response is not None and error.response.status_code < 500
        return "" if refused else "it doesn't answer"
    return transient_database_error(error) or transient_disk_error(error)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process create the database while others wait: MLflow's own creation of tables isn't safe for two."""
    path = Path(f"{file}.lock")
    if file.exists() and not path.exists():
        yield
        return
    with FileLock(path):
        try:
            if not file.exists():
                _create(file)
            yield
        finally:
            path.unlink(missing_ok=True)


def _create(file: Path) -> None:
    """Create MLflow's tables in another file and rename it, since MLflow can't complete interrupted ones.

    This creates MLflow's first experiment too; MLflow itself would store the folder's name unquoted.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # takes a second, seldom needed

    new = Path(f"{file}.new")
    new.unlink(missing_ok=True)
    store = SqlAlchemyStore(_with_driver(sqlite_uri(new)), (file.parent / "mlruns").as_uri())
    store.engine.dispose()
    new.rename(file)


def _with_driver(uri: str) -> str:
    """Return a local database's address with its driver: MLflow creates the folder after sqlite:/// unquoted."""
    return uri.replace(SQLITE, "sqlite+pysqlite:///", 1)


def _check_schema(uri: str) -> None:
    """Refuse a database of another version of MLflow: MLflow would migrate some of them without a copy."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, _get_schema_version, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        version = _get_schema_version(engine)
    finally:
        engine.dispose()
    migrations = ScriptDirectory.from_config(_get_alembic_config(""))
    newest = migrations.get_current_head()
    where = database_path(uri) or uri
    if version in (None, newest):  # None: without tables so far
        return
    if version in {revision.revision for revision in migrations.walk_revisions()}:
        raise StudyError(
            f"{where} was made by an older MLflow (its tables have version {version}, MLflow {VERSION} has {newest}): "
            f"make a copy, then bring it up to date: {shlex.join(['mlflow', 'db', 'upgrade', uri])}"
        )
    raise StudyError(
        f"{where} was made by a newer MLflow (MLflow {VERSION} doesn't know version {version} of its tables), "
        "or by another program: upgrade MLflow, or set MLFLOW_TRACKING_URI to another database"
    )


def _check_server(uri: str) -> None:
    """Send a server a request: MLflow's own client would try for minutes before it reports a missing server.

    The request has no name and password: urllib would take them for a part of the host's name.

    Raises:
        OSError: the server doesn't answer.
    """
    address = urlsplit(uri)
    bare = urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2]))
    try:
        with urllib.request.urlopen(f"{bare.rstrip('/')}/health", timeout=10):
            pass
    except urllib.error.HTTPError:
        pass  # it answers, though with an error, which later calls report
    except urllib.error.URLError as error:
        raise OSError(error.reason) from None
    except (ValueError, http.client.HTTPException) as error:  # a port that is no number; an answer that isn't HTTP
        raise OSError(str(error)) from None
