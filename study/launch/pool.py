"""A fixed number of worker processes: give one an order, hear what all of them say, replace one that dies."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from study.launch.worker import Failed, Measure, Measured, Order, Ready, Stop, Told, main

STOP_SECONDS = 10.0
"""How long a worker may take to end before it is killed."""


@dataclass(frozen=True)
class Died:
    """A worker process ended without a word while it did a task (None: before it had one)."""

    task: str | None
    exit_code: int | None


Message = Told | Measured | Failed | Died


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    device: str
    ready: bool = False
    tasks: list[str] = field(default_factory=list)


class Pool:
    """Local worker processes, one run each at a time, or up to `replicas` that train as one."""

    def __init__(self, devices: list[str], threads: int, replicas: int = 1) -> None:
        """Start a worker for each entry of `devices`; they are spawned, since forks don't mix with threads and CUDA."""
        self._context = multiprocessing.get_context("spawn")
        self._threads = threads
        self._replicas = replicas
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
                    if isinstance(message, Ready):
                        worker.ready = True
                    else:
                        yield message
            except (EOFError, OSError):
                yield from self._replace(worker)

    def close(self) -> None:
        """End all workers; those that don't within a few seconds are killed."""
        for worker in self._workers:
            worker.connection.close()  # they notice, and end
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            _join(worker.process)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.process.kill()

    def _start(self, device: str) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, device, self._threads), daemon=True)
        with _no_interrupt():
            process.start()
        theirs.close()
        return _Worker(process, ours, device)

    def _replace(self, worker: _Worker) -> list[Died]:
        worker.connection.close()
        _join(worker.process)
        self._workers[self._workers.index(worker)] = self._start(worker.device)
        return [Died(task, worker.process.exitcode) for task in (worker.tasks or (None,))]


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back: a process started meanwhile never gets it, not even while it still loads its modules."""
    resource_tracker.ensure_running()  # its start, else a part of the first process's, lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _join(process: SpawnProcess) -> None:
    """Wait for a process to end, and kill it if it takes too long."""
    process.join(STOP_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
