"""The workers of a launcher: assign tasks, receive messages, replace workers that die."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import cast

from study.errors import StudyError
from study.launch.display import duration
from study.launch.executors.base import Devices, Executor, Worker
from study.launch.messages import BenchmarkResult, BenchmarkTask, Channel, Ready, RunTask, Stop, TaskEvent, is_final
from study.launch.worker.failure import Failure, describe_exit, last_line

EXIT_SECONDS = 5.0
"""Seconds that workers have to end before they are killed."""
EXITED_SECONDS = 1.0
"""Seconds between two checks for ended workers whose connections don't show it."""


@dataclass(frozen=True)
class WorkerDied:
    """A worker process died; `task` is None if it had not started one."""

    task: str | None
    exit_code: int | None
    log: str = ""
    """The end of its output, with the stacks of its threads if it crashed or hung."""
    silent: float | None = None
    """Seconds without a heartbeat after which it was killed; None if it wasn't killed."""

    @property
    def cause(self) -> str:
        """Why it died, for messages: a signal, the last line of its output, or that it hung."""
        if self.silent is not None:
            return f"its worker gave no sign of life for {duration(self.silent)} and was killed"
        if self.exit_code is not None:
            return f"its worker {describe_exit(self.exit_code, self.log)}"
        return "its worker was lost" + (last_line(self.log) or ", with its node or its connection")


Message = TaskEvent | BenchmarkResult | Failure | WorkerDied


@dataclass(eq=False)
class _Slot:
    """The state of a worker."""

    worker: Worker
    ready: bool = False
    info: Mapping[str, str] = field(default_factory=dict)
    """Its environment, if it isn't on this machine."""
    tasks: list[str] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    """Tasks that it reported as over, until they are released."""
    last_message_at: float = field(default_factory=time.monotonic)
    silent: float | None = None
    """Seconds without a heartbeat after which it was killed; None if it wasn't killed."""

    @property
    def free(self) -> bool:
        """Whether it waits for a task; one that was killed may still report the end of its last task."""
        return self.ready and not self.tasks and self.silent is None

    def send(self, message: object) -> None:
        if self.worker.connection is not None:
            with suppress(OSError):  # it has just died: `poll` will report it
                self.worker.connection.send(message)

    def disconnect(self) -> None:
        if self.worker.connection is not None:
            self.worker.connection.close()


