"""A pool whose workers are made up: they say what a real run would say, on a clock that goes as fast as one listens."""

import heapq
import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from study.events import Checkpointed, Epoch, Event, Finished, Interrupted, Started
from study.launch.messages import BenchmarkTask, RunTask, TaskEvent
from study.launch.scheduler.worker_pool import Message


@dataclass(frozen=True)
class Workload:
    """What a made-up run does; seconds are those of the made-up clock."""

    points: int
    run_seconds: float
    """Of a run on average; each takes between half and one and a half times as long, so that they don't end at once."""
    checkpoint_mib: float
    checkpoint_seconds: float


@dataclass
class Clock:
    """The made-up time, in seconds, and what shall be heard when it has gone on."""

    now: float = 1.8e9
    """Some time in 2027: MLflow is told of it as the time at which points were measured."""

    def __call__(self) -> float:
        return self.now

    monotonic = __call__
    """So that it can stand for the module `time` in `study.launch.scheduler.job`."""


class MadeUpPool:
    """The interface of `study.launch.scheduler.worker_pool.WorkerPool`, without processes."""

    def __init__(self, workers: int, work: Workload, clock: Clock, template: Path) -> None:
        """Have so many workers wait; a run's checkpoint is a link to the file `template`."""
        self._workers = workers
        self._work = work
        self._clock = clock
        self._template = template
        self._random = random.Random(0)
        self._stories: dict[str, Iterator[tuple[float, Event]]] = {}
        self._coming: list[tuple[float, int, str, Event]] = []
        self._number = 0
        self.points = self.checkpoints = 0

    def __len__(self) -> int:
        return self._workers

    def free(self) -> int:
        """Return how many workers wait for a task."""
        return self._workers - len(self._stories)

    def waiting_for(self) -> str:
        """Wait for nothing."""
        return ""

    def dismiss_idle(self, needed: int) -> None:
        """Keep all: they cost nothing."""

    def room(self, beside: str | None = None) -> float:
        """Return that a worker's device has room."""
        return 1.0

    def partners(self) -> list[str]:
        """Return nobody: each run is trained alone."""
        return []

    def assign(self, task: RunTask | BenchmarkTask, beside: str | None = None, share: float = 0.0) -> Mapping[str, str]:
        """Let a worker begin a run now."""
        assert isinstance(task, RunTask) and beside is None  # noqa: S101, PT018
        self._stories[task.task] = self._story(task)
        self._next_of(task.task)
        return {}

    def stop(self, task: str) -> None:
        """End a run now."""
        if task in self._stories:
            self._stories[task] = iter([(self._clock.now, Interrupted(1))])
            self._coming = [one for one in self._coming if one[2] != task]
            heapq.heapify(self._coming)
            self._next_of(task)

    def release(self, task: str) -> None:
        """Note that a task has ended."""
        self._stories.pop(task, None)

    def reduce_load(self, task: str, *, joined: bool) -> int:
        """No memory is ever short."""
        return 0

    def poll(self, timeout: float) -> Iterator[Message]:
        """Let the clock go on by `timeout` seconds, and yield what is said meanwhile."""
        end = self._clock.now + timeout
        while self._coming and self._coming[0][0] <= end:
            at, _, task, event = heapq.heappop(self._coming)
            self._clock.now = max(self._clock.now, at)
            self._next_of(task)
            yield TaskEvent(task, event)
        self._clock.now = end

    def kill_silent(self, seconds: float) -> None:
        """Nobody ever hangs."""

    def close(self) -> None:
        """Nothing is left to end."""

    kill = close

    def _next_of(self, task: str) -> None:
        """Put the next event of a run among those that come."""
        following = next(self._stories[task], None)
        if following is not None:
            self._number += 1
            heapq.heappush(self._coming, (following[0], self._number, task, following[1]))

    def _story(self, task: RunTask) -> Iterator[tuple[float, Event]]:
        """Yield a run's events with their moments."""
        total = task.spec.recipe.iterations or self._work.points
        began = saved = self._clock.now
        takes = self._work.run_seconds * self._random.uniform(0.5, 1.5)
        yield began, Started(0, total, "cuda:0 (made up)", "bf16", ())
        for number in range(1, self._work.points + 1):
            at = began + takes * number / self._work.points
            step = number * total // self._work.points
            self.points += 1
            yield at, self._point(step, number, at, at - began)
            if at - saved >= self._work.checkpoint_seconds or number == self._work.points:
                saved = at
                self.checkpoints += 1
                yield at, Checkpointed(step)
        task.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._template, task.checkpoint)
        error = self._random.uniform(1, 20)
        yield began + takes, Finished(total, error, 0.1, error, error, 0.1, None, None, None, takes)

    def _point(self, step: int, number: int, at: float, seconds: float) -> Epoch:
        error = 90 / number + self._random.random()
        return Epoch(
            step, float(number), 0.1, error, error / 30, error + 1, error / 29, None, None, 2e4, seconds, 3e3, at
        )
