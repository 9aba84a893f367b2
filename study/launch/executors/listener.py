"""The launcher's end of the line to workers on other machines: they call in, and prove that they were asked for."""

import os
import resource
import secrets
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

from study.launch.environment import code
from study.launch.executors.devices import threads_of
from study.launch.executors.door import Door
from study.launch.executors.line import KEY_BYTES, LOGIN, WELCOME, Line
from study.launch.executors.remote import Call, credentials, objection

MOST_FILES = 65536


class CalledWorker(ABC):
    """A worker on another machine, from the launcher's side: what all schedulers have in common."""

    def __init__(self, callers: "Callers", call: Call) -> None:
        """`call` is what the worker was told to call in with."""
        self.device = call.device
        self._number = call.number
        self._callers = callers

    @property
    def connection(self) -> Line | None:
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
    """Lets workers in, each of which has a number and knows a secret."""

    def __init__(self, host: str, shared: Path | None = None) -> None:
        """Listen at one interface of this machine: that of the name or address in STUDY_HOST, or else that of `host`.

        Workers take over the variables with which the artifact store is reached, and must see the folder `shared`.

        Raises:
            StudyError: this machine has no such interface, or it is one that no other machine reaches.
        """
        _allow_many_lines()
        self._door = Door(os.environ.get("STUDY_HOST") or host, self._admit)
        self._key = secrets.token_bytes(KEY_BYTES)
        self._call = Call(
            self._door.host,
            self._door.port,
            self._key,
            self._door.certificate,
            environ=credentials(),
            shared=str(shared or ""),
        )
        self._bell, self._ringer = Pipe(duplex=False)
        self._lock = Lock()
        self._lines: dict[int, Line | None] = {}
        """By number: those that have called in, and None for those that may."""
        self._expected = 0
        self._door.open()

    @property
    def bell(self) -> Connection:
        """Becomes readable when a worker has called in."""
        return self._bell

    def expect(self, device: str, threads: int) -> Call:
        """Return what a further worker must know to call in."""
        self._expected += 1
        self._lines[self._expected] = None
        return self._call.by(self._expected, device, threads)

    def connection(self, number: int) -> Line | None:
        """Return the line to a worker, if it has called in."""
        return self._lines.get(number)

    def forget(self, number: int) -> None:
        """Drop a worker that has ended, and let it in no more."""
        with self._lock:
            line = self._lines.pop(number, None)
        if line is not None:
            line.close()

    def close(self) -> None:
        """Hear nobody any more."""
        self._door.close()
        for number in list(self._lines):
            self.forget(number)

    def _admit(self, login: bytes, line: ssl.SSLSocket) -> bool:
        """Let a caller in that knows the secret, once; it knows this launcher by its certificate."""
        key, number = LOGIN.unpack(login)
        if not secrets.compare_digest(key, self._key):
            return False
        with self._lock:
            if number not in self._lines or self._lines[number] is not None:
                return False
            line.sendall(WELCOME)
            self._lines[number] = Line(line)
        self._ringer.send(number)
        return True


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
