"""A worker's desk, in this process: what it does with orders that break."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import study.train
from study.config import DatasetSpec, Recipe, RunSpec
from study.events import Finished, Interrupted
from study.launch.messages import Failed, Measure, Measured, Order, Ready, Stop, Told
from study.launch.worker.connection import Gone, Wire
from study.launch.worker.process import Desk

DATA = DatasetSpec(name="digits", train_limit=200, test_limit=50)


class Line:
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


def order(task: str, folder: Path, seed: int = 0, **recipe: object) -> Order:
    fields = {"epochs": 2, "batch_size": 64, "lr": 0.05, "precision": "fp32"} | recipe
    spec = RunSpec(dataset=DATA, architecture="plain", depth=8, recipe=Recipe(**fields), seed=seed)  # type: ignore[arg-type]
    return Order(task, spec, folder / task, 100)


def serve(*said: object) -> list[Any]:
    line = Line(*said)
    before = torch.get_num_threads()
    desk = Desk(Wire(line), "cpu", before)  # type: ignore[arg-type]
    with pytest.raises(Gone):
        desk.serve()
    return line.heard


def test_cublas_is_settled_before_any_run_starts_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    serve()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_two_runs_at_once_and_a_measurement(tmp_path: Path) -> None:
    first = order("a", tmp_path)
    heard = serve(first, order("b", tmp_path, seed=1), Measure("m", first.spec, 2))
    assert isinstance(heard[0], Ready)
    ends = [message.task for message in heard if isinstance(message, Told) and isinstance(message.event, Finished)]
    assert ends == ["a", "b"]
    assert [message.task for message in heard if isinstance(message, Measured)] == ["m"]


def test_one_of_two_is_stopped(tmp_path: Path) -> None:
    heard = serve(order("a", tmp_path), order("b", tmp_path, seed=1), Stop("b"))
    ends = {message.task: type(message.event) for message in heard if isinstance(message, Told)}
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
    heard = serve(order("a", tmp_path), order("b", tmp_path))
    (failed,) = [message for message in heard if isinstance(message, Failed)]
    assert (failed.task, failed.out_of_memory, failed.joined) == ("a", memory, True)
    assert str(error) in failed.cause
    assert "Traceback" in failed.traceback
    assert any(isinstance(m, Told) and isinstance(m.event, Finished) and m.task == "b" for m in heard)


def test_runs_whose_common_step_breaks_all_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def join(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("study.train.stepper.join", join)
    heard = serve(order("a", tmp_path), order("b", tmp_path, seed=1))
    failed = [message for message in heard if isinstance(message, Failed)]
    assert [(one.task, one.out_of_memory, one.joined) for one in failed] == [("a", True, True), ("b", True, True)]


def test_a_gpu_that_is_lost_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another takes its runs over: no operation of this process would succeed again."""
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    monkeypatch.setattr(study.train, "run_steps", broken(error))
    line = Line(order("a", tmp_path))
    with pytest.raises(torch.AcceleratorError, match="illegal"):
        Desk(Wire(line), "cpu", torch.get_num_threads()).serve()  # type: ignore[arg-type]
    assert not any(isinstance(message, Failed) for message in line.heard)
