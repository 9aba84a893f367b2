"""How a launcher hears its workers: all the time, also while it waits for MLflow or a database, and until it ends."""

import time
from collections import deque
from collections.abc import Collection

from study.launch.display import Display, duration
from study.launch.executors.limits import Limits
from study.launch.messages import ends
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.worker_pool import Message, Pool
from study.retry import RetryTimeout

STOP_SECONDS = 5.0
"""How long runs have to write a checkpoint when the launcher is asked to stop."""
ROOM_SECONDS = 15.0
"""How long the first worker on a cluster may take before it is said what is waited for."""
TELL_SECONDS = 3.0
"""How long MLflow or a database may be away before it is said."""
WAIT_SECONDS = 3600.0
"""How long it may be away before the launcher gives up."""


class Hearing:
    """Collects what the workers say; keeps the leases, ends workers that hang, and passes the word to stop on."""

    def __init__(
        self, pool: Pool, leases: Leases, display: Display, limits: Limits, in_flight: Collection[str]
    ) -> None:
        """Hear the workers of `pool`; `in_flight` are the tasks that they have, as they come and go."""
        self._pool = pool
        self._leases = leases
        self._display = display
        self._silent_seconds = limits.silent_seconds
        self._in_flight = in_flight
        self._began = time.monotonic()
        self._told_away = False
        self._stop_by = 0.0
        self.stopping = False
        """Whether the launcher is asked to stop."""
        self.heard: deque[Message] = deque()
        """What is still to be taken in, in order."""
        self.lost: set[str] = set()
        """Leases that another launcher has taken over, because this one was silent for too long."""

    def hear(self, seconds: float) -> None:
        """Collect what the workers say within `seconds`."""
        for message in self._pool.hear(seconds):
            self.heard.append(message)
            self.lost |= self._leases.renew()
        self.lost |= self._leases.renew()
        if (wants := self._pool.waits_for()) and time.monotonic() - self._began > ROOM_SECONDS:
            self._display.say_once(f"waiting for room on the cluster: a worker needs {wants}")
        self._pool.kill_silent(self._silent_seconds)

    def heed_stop(self) -> None:
        """Let every run in flight write a checkpoint and end, once, if the launcher is asked to stop."""
        if self.stopping and not self._stop_by:
            self._stop_by = time.monotonic() + STOP_SECONDS
            self._display.warn("stopping: runs in flight write a checkpoint (press Ctrl-C again to leave at once)")
            for task in self._in_flight:
                self._pool.stop(task)

    @property
    def too_late(self) -> bool:
        """Whether runs have had their time to stop."""
        return self._stop_by > 0 and time.monotonic() > self._stop_by

    def meanwhile(self, why: str, seconds: float) -> None:
        """Keep hearing the workers while MLflow or a database is away: what they say is taken in later, in order.

        Raises:
            RetryTimeout: it was away for too long, or the launcher is asked to stop.
        """
        if seconds >= TELL_SECONDS and not self._told_away:
            self._told_away = True
            self._display.warn(f"waiting for {why}; runs in flight go on, and what they say is kept")
        if seconds >= WAIT_SECONDS:
            raise RetryTimeout(f"{why}; waited {duration(seconds)}. Nothing is lost: the same command goes on")
        self.heed_stop()
        ended = {message.task for message in self.heard if ends(message)}
        if self.stopping and (self.too_late or ended.issuperset(self._in_flight)):
            raise RetryTimeout(why)
        self.hear(min(2.0, 0.2 + seconds / 10))

    def back(self, seconds: float) -> None:
        """Say that what was away is there again, if it was said that it is away."""
        if self._told_away:
            self._told_away = False
            self._display.warn(f"it is back after {duration(seconds)}: nothing is lost")
