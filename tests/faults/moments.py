"""Kills the program at a moment of its calls to databases, counted from 1."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.tracking import MlflowClient
from optuna.storages import BaseStorage
from sqlalchemy import Connection, Engine, event

from study.tune.storage import RetryingStorage

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


def count(moment: str) -> None:
    """Write the moments that this process comes to into `moments.txt`; end it at the last (0: never)."""
    Moments(Path("moments.txt"), int(moment))
