"""What a pool asks of the place where its workers run: this machine, or a cluster by way of its scheduler.

Two things make an executor: a worker that is started, and watched until it ends; and the connection over which it is
talked to, a pipe here and a socket from elsewhere. What is said over it is the same everywhere (`messages.py`).
"""

from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

LOG_BYTES = 64 * 1024
"""What is kept of the end of a dead worker's log, at most."""


def end_of(log: Path) -> str:
    """Return what a worker printed last; nothing where its log can't be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


class End(NamedTuple):
    """How a worker ended."""

    exit_code: int | None
    """Negative for a signal; None where it isn't known."""
    log: str
    """The end of what it printed, or what its scheduler says of it."""


class Channel(Protocol):
    """What messages go over: a pipe's `Connection`, or a `Line` from elsewhere."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there may be something to receive."""

    def send(self, message: Any, /) -> None:
        """Send a message."""

    def poll(self) -> bool:
        """Whether there is something to receive."""

    def recv(self) -> Any:
        """Wait for a message and return it."""

    def close(self) -> None:
        """Hang up."""


class Worker(Protocol):
    """A worker process that was asked for."""

    @property
    def device(self) -> str:
        """What it computes on: `cpu`, `cuda:0`."""

    @property
    def connection(self) -> Channel | None:
        """Where it is heard; None until it has called in, which takes as long as a scheduler has no room for it."""

    def leave(self) -> None:
        """Ask it to write a checkpoint and end; don't wait."""

    def kill(self) -> None:
        """End it at once."""

    def dump(self) -> None:
        """Let it print the stacks of its threads, where that can be done."""

    def end(self, seconds: float) -> End:
        """Wait for its end at most so long, then kill it; return how it ended."""


class Executor(Protocol):
    """Starts workers."""

    @property
    def at_once(self) -> int:
        """How many workers may have been asked for and not yet be there."""

    @property
    def wants(self) -> str:
        """What each needs of a cluster, in words."""

    @property
    def caller(self) -> Connection | None:
        """Becomes readable when a worker calls in; None where workers are connected from the start."""

    def start(self, device: str) -> Worker:
        """Ask for a worker.

        Raises:
            StudyError: it can't be had here at all.
        """

    def gone(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return those of the workers that have ended though their connection may not tell."""

    def objection(self, where: Mapping[str, str]) -> str:
        """Say why a worker that runs where it says can't be used; nothing where it can."""

    def close(self) -> None:
        """Give back all that is held; the workers have ended."""
