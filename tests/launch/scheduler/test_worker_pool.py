import os
import signal
from collections.abc import Iterator

import pytest

from study.launch.executors.local import LocalExecutor
from study.launch.messages import Failed, Measure
from study.launch.scheduler.worker_pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(LocalExecutor(threads=1), ["cpu", "cpu"], replicas=2)
    while made.free() < 2:
        assert list(made.hear(5)) == []
    yield made
    made.kill()


def order(task: str) -> Measure:
    """Return an order that breaks at once: it has no run."""
    return Measure(task, None, 1)  # type: ignore[arg-type]


def test_side_by_side_first_then_together_then_less(pool: Pool) -> None:
    pool.give(order("a"))
    assert pool.partners() == []  # a worker has nothing to do
    pool.give(order("b"))
    assert pool.free() == 0
    assert sorted(pool.partners()) == ["a", "b"]
    pool.give(order("c"), beside="a")
    assert pool.partners() == ["b"]
    heard = []
    while len(heard) < 3:
        heard += list(pool.hear(5))
    assert all(isinstance(message, Failed) and not message.out_of_memory for message in heard)
    assert {message.task for message in heard} == {"a", "b", "c"}  # type: ignore[union-attr]
    pool.release("c")
    assert pool.partners() == ["a", "b"]
    # At too little memory: no more together, then fewer workers, and no fewer than one.
    assert pool.narrow("a", joined=True)
    assert pool.partners() == []
    assert len(pool) == 2
    assert pool.narrow("a", joined=False)
    assert len(pool) == 1
    assert not pool.narrow("b", joined=False)
    assert not pool.narrow("unknown", joined=False)
    pool.release("b")
    assert pool.free() == 1


def test_a_worker_is_taken_away_while_it_is_heard(pool: Pool) -> None:
    pool.give(order("a"))
    pool.give(order("b"))
    heard = []
    while len(heard) < 2:
        for message in pool.hear(5):
            heard.append(message)
            if len(heard) == 1:
                assert pool.narrow(message.task, joined=False)  # type: ignore[arg-type]
    assert len(pool) == 1


def test_all_that_a_dead_worker_had_is_told(pool: Pool) -> None:
    for member in pool._members:
        os.kill(member.worker.process.pid, signal.SIGSTOP)  # type: ignore[attr-defined] # so that it says nothing first
    pool.give(order("a"))
    pool.give(order("b"))
    pool.give(order("c"), beside="a")
    member = next(member for member in pool._members if "c" in member.tasks)
    member.worker.kill()
    told = []
    while not {"a", "c"} <= {message.task for message in told if type(message).__name__ == "Died"}:  # type: ignore[union-attr]
        told += list(pool.hear(5))
    assert len(pool) == 2
