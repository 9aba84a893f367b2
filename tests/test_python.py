"""A grid that is run from a script in Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from study.errors import StudyError
from study.launch.executors.base import Hardware
from study.python import run
from study.track.frames import load_runs, load_study

GRID = '''
name: small
dataset: {name: digits, train_limit: 100, test_limit: 50}
recipe: {iterations: 2, lr: 0.05}
grid: {architecture: [plain, residual], depth: [8, 14], seed: [0, 1]}
'''
cpu = Hardware("cpu")
result = run(GRID, "grid.seed=0", hardware=cpu)
print(result)
assert load_study().provenance.words["grid"] == GRID + "# changed by --set grid.seed=0\\n"
assert len(result.runs) == 4
assert result.runs.equals(load_runs())
assert result.report("out").stat().st_size > 10_000
try:
    run(GRID, "recipe.batch_size=1")
except StudyError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_script_runs_a_grid_and_prints_its_verdict(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("Inconclusive: plain-8 and plain-14 have one seed each")
    assert last == "--set recipe.batch_size=1: 'batch_size' should be greater than or equal to 2, not 1"
