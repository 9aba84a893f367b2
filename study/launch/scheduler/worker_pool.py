"""A number of workers: give one an order, hear what all of them say, replace one that dies."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import cast

from study.errors import StudyError
from study.launch.executors import base as executor
from study.launch.messages import Failed, Measure, Measured, Order, Ready, Stop, Told, ends

STOP_SECONDS = 5.0
"""How long workers may take to end before they are killed."""
LOOK_SECONDS = 1.0
"""Between two looks for workers whose end no connection tells."""


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
class _Member:
    worker: executor.Worker
    ready: bool = False
    where: Mapping[str, str] = field(default_factory=dict)
    """What it runs on, where that isn't this machine."""
    tasks: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    """Those of its tasks that it said are over; nobody may have taken note yet."""
    heard: float = field(default_factory=time.monotonic)
    """When it last gave a sign of life."""
    silent: float | None = None

    def send(self, message: object) -> None:
        if self.worker.connection is not None:
            with suppress(OSError):  # it has just died: `hear` will say so
                self.worker.connection.send(message)

    def hang_up(self) -> None:
        if self.worker.connection is not None:
            self.worker.connection.close()


class Pool:
    """Workers that do one run each at a time, or up to `replicas` at once."""

    def __init__(self, place: executor.Executor, devices: Sequence[str], replicas: int = 1) -> None:
        """Start a worker of `place` for each entry of `devices`, or ask for as many as may wait there for room."""
        self._place = place
        self._replicas = replicas
        self._vacant = list(reversed(devices))
        self._members: list[_Member] = []
        self._looked = time.monotonic()
        self._grow()

    def __len__(self) -> int:
        return len(self._members) + len(self._vacant)

    def free(self) -> int:
        """Return how many workers have started and wait for an order."""
        return sum(member.ready and not member.tasks for member in self._members)

    def waits_for(self) -> str:
        """Say what its workers wait for, in words, while none of them has found room; else nothing."""
        return "" if any(member.ready for member in self._members) else self._place.wants

    def partners(self) -> list[str]:
        """Return a task of each worker that could do one more together with it, those with the fewest tasks first.

        There are none while a worker has nothing to do: two workers are faster than one that does two tasks.
        """
        if self._replicas == 1 or not all(member.tasks for member in self._members):
            return []
        members = sorted(self._members, key=lambda member: len(member.tasks))
        return [member.tasks[0] for member in members if len(member.tasks) < self._replicas]

    def give(self, order: Order | Measure, beside: str | None = None) -> Mapping[str, str]:
        """Send an order to a worker that waits, or to the one that does the task `beside`.

        Return what that worker runs on: nothing where it is this machine.
        """
        member = next(
            member
            for member in self._members
            if (beside in member.tasks if beside is not None else member.ready and not member.tasks)
        )
        if not member.tasks:
            member.heard = time.monotonic()  # it was silent for as long as it had nothing to do
        member.tasks.append(order.task)
        member.send(order)
        return member.where

    def stop(self, task: str) -> None:
        """Ask for a task to end at its next step."""
        for member in self._members:
            if task in member.tasks:
                member.send(Stop(task))

    def release(self, task: str) -> None:
        """Note that a task has ended: its worker has room again."""
        for member in self._members:
            if task in member.tasks:
                member.tasks.remove(task)
                member.ended.discard(task)

    def narrow(self, task: str, *, joined: bool) -> bool:
        """Do less at once where a task found no memory: fewer a worker, then fewer workers; return if that can help."""
        member = next((member for member in self._members if task in member.tasks), None)
        if joined:
            tasks = len(member.tasks) if member is not None else 1
            self._replicas = max(1, min(self._replicas, tasks) - 1)
            return True
        if member is None or sum(one.worker.device == member.worker.device for one in self._members) == 1:
            return False
        self._dismiss(member)
        return True

    def send_home(self, needed: int) -> None:
        """Send home those that wait, but for as many as are still needed: a cluster has other users."""
        if self._place.caller is None:
            return
        self._vacant = self._vacant[: max(0, needed - len(self._members))]
        idle = [member for member in self._members if not member.tasks]
        for member in sorted(idle, key=lambda member: member.ready)[: max(0, len(idle) - needed)]:
            self._dismiss(member)

    def hear(self, timeout: float) -> Iterator[Message]:
        """Yield what workers have said within `timeout` seconds; a worker that died is replaced.

        Raises:
            StudyError: a worker elsewhere can't be used, or none can be had.
        """
        speaking = {member.worker.connection: member for member in self._members if member.worker.connection}
        bell = self._place.caller
        channels = cast("list[Connection]", [*speaking, bell] if bell else list(speaking))
        for ready in wait(channels, timeout):
            if bell and ready is bell:
                bell.recv()  # from the next time on, the caller is heard
                continue
            channel = cast("executor.Channel", ready)
            member = speaking[channel]
            try:
                while member in self._members and channel.poll():  # a message may have taken it away
                    yield from self._take_in(member, channel.recv())
            except (EOFError, OSError):
                yield from self._replace(member)
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            by_worker = {id(member.worker): member for member in self._members}
            for worker in self._place.gone([member.worker for member in self._members]):
                yield from self._replace(by_worker[id(worker)])
        self._grow()

    def kill_silent(self, seconds: float) -> None:
        """Kill each worker at work that gave no sign of life for so long; `hear` will say that it died, and of what."""
        for member in self._members:
            if member.worker.connection is None:  # it waits for room
                member.heard = time.monotonic()
            silent = time.monotonic() - member.heard
            if silent > seconds and (member.tasks or not member.ready) and member.silent is None:
                member.silent = silent
                member.worker.dump()
                member.worker.kill()

    def close(self) -> None:
        """End all workers: each writes a checkpoint; those that don't end within a few seconds are killed."""
        for member in self._members:
            member.worker.leave()
        for member in self._members:
            member.hang_up()  # those that wait for an order notice, and end
        end = time.monotonic() + STOP_SECONDS
        for member in self._members:
            member.worker.end(end - time.monotonic())
        self._place.close()

    def kill(self) -> None:
        """End all workers at once."""
        for member in self._members:
            member.worker.kill()
        for member in self._members:
            member.worker.end(STOP_SECONDS)
        self._place.close()

    def _take_in(self, member: _Member, message: object) -> Iterator[Told | Measured | Failed]:
        """Note what a worker said of itself; yield what it said of a task."""
        member.heard = time.monotonic()
        if isinstance(message, Ready):
            if why := self._place.objection(message.where):
                raise StudyError(why)
            member.ready, member.where = True, message.where
        elif isinstance(message, Told | Measured | Failed):
            if ends(message):
                member.ended.add(message.task)
            yield message

    def _grow(self) -> None:
        """Ask for workers while some are wanting, and not too many wait for room."""
        asked = sum(not member.ready for member in self._members)
        while self._vacant and asked < self._place.at_once:
            self._members.append(_Member(self._place.start(self._vacant.pop())))
            asked += 1

    def _replace(self, member: _Member) -> list[Died]:
        self._members.remove(member)
        member.hang_up()
        end = member.worker.end(STOP_SECONDS)
        self._vacant.append(member.worker.device)
        tasks = [task for task in member.tasks if task not in member.ended] if member.ready else [None]
        return [Died(task, end.exit_code, end.log, member.silent) for task in tasks]

    def _dismiss(self, member: _Member) -> None:
        self._members.remove(member)
        member.hang_up()  # it notices, and ends
        member.worker.leave()
        member.worker.end(STOP_SECONDS)
