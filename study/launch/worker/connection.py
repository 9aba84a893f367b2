"""The worker's end of the connection to its launcher."""

import os
import time
from threading import Event
from typing import Any

from study.launch.messages import BenchmarkTask, Channel, Heartbeat, RunTask, Stop

POLL_SECONDS = 0.05
"""Seconds between two checks for messages."""
HEARTBEAT_SECONDS = 2.0


class LauncherGone(BaseException):
    """The launcher has died. Not an `Exception`, so that the handlers of a run's errors don't catch it."""


class LauncherConnection:
    """Receives tasks and stop requests, sends messages, and notices when the launcher has died."""

    def __init__(self, channel: Channel, terminated: Event | None = None) -> None:
        """Take over the channel; `terminated` is set when this process is asked to end."""
        self._channel = channel
        self._parent = os.getppid()
        self._polled_at = self._sent_at = 0.0
        self._stopped: set[str] = set()
        self.tasks: list[RunTask | BenchmarkTask] = []
        """Tasks received and not yet begun."""
        self._terminated = terminated or Event()

    @property
    def terminated(self) -> bool:
        return self._terminated.is_set()

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            LauncherGone: the launcher has died.
        """
        self._sent_at = time.monotonic()
        try:
            self._channel.send(message)
        except OSError:
            raise LauncherGone from None

    def poll(self, *, wait: bool) -> None:
        """Receive the launcher's messages; with `wait`, wait for one, otherwise send a heartbeat if it is due.

        Raises:
            LauncherGone: the launcher has died or closed the connection.
        """
        now = time.monotonic()
        if not wait and now - self._polled_at < POLL_SECONDS:
            return
        self._polled_at = now
        if os.getppid() != self._parent:
            raise LauncherGone
        if not wait and now - self._sent_at >= HEARTBEAT_SECONDS:
            self.send(Heartbeat())
        try:
            while wait or self._channel.poll():
                self._receive(self._channel.recv())
                wait = False
        except (EOFError, OSError):
            if wait or not self.terminated:
                raise LauncherGone from None  # when terminated, the runs still write their checkpoints

    def _receive(self, message: Any) -> None:
        if isinstance(message, Stop):
            self._stopped.add(message.task)
        else:
            self._stopped.discard(message.task)  # a late stop request for an earlier attempt
            self.tasks.append(message)

    def stop(self, task: str) -> bool:
        """Whether the launcher has asked a task to stop."""
        self.poll(wait=False)
        return self.terminated or task in self._stopped
