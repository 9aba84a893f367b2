"""Messages between the launcher and its workers, and the channel that carries them (a task that broke: `Failure`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from study.config import ProbePlan, RunSpec
from study.events import Diverged, Event, Finished, Interrupted

if TYPE_CHECKING:
    from study.track.artifacts import ArtifactPlace
    from study.train import Speed

RESUME = "resume"
"""Artifact folder with the checkpoints of an unfinished run, where checkpoints go through the artifact store."""


class Channel(Protocol):
    """Carries messages: the `Connection` of a pipe, or a `TlsConnection` to another machine.

    The descriptor `fileno` becomes readable when there may be a message; `poll` returns whether there is one.
    """

    def fileno(self) -> int: ...
    def send(self, message: Any, /) -> None: ...
    def poll(self) -> bool: ...
    def recv(self) -> Any: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class RunTask:
    """To a worker: do a run; `task` is the launcher's name for it."""

    task: str
    spec: RunSpec
    checkpoint: Path
    """Relative to the worker's own folder where the worker doesn't share the launcher's disk."""
    every_seconds: float
    """Seconds between two checkpoints."""
    fingerprint: str = ""
    """Fingerprint of the study's data set; unless it's empty, the worker refuses other data."""
    artifacts: "ArtifactPlace | None" = None
    """Where checkpoints are uploaded, where the worker doesn't share the launcher's disk."""
    keep: bool = True
    """Whether to keep the final weights."""
    probes: ProbePlan | None = None
    """Probes to make."""


@dataclass(frozen=True)
class BenchmarkTask:
    """To a worker: measure the speed of a run without doing it."""

    task: str
    spec: RunSpec
    replicas: int


@dataclass(frozen=True)
class Stop:
    """To a worker: end this task at its next step, with a checkpoint."""

    task: str


@dataclass(frozen=True)
class Ready:
    """From a worker: it has started and waits for a task."""

    info: Mapping[str, str] = field(default_factory=dict)
    """The `environment` and `host` of a worker on another machine; empty on the launcher's machine."""


@dataclass(frozen=True)
class Heartbeat:
    """From a worker: it is alive. Events may be hours apart."""


@dataclass(frozen=True)
class TaskEvent:
    """From a worker: an event of a task."""

    task: str
    event: Event


@dataclass(frozen=True)
class BenchmarkResult:
    """From a worker: the result of a `BenchmarkTask`."""

    task: str
    speed: "Speed"
    device: str


def is_final(message: object) -> bool:
    """Whether a message about a task is the last one: anything but an event, or the event that ends a run."""
    return not isinstance(message, TaskEvent) or isinstance(message.event, Finished | Diverged | Interrupted)
