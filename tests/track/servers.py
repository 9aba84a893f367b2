"""MLflow's own tracking server, on this machine, which can be stopped and started again, and a guard before it."""

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType


class Server:
    """A server of the database `mlflow.db` in a folder; artifacts go through it, to `served` beside it."""

    def __init__(self, folder: Path, words: Sequence[str] | None = None) -> None:
        """Choose a port; entering the block starts it. `words` are other options than those, but for host and port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._folder = folder
        if words is None:
            words = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
            words += ["--artifacts-destination", str(folder / "served")]
        place = ["--port", str(port), "--host", "127.0.0.1", "--workers", "1"]
        self._command = [sys.executable, "-m", "mlflow", "server", *words, *place]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # else it loads itself five times
                start_new_session=True,
            )
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert self._process.poll() is None, (self._folder / "server.log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Guarded:
    """What lets only one user through to a server, by basic authentication, as a proxy before MLflow does."""

    def __init__(self, behind: str, user: str, password: str) -> None:
        """Listen on a free port; entering the block starts it."""
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.refused = 0
        guard = self

        class Handler(BaseHTTPRequestHandler):
            def forward(self) -> None:
                if self.path != "/health" and self.headers["Authorization"] != wanted:
                    guard.refused += 1
                    self.send_error(401)
                    return
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)) or None
                kept = {name: value for name, value in self.headers.items() if name in ("Content-Type",)}
                request = urllib.request.Request(behind + self.path, body, kept, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        self.answer(answer.status, answer.read(), answer.headers["Content-Type"])
                except urllib.error.HTTPError as error:
                    with error:
                        self.answer(error.code, error.read(), error.headers["Content-Type"])

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

            def answer(self, status: int, body: bytes, kind: str | None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind or "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Guarded":
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
