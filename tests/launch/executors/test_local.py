"""Processes of this machine take their modules from where the program was installed, not from the working folder."""

import os
import signal
import subprocess
import sys
from multiprocessing.context import ForkServerProcess, SpawnProcess
from pathlib import Path

import pytest

from study.launch.executors.local import FORKS, SAFE_PATH, LocalExecutor
from tests.launch.processes import wait_for
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
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
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
        worker = executor.start("cpu")
        assert os.environ.get(SAFE_PATH) == before
        worker.kill()
        worker.end(30)
        worker.connection.close()
    finally:
        executor.close()


@pytest.mark.skipif(not FORKS, reason="workers are forks on Linux alone")
def test_workers_on_a_cpu_are_forks_and_those_on_a_gpu_are_not() -> None:
    executor = LocalExecutor(threads=1)
    try:
        workers = [executor.start(device) for device in ("cpu", "cpu+cpu", "cuda:0")]
        assert [type(worker.process) for worker in workers] == [ForkServerProcess, ForkServerProcess, SpawnProcess]
        for worker in workers:
            worker.kill()
            assert worker.end(30).exit_code == -signal.SIGKILL
            worker.connection.close()
    finally:
        executor.close()


BEGIN = """
import os, signal, sys
from pathlib import Path
import psutil
from study.launch.executors import local
if __name__ == "__main__":
    local.PRELOAD = sys.argv[1:] or local.PRELOAD
    executor = local.LocalExecutor(threads=1)
    worker = executor.start("cpu")
    message = worker.connection.recv()
    others = [child.pid for child in psutil.Process().children(recursive=True)]
    print(type(worker.process).__name__, type(message).__name__, *others, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not FORKS, reason="workers are forks on Linux alone")
@pytest.mark.parametrize(("preload", "kind"), [((), "ForkServerProcess"), (("dies",), "SpawnProcess")])
def test_all_end_with_a_launcher_that_is_killed(tmp_path: Path, preload: tuple[str, ...], kind: str) -> None:
    """The server of workers too; where it has died of what it loads, workers do without it."""
    (tmp_path / "begin.py").write_text(BEGIN)
    (tmp_path / "dies.py").write_text("import os; os._exit(1)")
    path = os.pathsep.join(map(str, [tmp_path, Path(__file__).resolve().parents[3]]))
    done = subprocess.run(
        [sys.executable, tmp_path / "begin.py", *preload],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    began, said, *others = done.stdout.split()
    assert (began, said) == (kind, "Ready")
    assert len(others) >= 2
    wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in others))
