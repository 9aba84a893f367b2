"""Databases locked by somebody else, and a tracking server that is away for a while."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import run_study
from tests.faults.scale import injections
from tests.faults.test_stops import WITHIN
from tests.faults.whole import ONE_NET, check_whole
from tests.launch.processes import Launcher, records, wait_for
from tests.track.servers import Server

WORDS = ("--workers", "2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(ONE_NET)


def in_a_trial(folder: Path) -> Launcher:
    """Start the grid; return when it trains."""
    (folder / "g.yaml").write_text(ONE_NET)
    launcher = Launcher(folder, "launcher", *WORDS)
    wait_for(lambda: any(record.kind == "trial" and record.status == "RUNNING" for record in records(folder)))
    return launcher


def test_databases_locked_by_somebody_else(tmp_path: Path, undisturbed: Path) -> None:
    """Optuna's and MLflow's, one after the other, for longer than SQLite waits by itself."""
    launcher = in_a_trial(tmp_path)
    for name, called in (("optuna.db", "Optuna's storage"), ("mlflow.db", "MLflow at")):
        backs = launcher.messages.read_text().count("it is back after")
        with closing(sqlite3.connect(tmp_path / name, timeout=60, isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            launcher.until_it_says(f"waiting for {called}")
            assert "database is locked" in launcher.messages.read_text()
            database.execute("ROLLBACK")
        wait_for(lambda before=backs: launcher.messages.read_text().count("it is back after") > before)  # type: ignore[misc]
    launcher.end()
    check_whole(tmp_path, undisturbed)


def test_a_stop_while_a_database_is_locked(tmp_path: Path, undisturbed: Path) -> None:
    launcher = in_a_trial(tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        time.sleep(4)
        launcher.process.send_signal(signal.SIGTERM)
        assert launcher.process.wait(timeout=WITHIN) == 130
        database.execute("ROLLBACK")
    assert "Traceback" not in launcher.messages.read_text()
    Launcher(tmp_path, "again", *WORDS).end()
    check_whole(tmp_path, undisturbed)


def test_a_tracking_server_that_is_stopped_and_started_again(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away for seconds here, or for as many as STUDY_AWAY says: a minute, say."""
    with Server(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        launcher = in_a_trial(tmp_path)
        server.stop()
        launcher.until_it_says(f"waiting for MLflow at {server.address}: it doesn't answer")
        time.sleep(injections(5, "STUDY_AWAY"))
        server.start()
        said = launcher.end()
        assert "it is back after" in said
        check_whole(tmp_path, undisturbed)

        server.stop()
        refused = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert refused.returncode == 2
    assert [line.partition(":")[0] for line in refused.stderr.splitlines()] == ["g", "error"], refused.stderr
    assert f"MLflow can't be reached at {server.address}" in refused.stderr


def test_a_stop_while_the_server_is_away(tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        launcher = in_a_trial(tmp_path)
        server.stop()
        launcher.until_it_says("waiting for MLflow")
        os.killpg(launcher.process.pid, signal.SIGINT)
        assert launcher.process.wait(timeout=WITHIN) == 130
        said = launcher.messages.read_text()
        assert "Traceback" not in said
        assert "nothing is lost" in said
        server.start()
        Launcher(tmp_path, "again", *WORDS).end()
    check_whole(tmp_path, undisturbed)
