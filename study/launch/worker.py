"""A worker: a process that trains one run after another and sends its events to the launcher.

It imports no MLflow and no Optuna, so it starts quickly and never touches their databases.
"""

import contextlib
import os
import signal
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.config import RunSpec
from study.events import Event

if TYPE_CHECKING:
    from study.train import Speed

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


class _Gone(Exception):
    """The launcher is no more: nobody hears what this worker says."""


class _Ears:
    """Looks now and then for a word to stop, or for the launcher's end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parent = os.getppid()
        self._looked = 0.0
        self.task = ""
        self.terminated = False

    def stop(self) -> bool:
        """Whether the present task should stop.

        Raises:
            _Gone: the launcher has died.
        """
        if self.terminated:
            return True
        now = time.monotonic()
        if now - self._looked < POLL_SECONDS:
            return False
        self._looked = now
        if os.getppid() != self._parent:
            raise _Gone
        stop = False
        while self._connection.poll():
            message = self._connection.recv()
            stop = stop or (isinstance(message, Stop) and message.task == self.task)
        return stop


def main(connection: Connection, device: str, threads: int) -> None:
    """Serve orders until the launcher hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the launcher decides
    ears = _Ears(connection)

    def terminate(*_: Any) -> None:
        ears.terminated = True

    signal.signal(signal.SIGTERM, terminate)
    with contextlib.suppress(_Gone, EOFError, BrokenPipeError, ConnectionResetError):
        _serve(connection, ears, device, threads)


def _serve(connection: Connection, ears: _Ears, device: str, threads: int) -> None:
    import torch

    from study.data import load_dataset, place
    from study.train import measure_speed

    torch.set_num_threads(threads)
    connection.send(Ready())
    held: tuple[Any, Any] = (None, None)  # the data set in memory, with its specification
    while not ears.terminated:
        order = connection.recv()
        if not isinstance(order, Order | Measure):
            continue  # a late word to stop a task that has ended
        ears.task = order.task
        try:
            if held[0] != order.spec.dataset:
                held = (None, None)  # so that two are never held at once
                held = (order.spec.dataset, place(load_dataset(order.spec.dataset), device))
            if isinstance(order, Measure):
                connection.send(Measured(order.task, measure_speed(order.spec, held[1], torch.device(device))))
            else:
                _train(connection, ears, order, held[1], torch.device(device))
        except (_Gone, EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # contained to the run: the launcher shows it and goes on with the rest
            cause = f"{type(error).__name__}: {error}".splitlines()[0]
            connection.send(Failed(order.task, cause, traceback.format_exc(), out_of_memory(error)))
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.empty_cache()  # so that others on this GPU have what the broken run held


def _train(connection: Connection, ears: _Ears, order: Order, dataset: Any, device: Any) -> None:
    from study.train import CheckpointPlan, run

    plan = CheckpointPlan(order.checkpoint, order.every_seconds)
    for event in run(order.spec, dataset, device, plan, stop=ears.stop):
        connection.send(Told(order.task, event))


def out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory left: a GPU says so by a class of its own, a CPU in words."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
