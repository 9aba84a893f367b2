"""`study run` in forks of a process that has loaded everything, each killed at a moment of its calls to databases.

A line of standard input is a moment, counted from 1 (0: none), and a folder; its answer is the exit code. What the
program said, and the moments that it came to, stand in the folder.
"""

import multiprocessing
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient
from optuna.storages import BaseStorage
from sqlalchemy import Connection, Engine, event

import study.launch.executors.local
import study.launch.run_grid
from study.cli.app import main
from study.tune.storage import RetryingStorage

LOADED = (
    "alembic.command",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna._gp.gp",
    "pyarrow.parquet",
    "scipy.stats",
    "sqlalchemy.dialects.sqlite",
    "study.cli.run",
    "study.probe",
    "study.report",
    "study.track.frames",
    "study.train",
)
"""What the program loads when it first needs it."""
READS = ("_", "get_", "search_", "list_", "download_", "check_", "read_", "is_", "tracking_uri")
"""Beginnings of the names of calls that change nothing."""


class Moments:
    """Counts the moments before and after each call that changes something, and before each commit of a change.

    One of several moments between which nothing was changed stands for all of them.
    """

    def __init__(self, file: Path, last: int) -> None:
        """Write their names to `file`; end this process at the last."""
        self._file, self._last, self._count = file, last, 0
        self._changed = True
        storage = [(RetryingStorage, name) for name in BaseStorage.__abstractmethods__]
        files = [(LocalArtifactRepository, name) for name in ("log_artifact", "log_artifacts", "delete_artifacts")]
        files.append((shutil, "rmtree"))
        for owner, name in [*((MlflowClient, name) for name in dir(MlflowClient)), *storage, *files]:
            if not name.startswith(READS) and callable(getattr(owner, name)):
                setattr(owner, name, self._counted(getattr(owner, name), name, files=(owner, name) in files))
        event.listen(Engine, "before_cursor_execute", self._executes)
        event.listen(Engine, "commit", self._commits)

    def _at(self, moment: str) -> None:
        if not self._changed:
            return
        self._changed = False
        self._count += 1
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{moment}\n")
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, call: Callable[..., Any], name: str, *, files: bool) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self._at(f"before {name}")
            result = call(*given, **named)
            self._changed |= files
            self._at(f"after {name}")
            return result

        return counted

    def _executes(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            connection.info["changed"] = statement.split()[:3]

    def _commits(self, connection: Connection) -> None:
        changed = connection.info.pop("changed", None)
        if changed:
            self._at(f"before the commit of {' '.join(changed)}")
            self._changed = True  # in a moment


def work(connection: Pipe, *given: Any) -> None:
    """Be a worker; a fork holds its launcher's end of the line as well, and wouldn't notice that it hangs up."""
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            if number != connection.fileno() and stat.S_ISSOCK(os.fstat(number).st_mode):
                os.close(number)
    WORK(connection, *given)


WORK = study.launch.executors.local.main


def begin(folder: Path, moment: int, words: list[str]) -> None:
    """Run the grid of a folder in this process."""
    os.chdir(folder)
    out = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    fork = multiprocessing.get_context("fork")
    study.launch.executors.local.main = work
    study.launch.executors.local.multiprocessing.get_context = lambda _: fork  # type: ignore[attr-defined, assignment]
    Moments(Path("moments.txt"), moment)
    sys.argv = ["study", *words]
    main()


if __name__ == "__main__":
    for module in LOADED:
        import_module(module)
    for line in sys.stdin:
        given, _, path = line.rstrip("\n").partition(" ")
        child = os.fork()
        if child == 0:
            begin(Path(path), int(given), sys.argv[1:])
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()
