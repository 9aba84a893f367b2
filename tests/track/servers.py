"""MLflow's own tracking server, on this machine, which can be stopped and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
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
            words = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
            words += ["--artifacts-destination", str(folder / "served")]
        place = ["--port", str(port), "--host", "127.0.0.1"]
        self._command = [sys.executable, "-m", "mlflow", "server", *words, *place]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert self._process.poll() is None, (self._folder / "server.log").read_text()
                time.sleep(0.5)

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
