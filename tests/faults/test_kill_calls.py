"""SIGKILL of the launcher before and after each call that changes MLflow or Optuna, and in the middle of each."""

import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.whole import check_whole
from tests.forks import start

GRID = """
name: g
dataset: {name: digits, train_limit: 60, test_limit: 30}
recipe: {epochs: 2, batch_size: 30, lr: tune, precision: fp32}
tune: {trials: 3, shared: 2, low: 0.01, high: 0.1, pruner: halving}
grid: {net: plain-8, seed: [0]}
"""
FEW = 6
"""Moments that are tried by default; all of them with STUDY_KILL_CALLS=all."""
WORDS = ("run", "--grid", "g.yaml", "--workers", "1")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs forks")]


def run(folder: Path, moment: int) -> int:
    """Run the grid of a folder until it is killed at a moment (0: to its end); return the exit code."""
    with (folder / "said.txt").open("w") as said:
        process = start(
            WORDS,
            hook=f"tests.faults.moments:count {moment}",
            cwd=folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        return process.wait()


def test_killed_at_each_call_and_started_again(
    tmp_path: Path,
    database: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """The same runs and trials are done once, and no point or figure is logged twice."""
    made = Path(database.removeprefix("sqlite:///"))

    def folder(name: str) -> Path:
        new = tmp_path / name
        new.mkdir()
        shutil.copy(made, new / "mlflow.db")  # how that is made is another test's business
        (new / "g.yaml").write_text(GRID)
        return new

    undisturbed = folder("undisturbed")
    assert run(undisturbed, 0) == 0, (undisturbed / "said.txt").read_text()
    check_whole(undisturbed, undisturbed)
    moments = (undisturbed / "moments.txt").read_text().splitlines()
    asked = os.environ.get("STUDY_KILL_CALLS") or str(FEW)
    every = range(1, len(moments) + 1)
    for moment in every if asked == "all" else sorted(random.Random(asked).sample(every, int(asked))):
        disturbed = folder(f"{moment}")
        try:
            code = run(disturbed, moment)
            come_to = len((disturbed / "moments.txt").read_text().splitlines())
            assert code == -9 or (code == 0 and come_to < moment)  # a slow machine logs points more often
            assert run(disturbed, 0) == 0
            check_whole(disturbed, undisturbed)
        except Exception as error:
            where = f"killed at {moment} of {len(moments)}: {moments[moment - 1]}"
            error.add_note(f"{where}\n{(disturbed / 'said.txt').read_text()}")
            raise
        shutil.rmtree(disturbed)
    record_testsuite_property("moments of calls", len(moments))  # for --junitxml
