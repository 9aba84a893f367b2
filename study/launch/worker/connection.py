"""A worker's end of the line to its launcher."""

import os
import time
from threading import Event
from typing import Any

from study.launch.executors.base import Channel
from study.launch.messages import Alive, Measure, Order, Stop

POLL_SECONDS = 0.05
"""Time between two looks for a message from the launcher."""
ALIVE_SECONDS = 2.0
"""Time between two signs of life."""


class Gone(BaseException):
    """The launcher is no more: nobody hears what this worker says. Nothing that contains a run's errors catches it."""


class Wire:
    """Hears orders and words to stop, notices the launcher's end, and says what there is to say."""

    def __init__(self, connection: Channel, terminated: Event | None = None) -> None:
        """Take over the connection; `terminated` is set when this process is told to end."""
        self._connection = connection
        self._parent = os.getppid()
        self._looked = self._said = 0.0
        self._stopped: set[str] = set()
        self.orders: list[Order | Measure] = []
        self._terminated = terminated or Event()

    @property
    def terminated(self) -> bool:
        """Whether this process is told to end."""
        return self._terminated.is_set()

    def say(self, message: object) -> None:
        """Send a message.

        Raises:
            Gone: the launcher has died.
        """
        self._said = time.monotonic()
        try:
            self._connection.send(message)
        except OSError:
            raise Gone from None

    def listen(self, *, wait: bool) -> None:
        """Take in what the launcher has said; with `wait`, wait until it says something; else give a sign of life.

        Raises:
            Gone: the launcher has died or hung up.
        """
        now = time.monotonic()
        if not wait and now - self._looked < POLL_SECONDS:
            return
        self._looked = now
        if os.getppid() != self._parent:
            raise Gone
        if not wait and now - self._said >= ALIVE_SECONDS:
            self.say(Alive())
        try:
            while wait or self._connection.poll():
                self._take(self._connection.recv())
                wait = False
        except (EOFError, OSError):
            if wait or not self.terminated:
                raise Gone from None  # else its runs are being put away: nobody need hear of it

    def _take(self, message: Any) -> None:
        if isinstance(message, Stop):
            self._stopped.add(message.task)
        else:
            self._stopped.discard(message.task)  # a late word to stop it, when it was here before
            self.orders.append(message)

    def stop(self, task: str) -> bool:
        """Whether a task should stop, by all that the launcher has said so far."""
        self.listen(wait=False)
        return self.terminated or task in self._stopped
