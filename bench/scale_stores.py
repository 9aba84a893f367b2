"""Where made-up runs are logged: a file, PostgreSQL, or MLflow's own server on PostgreSQL; and how much is there."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import create_engine, text

ROOT = Path(__file__).resolve().parents[1]


class Place(NamedTuple):
    """Where MLflow is asked, where its tables lie, and where the leases are."""

    tracking: str
    tables: str
    storage: str
    server: psutil.Process | None = None


@contextmanager
def opened(store: str, folder: Path, workers: int, *, durable: bool) -> Iterator[Place]:
    """Start what a store needs, for this block: `workers` processes of a server, PostgreSQL `durable` or not."""
    if store == "sqlite":
        tables = f"sqlite:///{folder / 'mlflow.db'}"
        yield Place(tables, tables, f"sqlite:///{folder / 'optuna.db'}")
        return
    sys.path.insert(0, str(ROOT))  # the tests know how to start PostgreSQL
    from tests.postgres import postgres

    with postgres(durable=durable) as tables:
        if store == "postgresql":
            yield Place(tables, tables, tables)
            return
        with _server(tables, folder, workers) as (address, process):
            yield Place(address, tables, tables, process)


@contextmanager
def _server(tables: str, folder: Path, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--backend-store-uri", tables, "--artifacts-destination", str(folder / "served")]
    words += ["--workers", str(workers), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words], cwd=folder, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process)
        yield address, psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                raise SystemExit("mlflow server ended before it began") from None
            time.sleep(0.5)
        else:
            return


class Contents(NamedTuple):
    """What lies in a store."""

    database_bytes: int
    metric_values: int
    finished: int


def contents(place: Place) -> Contents:
    """Measure the tables of a store."""
    engine = create_engine(place.tables)
    with engine.connect() as database:
        if place.tables.startswith("sqlite"):
            size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        else:
            size = "SELECT pg_database_size(current_database())"
        values, done = "SELECT count(*) FROM metrics", "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
        found = Contents(*(int(database.execute(text(asked)).scalar_one()) for asked in (size, values, done)))
    engine.dispose()
    return found


def artifact_bytes(folder: Path) -> int:
    """Return the size of all artifacts that were logged from a folder, or through a server to it."""
    places = [folder / name for name in ("mlruns", "mlartifacts", "served")]
    return sum(file.stat().st_size for place in places for file in place.rglob("*") if file.is_file())


def processor_seconds(process: psutil.Process | None) -> float:
    """Return what a server and its children have used of a processor so far."""
    if process is None:
        return 0.0
    used = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
    return float(sum(times.user + times.system for times in used))
