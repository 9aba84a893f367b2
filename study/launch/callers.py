"""The launcher's end of the line to workers on other machines: they call in, and prove that they were asked for."""

import os
import resource
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from threading import Lock, Thread

from study.launch.devices import threads_of
from study.launch.environment import code
from study.launch.remote import Call, credentials, hold_line, objection

MOST_FILES = 65536
BACKLOG = 512
"""Workers that may call in at the same moment."""


class CalledWorker(ABC):
    """A worker on another machine, from the launcher's side: what all schedulers have in common."""

    def __init__(self, callers: "Callers", call: Call) -> None:
        """`call` is what the worker was told to call in with."""
        self.device = call.device
        self._number = call.number
        self._callers = callers

    @property
    def connection(self) -> Connection | None:
        """The line to it, once its scheduler has found it a place."""
        return self._callers.connection(self._number)

    def leave(self) -> None:
        """Take it out of the queue, or do nothing: it ends when the launcher hangs up."""
        if self.connection is None:
            self.kill()

    def dump(self) -> None:  # noqa: B027 (it can't be done from here)
        """Do nothing: its process is on another machine."""

    def forget(self) -> None:
        """Drop the line to it."""
        self._callers.forget(self._number)

    @abstractmethod
    def kill(self) -> None:
        """End it at once, or take it out of the queue."""


class Callers:
    """Listens for workers, each of which has a number and knows a secret."""

    def __init__(self, host: str, shared: Path | None = None) -> None:
        """Listen; `host` is the name or address of this machine by which workers reach it, unless STUDY_HOST says so.

        They take over the variables with which the artifact store is reached, and must see the folder `shared`.
        """
        host = os.environ.get("STUDY_HOST", host)
        _allow_many_lines()
        self._listener = Listener(("", 0), family="AF_INET", backlog=BACKLOG)
        self._key = secrets.token_bytes(32)
        self._call = Call(
            host, int(self._listener.address[1]), self._key, environ=credentials(), shared=str(shared or "")
        )
        self._bell, self._ringer = Pipe(duplex=False)
        self._lock = Lock()
        self._arrived: dict[int, Connection] = {}
        self._expected = 0
        self._closed = False
        Thread(target=self._listen, daemon=True).start()

    @property
    def bell(self) -> Connection:
        """Becomes readable when a worker has called in."""
        return self._bell

    def expect(self, device: str, threads: int) -> Call:
        """Return what a further worker must know to call in."""
        self._expected += 1
        return self._call.by(self._expected, device, threads)

    def connection(self, number: int) -> Connection | None:
        """Return the line to a worker, if it has called in."""
        return self._arrived.get(number)

    def forget(self, number: int) -> None:
        """Drop a worker that has ended."""
        self._arrived.pop(number, None)

    def close(self) -> None:
        """Hear nobody any more."""
        self._closed = True
        with suppress(OSError):  # wakes the one that listens
            socket.create_connection(("127.0.0.1", self._call.port), timeout=1).close()
        self._listener.close()

    def _listen(self) -> None:
        while not self._closed:
            with suppress(OSError, EOFError):
                caller = self._listener.accept()
                Thread(target=self._admit, args=(caller,), daemon=True).start()  # a slow one keeps no other waiting

    def _admit(self, caller: Connection) -> None:
        """Let a caller in that knows the secret; it knows then that this launcher does."""
        try:
            deliver_challenge(caller, self._key)
            answer_challenge(caller, self._key)
            number = int(caller.recv_bytes(32))
        except (AuthenticationError, OSError, EOFError, ValueError):
            caller.close()
            return
        hold_line(caller)
        with self._lock:
            self._arrived[number] = caller
            self._ringer.send(number)


class CallingExecutor:
    """What the executors of all clusters have in common: workers of one size, which call in."""

    def __init__(self, host: str, shared: Path | None, *, cpus: int, gpus: float, memory: float | None) -> None:
        """Listen for workers; `cpus`, `gpus` and `memory` (in GiB) are those of each. For the rest see `Callers`."""
        self._callers = Callers(host, shared)
        self._cpus = cpus
        self.wants = f"{cpus} CPU, {gpus:g} GPU" + (f", {memory:g} GiB" if memory is not None else "")

    @property
    def caller(self) -> Connection:
        """Becomes readable when a worker calls in."""
        return self._callers.bell

    def objection(self, where: Mapping[str, str]) -> str:
        """Say why a worker that runs where it says can't be used; nothing where it can."""
        return objection(where, code())

    def expect(self, device: str) -> Call:
        """Return what a further worker must know to call in."""
        return self._callers.expect(device, threads_of(device, self._cpus))

    def close(self) -> None:
        """Hear nobody any more."""
        self._callers.close()


def _allow_many_lines() -> None:
    """Let this process hold as many lines as the system allows: the usual 1,024 files are fewer than a big cluster."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
