"""Processes of this machine take their modules from where the program was installed, not from the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.launch.executors.local import SAFE_PATH, LocalExecutor
from tests.launch.sabotage import shadow

GRID = """
name: g
dataset: {name: digits, train_limit: 100, test_limit: 80}
recipe: {epochs: 1, batch_size: 64, lr: 0.05, precision: fp32, gpus_per_run: 2}
grid: {net: resnet-8}
"""
SCRIPT = """
import sys
from study.cli.app import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.slow
def test_workers_and_ranks_start_beside_a_users_own_modules(tmp_path: Path) -> None:
    """As the installed command: by a script in another folder, which is the first that modules are looked for in."""
    script, here = tmp_path / "bin" / "study", tmp_path / "here"
    for folder in (script.parent, here):
        folder.mkdir()
    script.write_text(SCRIPT)
    (here / "g.yaml").write_text(GRID)
    shadow(here)
    done = subprocess.run(
        [sys.executable, str(script), "run", "--grid", "g.yaml", "--device", "cpu"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "of the working folder" not in done.stderr
    assert "resnet-8" in done.stdout


@pytest.mark.parametrize("before", [None, "", "1"])
def test_the_launchers_own_environment_stays_as_it_was(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SAFE_PATH, raising=False)
    if before is not None:
        monkeypatch.setenv(SAFE_PATH, before)
    executor = LocalExecutor(threads=1)
    try:
        worker = executor.start(("cpu",))
        assert os.environ.get(SAFE_PATH) == before
        worker.kill()
        worker.wait(30)
        worker.connection.close()
    finally:
        executor.close()
