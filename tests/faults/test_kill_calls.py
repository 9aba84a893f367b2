"""SIGKILL of the launcher before and after each call that it makes to MLflow and Optuna, and in the middle of each."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.whole import check_whole
from tests.launch.processes import Launcher
from tests.launch.sabotage import sabotage

GRID = """
name: g
dataset: {name: digits, train_limit: 60, test_limit: 30}
recipe: {epochs: 2, batch_size: 30, lr: tune, precision: fp32}
tune: {trials: 2, shared: 1, sampler: tpe, low: 0.01, high: 0.1, widen: 0}
grid: {net: plain-8, seed: [0]}
"""
KILL = """
import os, signal

def wrap(_module):
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.tracking import MlflowClient
    from optuna.storages import BaseStorage
    from sqlalchemy import Engine, event
    from study.tune.storage import PatientStorage

    passed, last = [], int(os.environ["KILL_AT"])
    reads = "get_", "search_", "list_", "check_", "read_", "is_", "download_", "_", "tracking_uri"

    def at(moment):
        passed.append(moment)
        with (here / "moments.txt").open("a") as file:
            file.write(moment + "\\n")
        if len(passed) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(owner, name):
        call = getattr(owner, name)
        def do(*given, **named):
            at(f"before {name}")
            result = call(*given, **named)
            at(f"after {name}")
            return result
        setattr(owner, name, do)

    storage = [(PatientStorage, name) for name in BaseStorage.__abstractmethods__]
    files = [(LocalArtifactRepository, name) for name in ("log_artifact", "log_artifacts", "delete_artifacts")]
    for owner, name in [*((MlflowClient, name) for name in dir(MlflowClient)), *storage, *files]:
        if not name.startswith(reads) and callable(getattr(owner, name)):
            counted(owner, name)

    @event.listens_for(Engine, "before_cursor_execute")
    def note(connection, cursor, statement, *_):
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            connection.info["writes"] = True

    @event.listens_for(Engine, "commit")
    def commit(connection):
        if connection.info.pop("writes", False):
            at("before a commit")
"""
FEW = 6
"""Moments that are tried by default; all of them with STUDY_KILL_CALLS=all."""
WORDS = ("--checkpoint-every", "0")

pytestmark = pytest.mark.slow
Disturb = Callable[[Path, int], list[str]]


@pytest.fixture(scope="module")
def disturb(tmp_path_factory: pytest.TempPathFactory) -> Disturb:
    """Return what runs the grid until it is killed at a moment, counted from 1, and returns those that it came to."""

    def run(folder: Path, moment: int) -> list[str]:
        hook = tmp_path_factory.mktemp("hook")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", sabotage(hook, KILL, "study.launch.run_grid", "_close_stale"))
            patch.setenv("KILL_AT", str(moment))
            (folder / "g.yaml").write_text(GRID)
            launcher = Launcher(folder, f"killed at {moment}", *WORDS)
        assert launcher.process.wait(timeout=300) == (-9 if moment else 0), launcher.messages.read_text()
        return (hook / "moments.txt").read_text().splitlines()

    return run


def test_killed_at_each_call_and_started_again(
    tmp_path: Path, disturb: Disturb, record_testsuite_property: Callable[[str, object], None]
) -> None:
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    moments = disturb(undisturbed, 0)
    check_whole(undisturbed, undisturbed)
    asked = os.environ.get("STUDY_KILL_CALLS") or str(FEW)
    every = range(1, len(moments) + 1)
    chosen = every if asked == "all" else sorted(random.Random(asked).sample(every, int(asked)))
    for moment in chosen:
        folder = tmp_path / f"{moment}"
        folder.mkdir()
        disturb(folder, moment)
        try:
            said = Launcher(folder, "again", *WORDS).end()
            check_whole(folder, undisturbed)
            assert "1 runs" in said
        except Exception as error:
            error.add_note(f"killed at {moment} of {len(moments)}: {moments[moment - 1]}")
            raise
    record_testsuite_property("kills at calls", len(chosen))  # for --junitxml
