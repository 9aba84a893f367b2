"""The workers of a launcher: assign tasks, receive messages, replace workers that die."""

import math
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
    tasks: dict[str, float] = field(default_factory=dict)
    """Its tasks, and the part of its GPU that each takes."""
    most: float = math.inf
    """Most tasks at once on its device, of all workers there, once memory ran out."""
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

    def __init__(self, executor: Executor, devices: Sequence[Devices], replicas: int = 1, per_card: int = 1) -> None:
        """Start a worker for each entry of `devices`, or request as many as may be pending.

        On a cluster, `per_card` of them share a GPU; nobody knows which.
        """
        self._executor = executor
        self._replicas = replicas
        self._per_card = per_card
        self._crowded: set[str] = set()
        """Tasks that were at work where another ran out of memory: theirs may run out next, and do alone."""
        self._vacant = list(reversed(devices))
        self._slots: list[_Slot] = []
        self._exited_checked_at = time.monotonic()
        self._grow()

    def __len__(self) -> int:
        return len(self._slots) + len(self._vacant)

    def free(self) -> int:
        """Return how many workers have started and wait for a task."""
        return sum(slot.free and self._room(slot) >= 0 for slot in self._slots)

    def room(self, beside: str | None = None) -> float:
        """Return the part of a GPU that is left for a task of a free worker, or of the one that does `beside`."""
        slots = [slot for slot in self._slots if (slot.free if beside is None else beside in slot.tasks)]
        return max(map(self._room, slots), default=-1.0)

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
        able = [slot for slot in slots if len(slot.tasks) < self._replicas and slot.silent is None]
        return [next(iter(slot.tasks)) for slot in able if self._room(slot) >= 0]

    def assign(self, task: RunTask | BenchmarkTask, beside: str | None = None, share: float = 0.0) -> Mapping[str, str]:
        """Send a task to the free worker whose GPU has the most room, or to the worker that does the task `beside`.

        The task takes the part `share` of the GPU. Return the worker's info.
        """
        slots = [slot for slot in self._slots if (slot.free if beside is None else beside in slot.tasks)]
        slot = max(slots, key=self._room)
        if not slot.tasks:
            slot.last_message_at = time.monotonic()  # a worker without a task sends no heartbeats
        slot.tasks[task.task] = share
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
                del slot.tasks[task]
                self._crowded.discard(task)
                slot.finished.discard(task)

    def reduce_load(self, task: str, *, joined: bool) -> int:
        """Let one task fewer than now be at work on a device after `task` ran out of memory there.

        `joined`: its worker did others at the same time; if not, the worker ends, unless it is the last there. Return
        how many may be at once there from now on; 0 if that can't help, since it was alone.
        """
        slot = next((slot for slot in self._slots if task in slot.tasks), None)
        if slot is None:
            return int(joined)
        workers = self._beside(slot)
        tasks = [other for worker in workers for other in worker.tasks]
        unknown = len(self._slots) > 1 and self._has_unknown_neighbours(slot)
        if not (joined or len(tasks) > 1 or task in self._crowded or unknown):
            return 0
        at_once = max(1, len(tasks) - 1)
        for worker in workers:
            worker.most = at_once
        self._crowded |= {other for other in tasks if other != task}
        self._crowded.discard(task)
        if not joined and len(slot.tasks) == 1 and (len(workers) > 1 or unknown):
            self._dismiss(slot)
        return at_once

    def _beside(self, slot: _Slot) -> list[_Slot]:
        """Return the workers on the device of one, itself included; of a cluster's nobody knows who shares a device."""
        if self._executor.accept is not None:
            return [slot]
        return [other for other in self._slots if other.worker.devices == slot.worker.devices]

    def _has_unknown_neighbours(self, slot: _Slot) -> bool:
        """Whether other workers of a cluster may use a worker's memory: not that of a whole GPU."""
        return self._executor.accept is not None and (slot.worker.devices[0] == "cpu" or self._per_card > 1)

    def _room(self, slot: _Slot) -> float:
        """Return the part of a worker's GPU that no task takes; negative where one more would be too many.

        Of a cluster's GPU, a worker has an equal part, and all of it for its first task: else some would never begin.
        """
        tasks = [share for other in self._beside(slot) for share in other.tasks.values()]
        if len(tasks) >= slot.most:
            return -1.0
        whole = self._executor.accept is None or not tasks
        return (1.0 if whole else 1 / self._per_card) - sum(tasks)

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
