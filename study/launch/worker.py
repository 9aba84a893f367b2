"""A worker: a process that trains runs, one after another or together, and sends their events to the launcher.

It imports no MLflow and no Optuna, so it starts quickly and never touches their databases.
"""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.config import RunSpec
from study.events import Event

if TYPE_CHECKING:
    from study.config import DatasetSpec
    from study.data import Dataset
    from study.train import Speed, Step

POLL_SECONDS = 0.05
"""Time between two looks for a message from the launcher."""


@dataclass(frozen=True)
class Order:
    """A run to do, under the launcher's name for it."""

    task: str
    spec: RunSpec
    checkpoint: Path
    every_seconds: float


@dataclass(frozen=True)
class Measure:
    """A run whose speed is to be measured; it isn't done."""

    task: str
    spec: RunSpec
    replicas: int


@dataclass(frozen=True)
class Stop:
    """End this task at its next step, with a checkpoint."""

    task: str


@dataclass(frozen=True)
class Ready:
    """The worker has started and waits for an order."""


@dataclass(frozen=True)
class Told:
    """An event of a task."""

    task: str
    event: Event


@dataclass(frozen=True)
class Measured:
    """What a `Measure` came to."""

    task: str
    speed: "Speed"


@dataclass(frozen=True)
class Failed:
    """A task broke: the cause in a line, and the whole traceback."""

    task: str
    cause: str
    traceback: str
    out_of_memory: bool = False
    """The device had too little of it left."""
    joined: bool = False
    """The worker had other tasks as well."""


class _Gone(Exception):
    """The launcher is no more: nobody hears what this worker says."""


class _Ears:
    """Looks now and then for orders, for a word to stop, and for the launcher's end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parent = os.getppid()
        self._looked = 0.0
        self._stopped: set[str] = set()
        self.orders: list[Order | Measure] = []
        self.terminated = False

    def listen(self, *, wait: bool) -> None:
        """Take in what the launcher has said; with `wait`, wait until it says something.

        Raises:
            _Gone: the launcher has died.
            EOFError: it has hung up.
        """
        now = time.monotonic()
        if not wait and now - self._looked < POLL_SECONDS:
            return
        self._looked = now
        if os.getppid() != self._parent:
            raise _Gone
        while wait or self._connection.poll():
            message = self._connection.recv()
            if isinstance(message, Stop):
                self._stopped.add(message.task)
            else:
                self._stopped.discard(message.task)  # a late word to stop it, when it was here before
                self.orders.append(message)
            wait = False

    def stop(self, task: str) -> bool:
        """Whether a task should stop."""
        return self.terminated or task in self._stopped


def main(connection: Connection, device: str, threads: int) -> None:
    """Serve orders until the launcher hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the launcher decides
    ears = _Ears(connection)

    def terminate(*_: Any) -> None:
        ears.terminated = True

    signal.signal(signal.SIGTERM, terminate)
    with contextlib.suppress(_Gone, EOFError, BrokenPipeError, ConnectionResetError):
        Desk(connection, ears, device, threads).serve()


class Desk:
    """A worker's runs: usually one; several train together where the launcher gives it more."""

    def __init__(self, connection: Connection, ears: _Ears, device: str, threads: int) -> None:
        import torch

        from study.train import Together, settle_cublas

        settle_cublas()
        torch.set_num_threads(threads)
        self._connection = connection
        self._ears = ears
        self._device = torch.device(device)
        self._together = Together(self._device)
        self._courses: dict[str, Iterator[Event | Step]] = {}
        self._held: tuple[DatasetSpec, Dataset] | None = None

    def serve(self) -> None:
        """Do what the launcher orders, until it hangs up or this process is told to end."""
        self._connection.send(Ready())
        while self._courses or not self._ears.terminated:
            self._ears.listen(wait=not self._courses)
            while self._ears.orders:
                self._begin(self._ears.orders.pop(0))
            steps = {task: step for task in list(self._courses) if (step := self._advance(task)) is not None}
            try:
                self._together.take(list(steps.values()))
            except Exception as error:  # contained to these runs, like the others below
                joined = len(self._courses) > 1
                for task in steps:
                    self._fail(task, error, joined=joined)

    def _begin(self, order: Order | Measure) -> None:
        from study.train import CheckpointPlan, course, measure_speed

        try:
            dataset = self._dataset(order.spec.dataset)
            if isinstance(order, Measure):
                speed = measure_speed(order.spec, dataset, self._device, order.replicas)
                self._connection.send(Measured(order.task, speed))
                return
            plan = CheckpointPlan(order.checkpoint, order.every_seconds)
            stop = partial(self._ears.stop, order.task)
            self._courses[order.task] = course(order.spec, dataset, self._device, plan, stop=stop)
        except Exception as error:
            self._fail(order.task, error, joined=bool(self._courses))

    def _advance(self, task: str) -> "Step | None":
        """Send what a run has to say until it is ready for an iteration; return that, or None where it has ended."""
        from study.train import Step

        try:
            for happened in self._courses[task]:
                if isinstance(happened, Step):
                    return happened
                self._connection.send(Told(task, happened))
            del self._courses[task]
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # contained to the run: the launcher shows it and goes on with the rest
            self._fail(task, error, joined=len(self._courses) > 1)
        return None

    def _fail(self, task: str, error: Exception, *, joined: bool) -> None:
        import torch

        self._courses.pop(task, None)
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        text = "".join(traceback.format_exception(error))
        self._connection.send(Failed(task, cause, text, out_of_memory(error), joined))
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()  # so that others on this GPU have what the broken run held

    def _dataset(self, spec: "DatasetSpec") -> "Dataset":
        from study.data import load_dataset, place

        if self._held is None or self._held[0] != spec:
            self._held = None  # so that two are never held at once
            self._held = (spec, place(load_dataset(spec), str(self._device)))
        return self._held[1]


def out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory left: a GPU says so by a class of its own, a CPU in words."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
