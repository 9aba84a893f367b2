"""A fixed number of worker processes: give one an order, hear what all of them say, replace one that dies."""

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from study.launch.messages import Alive, Failed, Measure, Measured, Order, Ready, Stop, Told, ends
from study.launch.worker import main

STOP_SECONDS = 5.0
"""How long workers may take to end before they are killed."""
DUMP_SECONDS = 0.5
"""What a silent worker is given to leave the stacks of its threads."""
LOG_BYTES = 64 * 1024
"""What is kept of the end of a dead worker's log, at most."""


@dataclass(frozen=True)
class Died:
    """A worker process ended without a word while it did a task (None: before it had one)."""

    task: str | None
    exit_code: int | None
    log: str = ""
    """The end of what it printed, the stacks of its threads included where it crashed or hung."""
    silent: float | None = None
    """For how many seconds it gave no sign of life before it was killed for that; None where it wasn't."""


Message = Told | Measured | Failed | Died


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    device: str
    log: Path
    ready: bool = False
    tasks: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    """Those of its tasks that it said are over; nobody may have taken note yet."""
    heard: float = field(default_factory=time.monotonic)
    """When it last gave a sign of life."""
    silent: float | None = None


class Pool:
    """Local worker processes, one run each at a time, or up to `replicas` that train as one."""

    def __init__(self, devices: list[str], threads: int, replicas: int = 1) -> None:
        """Start a worker for each entry of `devices`; they are spawned, since forks don't mix with threads and CUDA."""
        self._context = multiprocessing.get_context("spawn")
        self._threads = threads
        self._replicas = replicas
        self._logs = tempfile.TemporaryDirectory(prefix="study-workers-", ignore_cleanup_errors=True)
        self._started = 0
        self._workers = [self._start(device) for device in devices]

    def __len__(self) -> int:
        return len(self._workers)

    def free(self) -> int:
        """Return how many workers have started and wait for an order."""
        return sum(worker.ready and not worker.tasks for worker in self._workers)

    def partners(self) -> list[str]:
        """Return a task of each worker that could do one more of its kind together with it.

        There are none while a worker has nothing to do: side by side is faster than together.
        """
        if not all(worker.tasks for worker in self._workers):
            return []
        return [worker.tasks[0] for worker in self._workers if len(worker.tasks) < self._replicas]

    def give(self, order: Order | Measure, beside: str | None = None) -> None:
        """Send an order to a worker that waits, or to the one that does the task `beside`."""
        worker = next(
            worker
            for worker in self._workers
            if (beside in worker.tasks if beside is not None else worker.ready and not worker.tasks)
        )
        if not worker.tasks:
            worker.heard = time.monotonic()  # it was silent for as long as it had nothing to do
        worker.tasks.append(order.task)
        with suppress(OSError):  # it has just died: `hear` will say so
            worker.connection.send(order)

    def stop(self, task: str) -> None:
        """Ask for a task to end at its next step."""
        for worker in self._workers:
            if task in worker.tasks:
                with suppress(OSError):  # it has just died: `hear` will say so
                    worker.connection.send(Stop(task))

    def release(self, task: str) -> None:
        """Note that a task has ended: its worker has room again."""
        for worker in self._workers:
            if task in worker.tasks:
                worker.tasks.remove(task)
                worker.ended.discard(task)

    def narrow(self, task: str, *, joined: bool) -> bool:
        """Do less at once where a task found no memory: each run alone, then fewer workers; return if that can help."""
        worker = next((worker for worker in self._workers if task in worker.tasks), None)
        if joined:
            self._replicas = 1
            return True
        if worker is None or sum(one.device == worker.device for one in self._workers) == 1:
            return False
        self._workers.remove(worker)
        worker.connection.close()  # it notices, and ends
        worker.process.terminate()
        _join(worker.process)
        return True

    def hear(self, timeout: float) -> Iterator[Message]:
        """Yield what workers have said within `timeout` seconds; a worker that died is replaced."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                while worker in self._workers and worker.connection.poll():  # a message may have taken it away
                    message = worker.connection.recv()
                    worker.heard = time.monotonic()
                    if isinstance(message, Ready):
                        worker.ready = True
                    elif not isinstance(message, Alive):
                        if ends(message):
                            worker.ended.add(message.task)
                        yield message
            except (EOFError, OSError):
                yield from self._replace(worker)

    def kill_silent(self, seconds: float) -> None:
        """Kill each worker at work that gave no sign of life for so long; `hear` will say that it died, and of what."""
        for worker in self._workers:
            silent = time.monotonic() - worker.heard
            if silent > seconds and (worker.tasks or not worker.ready) and worker.silent is None:
                worker.silent = silent
                with suppress(OSError, TypeError):
                    os.kill(worker.process.pid or 0, signal.SIGUSR1)  # it leaves the stacks of its threads in its log
                    time.sleep(DUMP_SECONDS)
                worker.process.kill()

    def close(self) -> None:
        """End all workers: each writes a checkpoint; those that don't end within a few seconds are killed."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.connection.close()  # those that wait for an order notice, and end
        end = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            _join(worker.process, end - time.monotonic())
        self._logs.cleanup()

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._logs.cleanup()

    def _start(self, device: str) -> _Worker:
        self._started += 1
        log = Path(self._logs.name) / f"{self._started}.log"
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, device, self._threads, log), daemon=True)
        with _no_interrupt():
            process.start()
        theirs.close()
        return _Worker(process, ours, device, log)

    def _replace(self, worker: _Worker) -> list[Died]:
        worker.connection.close()
        _join(worker.process)
        self._workers[self._workers.index(worker)] = self._start(worker.device)
        log = _end_of(worker.log)
        tasks = [task for task in worker.tasks if task not in worker.ended] if worker.ready else [None]
        return [Died(task, worker.process.exitcode, log, worker.silent) for task in tasks]


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back: a process started meanwhile never gets it, not even while it still loads its modules."""
    resource_tracker.ensure_running()  # its start, else a part of the first process's, lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_of(log: Path) -> str:
    """Return what a worker printed last, and delete it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            text = file.read().decode(errors="replace")
        log.unlink()
    except OSError:
        return ""
    return text


def _join(process: SpawnProcess, seconds: float = STOP_SECONDS) -> None:
    """Wait for a process to end, and kill it if it takes too long."""
    process.join(max(0.0, seconds))
    if process.is_alive():
        process.kill()
        process.join()
