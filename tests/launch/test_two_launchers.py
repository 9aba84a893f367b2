"""Several `study run` at once on one grid: they share the work, wait for each other, and take over from the dead."""

import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from study.launch.scheduler.lease import Leases
from study.track.frames import load_curves, load_runs, load_trials
from tests.launch.processes import Launcher, records, uri, wait_for

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 10, batch_size: 32, lr: tune, precision: fp32}
tune: {trials: 3, seeds: 2, low: 0.01, high: 1.0, pruner: none, confirm: 0}
grid:
  architecture: [plain]
  depth: [8]
  seed: [0, 1, 2]
"""
Start = Callable[..., Launcher]
LOOK_SECONDS = 8
WAITING = "waiting: another `study run` is at work on all that is left"

pytestmark = pytest.mark.slow


def renew_sooner(_: str) -> None:
    """Let this process look at its leases after eight seconds, not thirty."""
    Leases.__init__.__kwdefaults__["seconds"] = 4 * LOOK_SECONDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.yaml").write_text(GRID)
    return tmp_path


@pytest.fixture
def launch(folder: Path) -> Iterator[Start]:
    """Return what starts a launcher, which doesn't outlive the test."""
    launchers: list[Launcher] = []

    def start(hook: str = "") -> Launcher:
        launchers.append(Launcher(folder, f"launcher {len(launchers)}", hook=hook))
        return launchers[-1]

    yield start
    for launcher in launchers:
        launcher.kill()


@pytest.fixture(scope="module")
def undisturbed(left_alone: Callable[[str], Path]) -> Path:
    """The same grid, run by one launcher alone."""
    return left_alone(GRID)


def check_whole(folder: Path, undisturbed: Path) -> pd.DataFrame:
    """Everything is there once, as if it had been left alone, and nothing is left RUNNING; return the trials."""
    runs = load_runs("g", uri(folder))
    assert sorted(zip(runs["net"], runs["seed"], strict=True)) == [("plain-8", seed) for seed in (0, 1, 2)]
    assert runs["run_key"].is_unique
    assert (runs["status"] == "FINISHED").all()
    trials, others = load_trials("g", uri(folder)), load_trials("g", uri(undisturbed))
    columns = ["net", "number", "seed", "lr", "value", "state", "chosen", "edge"]
    pd.testing.assert_frame_equal(trials[columns], others[columns], check_exact=True)
    curve = ["net", "seed", "step", "train_error", "train_loss", "test_error", "lr"]
    curves, expected = load_curves("g", uri(folder)), load_curves("g", uri(undisturbed))
    pd.testing.assert_frame_equal(curves[curve], expected[curve], check_exact=True)
    assert {record.status for record in records(folder)} == {"FINISHED"}
    kinds = [record.kind for record in records(folder)]
    assert (kinds.count("tuning"), kinds.count("dataset")) == (1, 1)
    assert not list((folder / "mlruns" / ".checkpoints" / "g").glob("*/checkpoint.pt"))
    with closing(sqlite3.connect(folder / "optuna.db")) as database:
        assert database.execute("SELECT key FROM study_leases").fetchall() == []
    return trials


def done_by(said: str) -> tuple[int, int]:
    """Return how many runs and trials a launcher says that it has done."""
    runs, trials = re.findall(r"(\d+) runs and (\d+) trials done", said)[-1]
    return int(runs), int(trials)


def test_a_study_whose_trials_have_seeds(undisturbed: Path) -> None:
    """Two rows a trial number, and a value that is their mean decides."""
    trials = load_trials("g", uri(undisturbed))
    for _, search in trials.groupby("net"):
        assert list(search["number"]) == [number for number in range(len(search) // 2) for _ in range(2)]
        assert list(search["seed"]) == [1000, 1001] * (len(search) // 2)
        assert search.groupby("number")["lr"].nunique().eq(1).all()
        means = search.groupby("lr")["value"].mean()
        assert set(search.loc[search["chosen"], "lr"]) == {means.idxmin()}
        assert search["chosen"].sum() == 2


def one_at_work_and_one_waiting(launch: Start, hook: str = "") -> tuple[Launcher, Launcher]:
    """Begin two on one net: its search can be done by one of them only."""
    launchers = [launch(hook), launch(hook)]
    wait_for(lambda: any(launcher.says(WAITING) or launcher.process.poll() is not None for launcher in launchers))
    at_work, waiting = sorted(launchers, key=lambda launcher: launcher.says(WAITING))
    waiting.until_it_says(WAITING)
    at_work.until_it_says("trial 0")
    assert at_work.process.poll() is None, "too quick for this test"
    return at_work, waiting


def test_a_second_waits_and_takes_over_when_the_first_is_killed(folder: Path, undisturbed: Path, launch: Start) -> None:
    """With one search left, there is nothing for the second to do until then."""
    first, second = one_at_work_and_one_waiting(launch)
    suspend(folder, first)  # so that it is killed in the middle of a trial
    first.kill()
    said = second.end()
    assert done_by(said)[0] == 3
    assert said.count(WAITING) == 1  # once, and not at every look
    trials = check_whole(folder, undisturbed)
    assert done_by(said)[1] < len(trials)  # what the first had done stands


def test_a_second_waits_for_a_first_that_lives(folder: Path, undisturbed: Path, launch: Start) -> None:
    """And ends when all is done; it has helped with the runs, or there was nothing left for it."""
    first, second = one_at_work_and_one_waiting(launch)
    said = [first.end(), second.end()]
    trials = check_whole(folder, undisturbed)
    assert [done_by(text)[1] for text in said] == [len(trials), 0]
    assert sum(done_by(text)[0] for text in said) == 3


def in_a_trial(folder: Path) -> bool:
    return any(record.kind == "trial" and record.status == "RUNNING" for record in records(folder))


@pytest.mark.skipif(sys.platform != "linux", reason="needs forks")
def test_one_that_was_suspended_leaves_what_was_taken_over(folder: Path, undisturbed: Path, launch: Start) -> None:
    """A laptop that sleeps, a stopped job: its leases run out, another does the work, it wakes up and ends well."""
    first, second = one_at_work_and_one_waiting(launch, "tests.launch.test_two_launchers:renew_sooner")
    suspend(folder, first)
    stopped = time.monotonic()
    with closing(sqlite3.connect(folder / "optuna.db", timeout=60)) as database, database:
        database.execute("UPDATE study_leases SET until = 0")  # as if two minutes had gone by
    said = second.end()
    assert done_by(said)[0] == 3
    time.sleep(max(0.0, stopped + LOOK_SECONDS + 1 - time.monotonic()))
    first.process.send_signal(signal.SIGCONT)
    said = first.end()
    assert "left to another `study run`, which took it over" in said
    assert done_by(said)[0] == 0
    check_whole(folder, undisturbed)


def suspend(folder: Path, launcher: Launcher) -> None:
    """Stop a launcher's process, in a trial and at a moment at which it locks no database."""
    wait_for(lambda: in_a_trial(folder))
    for _ in range(20):
        launcher.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        if not is_locked(folder) and in_a_trial(folder):
            return
        launcher.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
    pytest.fail("it always locks a database, or is between two trials")


def is_locked(folder: Path) -> bool:
    try:
        for name in ("mlflow.db", "optuna.db"):
            with closing(sqlite3.connect(folder / name, timeout=0.5)) as database:
                database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    return False
