import os
import signal
from collections.abc import Iterator

import pytest

from study.launch.executors.local import LocalExecutor
from study.launch.messages import BenchmarkTask
from study.launch.scheduler.worker_pool import WorkerPool
from study.launch.worker.failure import Failure


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(LocalExecutor(threads=1), [("cpu",), ("cpu",)], replicas=2)
    while made.free() < 2:
        assert list(made.poll(5)) == []
    yield made
    made.kill()


def broken_task(task: str) -> BenchmarkTask:
    """Return a task that breaks at once: it has no run."""
    return BenchmarkTask(task, None, 1)  # type: ignore[arg-type]


def test_side_by_side_first_then_together_then_less(pool: WorkerPool) -> None:
    pool.assign(broken_task("a"))
    assert pool.partners() == []  # a worker has nothing to do
    pool.assign(broken_task("b"))
    assert pool.free() == 0
    assert sorted(pool.partners()) == ["a", "b"]
    pool.assign(broken_task("c"), beside="a")
    assert pool.partners() == ["b"]
    messages = []
    while len(messages) < 3:
        messages += list(pool.poll(5))
    assert all(isinstance(message, Failure) and not message.out_of_memory for message in messages)
    assert {message.task for message in messages} == {"a", "b", "c"}  # type: ignore[union-attr]
    pool.release("c")
    assert pool.partners() == ["a", "b"]
    # At too little memory: no more together, then fewer workers, and no fewer than one.
    assert pool.reduce_load("a", joined=True) == 1
    assert pool.partners() == []
    assert len(pool) == 2
    assert pool.reduce_load("a", joined=False) == 1
    assert len(pool) == 1
    assert pool.reduce_load("b", joined=False) == 1  # beside "a" there was too little for it too
    assert pool.reduce_load("b", joined=False) == 0
    assert pool.reduce_load("unknown", joined=False) == 0
    pool.release("b")
    assert pool.free() == 1


def test_a_worker_is_taken_away_while_it_reports(pool: WorkerPool) -> None:
    pool.assign(broken_task("a"))
    pool.assign(broken_task("b"))
    messages = []
    while len(messages) < 2:
        for message in pool.poll(5):
            messages.append(message)
            if len(messages) == 1:
                assert pool.reduce_load(message.task, joined=False)  # type: ignore[arg-type]
    assert len(pool) == 1


def test_all_tasks_of_a_dead_worker_are_reported(pool: WorkerPool) -> None:
    for slot in pool._slots:
        os.kill(slot.worker.process.pid, signal.SIGSTOP)  # type: ignore[attr-defined] # so that it says nothing first
    pool.assign(broken_task("a"))
    pool.assign(broken_task("b"))
    pool.assign(broken_task("c"), beside="a")
    slot = next(slot for slot in pool._slots if "c" in slot.tasks)
    slot.worker.kill()
    messages = []
    while not {"a", "c"} <= {message.task for message in messages if type(message).__name__ == "WorkerDied"}:  # type: ignore[union-attr]
        messages += list(pool.poll(5))
    assert len(pool) == 2


def test_a_worker_killed_for_silence_gets_no_task(pool: WorkerPool) -> None:
    killed = pool._slots[0]
    killed.silent = 60.0
    assert pool.free() == 1
    pool.assign(broken_task("a"))
    assert not killed.tasks
    killed.tasks["b"] = 0.0  # it has not reported the end of its last task
    assert pool.partners() == ["a"]
