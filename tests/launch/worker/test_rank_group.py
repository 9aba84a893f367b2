"""Runs by a worker and the processes that it starts: what becomes of them when one of these, or the worker, dies."""

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from study.config import DatasetSpec, ProbePlan, Probes, Recipe, RunSpec
from study.data import load_dataset
from study.events import Checkpointed, Event, Finished, Started
from study.launch.worker import rank_group as ranks
from study.launch.worker.failure import Failure
from study.launch.worker.rank_group import RankDied, RankTask, run_distributed
from study.track.frames import load_runs
from study.train import CheckpointPlan
from tests.launch.processes import Launcher, uri, wait_for
from tests.train.test_run import curve

DATA = DatasetSpec(name="digits", train_limit=300, test_limit=80)
CPUS = [torch.device("cpu")] * 2


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread(one_thread: None) -> None:
    """Take sums in a worker's order."""


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests leave there, or make at the same time, is none of ours."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def make_spec(dataset: DatasetSpec = DATA, **recipe: Any) -> RunSpec:
    fields = {
        "epochs": 30,
        "batch_size": 64,
        "lr": 0.05,
        "precision": "fp32",
        "gpus_per_run": 2,
        "evaluate_every": 40,
    } | recipe
    return RunSpec(dataset=dataset, architecture="residual", depth=8, recipe=Recipe(**fields), seed=0)  # type: ignore[arg-type]


def begin(path: Path, spec: RunSpec) -> Iterator[Event]:
    plan = CheckpointPlan(path, every_seconds=0)
    return run_distributed(spec, load_dataset(DATA), CPUS, plan, threads=1, stop=lambda: False)


def followers(pid: int | None = None) -> list[psutil.Process]:
    """Return the ranks that a worker started."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if ranks.START in child.cmdline()]


def folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("study-ranks-*")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """What a run says that nothing disturbs."""
    events = list(begin(tmp_path_factory.mktemp("whole") / "c.pt", make_spec()))
    assert isinstance(events[-1], Finished)
    assert not followers()
    return events


@pytest.mark.slow
def test_a_rank_is_killed_and_the_run_goes_on_to_the_same_curve(whole: list[Event], tmp_path: Path) -> None:
    broken = begin(tmp_path / "broken.pt", make_spec())
    while next(broken) != Checkpointed(5):
        pass
    followers()[0].kill()
    with pytest.raises(RankDied, match=r"rank 1 of 2 \(cpu\) was killed by SIGKILL"):
        list(broken)
    assert not followers()
    again = list(begin(tmp_path / "broken.pt", make_spec()))
    assert isinstance(again[0], Started)
    assert again[0].device == "2 x cpu"
    assert again[0].step >= 5
    assert curve([*again[0].history, *again]) == curve(whole)
    assert folders() == set()


def test_what_breaks_another_rank_is_told(tmp_path: Path) -> None:
    missing = DatasetSpec(name="image-folder", root=str(tmp_path / "nowhere"))
    with pytest.raises(RuntimeError, match=r"rank 1 of 2 \(cpu\): DataError: .*nowhere") as caught:
        list(begin(tmp_path / "c.pt", make_spec(missing)))
    assert not isinstance(caught.value, OSError)
    assert "Traceback" in printed(caught.value)


def printed(error: BaseException) -> str:
    assert error.__cause__ is not None
    (said,) = error.__cause__.__notes__
    assert said.startswith("rank 1 of 2 (cpu) printed:\n")
    return said


def test_what_a_rank_printed_before_it_died_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "START", "import sys; print('first'); sys.exit('last words')")
    with pytest.raises(RankDied, match=r"rank 1 of 2 \(cpu\) ended with exit code 1: last words$") as caught:
        list(begin(tmp_path / "c.pt", make_spec()))
    assert "first\n" in printed(caught.value)
    assert "last words" in "".join(traceback.format_exception(caught.value))
    monkeypatch.setattr(ranks, "START", "import ctypes, faulthandler; faulthandler.enable(); ctypes.string_at(0)")
    with pytest.raises(RankDied, match=r"rank 1 of 2 \(cpu\) was killed by SIGSEGV \(a fault") as caught:
        list(begin(tmp_path / "c.pt", make_spec()))
    assert "string_at" in printed(caught.value)
    assert folders() == set()


def test_what_a_rank_printed_goes_to_the_log_of_its_worker(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    group = ranks.RankGroup([RankTask(make_spec(), tmp_path / "c.pt", "cpu", 1, 1, tmp_path)])
    group._ranks[0].task.log.write_text("a warning\n")
    group.close()
    assert capfd.readouterr().err == "rank 1 of 2 (cpu) printed:\na warning\n"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure("r", "OSError: the disk is gone", "", transient=True), RankDied),
        (Failure("r", "MemoryError", "", out_of_memory=True), MemoryError),
        (Failure("r", "ValueError: shapes", ""), RuntimeError),
        (None, RankDied),
    ],
)
def test_kinds_of_faults_stay_what_they_are(failure: Failure | None, kind: type[Exception], tmp_path: Path) -> None:
    task = RankTask(make_spec(), tmp_path / "c.pt", "cuda:1", 1, 1, tmp_path)
    error = ranks._as_error(task, 1, failure)
    assert type(error) is kind
    assert str(error).startswith("rank 1 of 2 (cuda:1)")


def test_no_other_rank_is_to_blame_for_too_little_memory() -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    unasked = object.__new__(ranks.RankGroup)  # has no processes to look at
    assert unasked.root_cause(error) is error


GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 80}
recipe: {epochs: 30, batch_size: 64, lr: 0.05, precision: fp32, gpus_per_run: 2, evaluate_every: 40}
grid: {net: resnet-8}
"""


@pytest.mark.slow
def test_a_study_whose_ranks_die_comes_to_the_same_end(whole: list[Event], tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    launcher = Launcher(tmp_path, "said", "--checkpoint-every", "0.1", "--device", "cpu")
    try:
        wait_for(lambda: list((tmp_path / "mlruns").rglob("checkpoint.pt")))
        followers(launcher.process.pid)[0].kill()
        said = launcher.end()
    finally:
        launcher.kill_all()
    assert (
        "RankDied: rank 1 of 2 (cpu) was killed by SIGKILL (out of memory?); it goes on from its last checkpoint"
        in said
    )
    (row,) = load_runs("g", uri(tmp_path)).to_dict("records")
    assert row["status"] == "FINISHED"
    assert isinstance(whole[-1], Finished)
    assert row["final_train_loss"] == whole[-1].final_train_loss
    assert row["final_test_loss"] == whole[-1].final_test_loss


WORKER = """
import sys
from pathlib import Path
from tests.launch.worker.test_rank_group import begin, make_spec
for event in begin(Path(sys.argv[1]), make_spec(epochs=10000)):
    print(type(event).__name__, flush=True)
"""


@pytest.mark.slow
def test_no_rank_outlives_its_worker(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path / "c.pt")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "Started\n"
    (rank,) = followers(worker.pid)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    wait_for(lambda: not rank.is_running(), 10)
    assert folders() == set()


def test_what_a_rank_is_told_is_what_it_reads(tmp_path: Path) -> None:
    spec = make_spec(milestones=(0.5, 100), lr=0.1 + 0.2)
    probes = ProbePlan(probes=Probes(only={"surface": ("plain-8",)}), names=("surface",), targets=(20,))
    task = RankTask(spec, tmp_path / "ü c.pt", "cuda:1", 1, 4, tmp_path, probes)
    assert RankTask.from_line(task.to_line()) == task
    assert task.to_line().count(b"\n") == 1
