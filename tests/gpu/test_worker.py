"""A worker on the pretended GPU: what it holds of its memory, and when it gives that back."""

import weakref
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from study.events import Finished
from study.launch.messages import TaskEvent
from study.launch.worker.connection import LauncherConnection, LauncherGone
from study.launch.worker.failure import Failure
from study.launch.worker.process import WorkerLoop
from study.train import graph
from study.train.state import RunState
from tests.gpu.pretended import pretended_gpu
from tests.gpu.recorder import Recorder
from tests.launch.worker.test_process import FakeChannel, run_task

run_module = import_module("study.train.run")  # the package has a function of this name
pytestmark = pytest.mark.usefixtures("one_thread")


class Watched(FakeChannel):
    """Notes what is heard, and each time that unused memory is given back, with the nets that are still held then."""

    def __init__(self, *said: object) -> None:
        super().__init__(*said)
        self.nets: dict[int, weakref.ref[Any]] = {}

    def build(self, build: Callable[..., RunState], *given: Any) -> RunState:
        state = build(*given)
        self.nets[given[0].seed] = weakref.ref(state.net)
        return state

    def give_back(self) -> None:
        self.heard.append({seed for seed, net in self.nets.items() if net() is not None})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    def serve(*said: object) -> list[Any]:
        channel = Watched(*said)
        build = run_module.build_state
        with pretended_gpu():
            monkeypatch.setattr(run_module, "build_state", lambda *given: channel.build(build, *given))
            loop = WorkerLoop(LauncherConnection(channel), ["cuda:0"], torch.get_num_threads())  # type: ignore[arg-type]
            monkeypatch.setattr(torch.cuda, "empty_cache", channel.give_back)
            with pytest.raises(LauncherGone):
                loop.serve()
        return channel.heard

    return serve


def test_a_worker_makes_its_gpu_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start of a capture waits for the current GPU, and pinned memory and libraries are of it."""
    chosen: list[torch.device] = []
    with pretended_gpu():
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        WorkerLoop(LauncherConnection(FakeChannel()), ["cuda:1"], torch.get_num_threads())  # type: ignore[arg-type]
    assert chosen == [torch.device("cuda:1")]


def test_a_run_that_ended_leaves_nothing_behind(tmp_path: Path, served: Callable[..., list[Any]]) -> None:
    """Graphs have memory of their own, and each stream has a cache of its own: others can't use what stays there."""
    heard = served(run_task("short", tmp_path, 0, epochs=2), run_task("long", tmp_path, 1, epochs=5))
    ends = [i for i, what in enumerate(heard) if isinstance(what, TaskEvent) and isinstance(what.event, Finished)]
    given_back = [(i, held) for i, held in enumerate(heard) if isinstance(held, set)][-2:]
    assert [held for _, held in given_back] == [{1}, set()]
    assert ends[0] < given_back[0][0] < ends[1] < given_back[1][0]


@pytest.mark.parametrize("where", ["capture", "step"])
def test_memory_of_a_run_that_broke_is_free_when_the_launcher_hears_of_it(
    where: str, tmp_path: Path, served: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def breaking(*given: Any) -> None:
        calls.append(len(given))
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(*given)

    owner, name = (Recorder, "capture") if where == "capture" else (graph, "advance")
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, breaking)
    heard = served(run_task("full", tmp_path, 0), run_task("other", tmp_path, 1))
    (told,) = [i for i, what in enumerate(heard) if isinstance(what, Failure)]
    assert heard[told].task == "full"
    assert heard[told].out_of_memory
    assert heard[told - 1] == {1}
