"""MLflow's pages on the study's own store: start their server, and give the address of a study's view."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from study.errors import StudyError
from study.track.uri import database_path, study_folder, ui_address

PORTS = 50
"""Number of ports that are tried, from the wanted one on."""
PATIENCE = 120.0
"""Seconds within which the server must answer."""


@contextmanager
def serve_pages(uri: str, port: int) -> Iterator[tuple[str, "subprocess.Popen[bytes] | None"]]:
    """Yield the address of MLflow's pages of a store, and the process that serves them; end it with the block.

    A tracking server serves its own pages: there is no process then.

    Raises:
        StudyError: no port is free, or the server doesn't start.
    """
    if uri.startswith(("http://", "https://")):
        yield ui_address(uri), None
        return
    port = _free_port(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # Not on the command line, where everybody on this machine could read a database's password.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if (database := database_path(uri)) is not None:  # relative: MLflow makes a folder for a path with odd letters
        environment["MLFLOW_BACKEND_STORE_URI"] = f"sqlite:///{database.name}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=study_folder(uri), env=environment, start_new_session=True
        )
        try:
            if not _answers(f"http://127.0.0.1:{port}/health", process):
                log.seek(0)
                last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise StudyError(f"MLflow's pages can't be started: {last or 'no answer'}")
            yield f"http://127.0.0.1:{port}", process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it only reads, and its own children don't end with it
            process.wait()


def _free_port(first: int) -> int:
    """Return the first free port from `first` on."""
    for port in range(first, min(first + PORTS, 2**16)):
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StudyError(f"no port from {first} on is free: choose another with --port")


def _answers(address: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a server answers; return False if it ends before, or takes too long."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False
