"""A worker, in this process and as one of its own: what it does with tasks that break."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import study.train
from study.config import DatasetSpec, Recipe, RunSpec
from study.events import Finished, Interrupted
from study.launch.messages import BenchmarkResult, BenchmarkTask, Ready, RunTask, Stop, TaskEvent
from study.launch.worker.connection import LauncherConnection, LauncherGone
from study.launch.worker.failure import Failure
from study.launch.worker.process import WorkerLoop

DATA = DatasetSpec(name="digits", train_limit=200, test_limit=50)


class FakeChannel:
    """The worker's end of a connection: says what the launcher would, keeps what it is told, then hangs up."""

    def __init__(self, *said: object) -> None:
        self.said, self.heard = list(said), list[Any]()

    def poll(self) -> bool:
        return bool(self.said)

    def recv(self) -> object:
        if not self.said:
            raise EOFError
        return self.said.pop(0)

    def send(self, message: object) -> None:
        self.heard.append(message)


def run_task(task: str, folder: Path, seed: int = 0, **recipe: object) -> RunTask:
    fields = {"epochs": 2, "batch_size": 64, "lr": 0.05, "precision": "fp32"} | recipe
    spec = RunSpec(dataset=DATA, architecture="plain", depth=8, recipe=Recipe(**fields), seed=seed)  # type: ignore[arg-type]
    return RunTask(task, spec, folder / task, 100)


def serve(*said: object) -> list[Any]:
    channel = FakeChannel(*said)
    before = torch.get_num_threads()
    loop = WorkerLoop(LauncherConnection(channel), ["cpu"], before)  # type: ignore[arg-type]
    with pytest.raises(LauncherGone):
        loop.serve()
    return channel.heard


def test_cublas_is_settled_before_any_run_starts_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    serve()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_two_runs_at_once_and_a_measurement(tmp_path: Path) -> None:
    first = run_task("a", tmp_path)
    heard = serve(first, run_task("b", tmp_path, seed=1), BenchmarkTask("m", first.spec, 2))
    assert isinstance(heard[0], Ready)
    ends = [message.task for message in heard if isinstance(message, TaskEvent) and isinstance(message.event, Finished)]
    assert ends == ["a", "b"]
    assert [message.task for message in heard if isinstance(message, BenchmarkResult)] == ["m"]


def test_one_of_two_is_stopped(tmp_path: Path) -> None:
    heard = serve(run_task("a", tmp_path), run_task("b", tmp_path, seed=1), Stop("b"))
    ends = {message.task: type(message.event) for message in heard if isinstance(message, TaskEvent)}
    assert ends == {"a": Finished, "b": Interrupted}


def broken(error: Exception) -> Callable[..., Iterator[object]]:
    def course(*_: object, **__: object) -> Iterator[object]:
        raise error
        yield

    return course


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (ValueError("a bad image"), False),
    ],
)
def test_a_run_that_breaks_says_so_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, memory: bool
) -> None:
    real, calls = study.train.run_steps, []

    def course(*given: Any, **named: Any) -> Any:
        calls.append(1)
        return broken(error)() if len(calls) == 1 else real(*given, **named)

    monkeypatch.setattr(study.train, "run_steps", course)
    heard = serve(run_task("a", tmp_path), run_task("b", tmp_path))
    (failed,) = [message for message in heard if isinstance(message, Failure)]
    assert (failed.task, failed.out_of_memory, failed.joined) == ("a", memory, True)
    assert str(error) in failed.cause
    assert "Traceback" in failed.traceback
    assert any(isinstance(m, TaskEvent) and isinstance(m.event, Finished) and m.task == "b" for m in heard)


def test_runs_whose_common_step_breaks_all_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def join(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("study.train.stepper.join", join)
    heard = serve(run_task("a", tmp_path), run_task("b", tmp_path, seed=1))
    failed = [message for message in heard if isinstance(message, Failure)]
    assert [(failure.task, failure.out_of_memory, failure.joined) for failure in failed] == [
        ("a", True, True),
        ("b", True, True),
    ]


def test_a_gpu_that_is_lost_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another takes its runs over: no operation of this process would succeed again."""
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    monkeypatch.setattr(study.train, "run_steps", broken(error))
    channel = FakeChannel(run_task("a", tmp_path))
    with pytest.raises(torch.AcceleratorError, match="illegal"):
        WorkerLoop(LauncherConnection(channel), ["cpu"], torch.get_num_threads()).serve()  # type: ignore[arg-type]
    assert not any(isinstance(message, Failure) for message in channel.heard)


def test_a_worker_starts_without_what_only_the_launcher_needs() -> None:
    code = (
        "import study.launch.worker.process, study.data, study.train, sys\n"
        "print([m for m in ('mlflow', 'optuna', 'torchvision', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
