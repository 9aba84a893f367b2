"""The bench of a thousand workers, in small: the program takes a pool that is made up for a real one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "scale.py"


@pytest.mark.slow
def test_made_up_workers_bring_a_grid_to_its_end(tmp_path: Path) -> None:
    given = ["--runs", "100", "--workers", "30", "--points", "2", "--run-seconds", "60", "--checkpoint-mib", "0.01"]
    command = [sys.executable, str(BENCH), *given, "--json", str(tmp_path / "found.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["runs"], found["runs finished in MLflow"]) == (100, 101)  # the data set has a run of its own
    assert found["artifacts, bytes a run"] > 0.01 * 2**20
    assert found["metric values"] > 100 * 2 * 8
