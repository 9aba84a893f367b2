"""Runs as jobs of a real Slurm: the same results as here, also where a job is cancelled in the middle."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.track.frames import load_runs
from tests.conftest import run_study
from tests.faults.whole import SHORT, check_whole
from tests.launch.hold import Hold
from tests.launch.processes import Launcher, uri, wait_for
from tests.launch.sabotage import shadow
from tests.launch.slurm import slurm
from tests.nets import own_nets

pytestmark = pytest.mark.slow
WORDS = ("--executor", "slurm", "--workers", "2")


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with slurm() as config:
        monkeypatch.setenv("SLURM_CONF", str(config))
        yield


def jobs() -> list[str]:
    done = subprocess.run(["squeue", "--me", "-h", "-o", "%A"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_job_is_cancelled(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    left_alone: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = left_alone(SHORT)
    (tmp_path / "g.yaml").write_text(SHORT)
    shadow(tmp_path)
    with Hold(tmp_path_factory.mktemp("hold"), monkeypatch) as hold:
        launcher = Launcher(tmp_path, "launcher", *WORDS, "--checkpoint-every", "0.3")
        hold.until_held(min(2, os.cpu_count() or 1))  # a core each
        subprocess.run(["scancel", "--signal=KILL", jobs()[0]], check=True)
        launcher.until_it_says("its worker was lost")
    launcher.end()
    assert hold.resumed
    check_whole(tmp_path, here)
    wait_for(lambda: not jobs())


def test_nets_of_ones_own_need_no_file_where_the_jobs_run(tmp_path: Path) -> None:
    own_nets.write_vanishing(tmp_path / "grids")
    done = run_study(tmp_path, "run", "--grid", "grids/g.yaml", *WORDS)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "grids" / "nets.py").exists()
    assert load_runs("g", uri(tmp_path))["outcome"].tolist() == ["finished", "finished"]


def test_what_slurm_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.yaml").write_text(SHORT)
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    done = run_study(tmp_path, "run", "--grid", "g.yaml", *WORDS)
    assert done.returncode == 2
    assert "--executor slurm" in done.stderr.splitlines()[-1]
    assert "partition" in done.stderr.splitlines()[-1]
    assert os.environ["SBATCH_PARTITION"] not in jobs()