class WorkerPool:
    """Workers that do one task each at a time, or up to `replicas` at once."""

    def __init__(self, executor: Executor, devices: Sequence[Devices], replicas: int = 1) -> None:
        """Start a worker for each entry of `devices`, or request as many as may be pending."""
        self._executor = executor
        self._replicas = replicas
        self._vacant = list(reversed(devices))
        self._slots: list[_Slot] = []
        self._exited_checked_at = time.monotonic()
        self._grow()

    def __len__(self) -> int:
        return len(self._slots) + len(self._vacant)

    def free(self) -> int:
        """Return how many workers have started and wait for a task."""
        return sum(slot.free for slot in self._slots)

    def waiting_for(self) -> str:
        """Return the resources that workers wait for; "" once one has started."""
        return "" if any(slot.ready for slot in self._slots) else self._executor.resources

    def partners(self) -> list[str]:
        """Return a task of each worker that can do one more beside it, workers with the fewest tasks first.

        Return none while a worker has no task: two workers are faster than one that does two tasks.
        """
        if self._replicas == 1 or not all(slot.tasks for slot in self._slots):
            return []
        slots = sorted(self._slots, key=lambda slot: len(slot.tasks))
        return [slot.tasks[0] for slot in slots if len(slot.tasks) < self._replicas and slot.silent is None]

    def assign(self, task: RunTask | BenchmarkTask, beside: str | None = None) -> Mapping[str, str]:
        """Send a task to a free worker, or to the worker that does the task `beside`; return its info."""
        slot = next(slot for slot in self._slots if (slot.free if beside is None else beside in slot.tasks))
        if not slot.tasks:
            slot.last_message_at = time.monotonic()  # a worker without a task sends no heartbeats
        slot.tasks.append(task.task)
        slot.send(task)
        return slot.info

    def stop(self, task: str) -> None:
        """Ask a worker to end a task at its next step."""
        for slot in self._slots:
            if task in slot.tasks:
                slot.send(Stop(task))

    def release(self, task: str) -> None:
        """Note that a task is over: its worker has room for another."""
        for slot in self._slots:
            if task in slot.tasks:
                slot.tasks.remove(task)
                slot.finished.discard(task)

    def reduce_load(self, task: str, *, joined: bool) -> bool:
        """Reduce the work at once after a task ran out of memory: fewer tasks per worker, then fewer workers.

        Return whether that can help.
        """
        slot = next((slot for slot in self._slots if task in slot.tasks), None)
        if joined:
            tasks = len(slot.tasks) if slot is not None else 1
            self._replicas = max(1, min(self._replicas, tasks) - 1)
            return True
        if slot is None or sum(other.worker.devices == slot.worker.devices for other in self._slots) == 1:
            return False
        self._dismiss(slot)
        return True

    def dismiss_idle(self, needed: int) -> None:
        """On a cluster, end the idle workers beyond the number needed: other users wait for the nodes."""
        if self._executor.accept is None:
            return
        self._vacant = self._vacant[: max(0, needed - len(self._slots))]
        idle = [slot for slot in self._slots if not slot.tasks]
        for slot in sorted(idle, key=lambda slot: slot.ready)[: max(0, len(idle) - needed)]:
            self._dismiss(slot)

    def poll(self, timeout: float) -> Iterator[Message]:
        """Yield the messages that arrive within `timeout` seconds; replace workers that have died.

        Raises:
            StudyError: a worker must be refused, or none can be started.
        """
        slots = {slot.worker.connection: slot for slot in self._slots if slot.worker.connection}
        accept = self._executor.accept
        channels = cast("list[Connection]", [*slots, accept] if accept else list(slots))
        for ready in wait(channels, timeout):
            if accept and ready is accept:
                accept.recv()  # the worker that has connected is polled from the next call on
                continue
            channel = cast("Channel", ready)
            slot = slots[channel]
            try:
                while slot in self._slots and channel.poll():  # handling a message may dismiss the worker
                    yield from self._receive(slot, channel.recv())
            except (EOFError, OSError):
                yield from self._replace(slot)
        if time.monotonic() - self._exited_checked_at >= EXITED_SECONDS:
            self._exited_checked_at = time.monotonic()
            by_worker = {id(slot.worker): slot for slot in self._slots}
            for worker in self._executor.exited([slot.worker for slot in self._slots]):
                yield from self._replace(by_worker[id(worker)])
        self._grow()

    def kill_silent(self, seconds: float) -> None:
        """Kill each worker with a task, or still starting, that has been silent so long; `poll` reports its death."""
        for slot in self._slots:
            if slot.worker.connection is None:  # it is queued on the cluster
                slot.last_message_at = time.monotonic()
            silent = time.monotonic() - slot.last_message_at
            if silent > seconds and (slot.tasks or not slot.ready) and slot.silent is None:
                slot.silent = silent
                slot.worker.dump_stacks()
                slot.worker.kill()

    def close(self) -> None:
        """End all workers: each writes a checkpoint; those that take longer than a few seconds are killed."""
        for slot in self._slots:
            slot.worker.terminate()
        for slot in self._slots:
            slot.disconnect()  # workers without a task notice, and end
        end = time.monotonic() + EXIT_SECONDS
        for slot in self._slots:
            slot.worker.wait(end - time.monotonic())
        self._executor.close()

    def kill(self) -> None:
        for slot in self._slots:
            slot.worker.kill()
        for slot in self._slots:
            slot.worker.wait(EXIT_SECONDS)
        self._executor.close()

    def _receive(self, slot: _Slot, message: object) -> Iterator[TaskEvent | BenchmarkResult | Failure]:
        """Handle a worker's messages about itself; yield its messages about tasks."""
        slot.last_message_at = time.monotonic()
        if isinstance(message, Ready):
            if why := self._executor.rejection(message.info):
                raise StudyError(why)
            slot.ready, slot.info = True, message.info
        elif isinstance(message, TaskEvent | BenchmarkResult | Failure):
            if is_final(message):
                slot.finished.add(message.task)
            yield message

    def _grow(self) -> None:
        """Request the missing workers, up to the maximum that may be pending."""
        pending = sum(not slot.ready for slot in self._slots)
        while self._vacant and pending < self._executor.max_pending:
            self._slots.append(_Slot(self._executor.start(self._vacant.pop())))
            pending += 1

    def _replace(self, slot: _Slot) -> list[WorkerDied]:
        self._slots.remove(slot)
        slot.disconnect()
        end = slot.worker.wait(EXIT_SECONDS)
        self._vacant.append(slot.worker.devices)
        tasks = [task for task in slot.tasks if task not in slot.finished] if slot.ready else [None]
        return [WorkerDied(task, end.code, end.log, slot.silent) for task in tasks]

    def _dismiss(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        slot.disconnect()  # it notices, and ends
        slot.worker.terminate()
        slot.worker.wait(EXIT_SECONDS)
