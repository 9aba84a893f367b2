"""What launcher and workers say to each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.config import RunSpec
from study.events import Diverged, Event, Finished, Interrupted

if TYPE_CHECKING:
    from study.train import Speed


@dataclass(frozen=True)
class Order:
    """A run to do, under the launcher's name for it."""

    task: str
    spec: RunSpec
    checkpoint: Path
    every_seconds: float


@dataclass(frozen=True)
class Measure:
    """A run whose speed is to be measured; it isn't done."""

    task: str
    spec: RunSpec
    replicas: int


@dataclass(frozen=True)
class Stop:
    """End this task at its next step, with a checkpoint."""

    task: str


@dataclass(frozen=True)
class Ready:
    """The worker has started and waits for an order."""


@dataclass(frozen=True)
class Alive:
    """The worker is at work: a sign of life between events, which may be hours apart."""


@dataclass(frozen=True)
class Told:
    """An event of a task."""

    task: str
    event: Event


@dataclass(frozen=True)
class Measured:
    """What a `Measure` came to."""

    task: str
    speed: "Speed"


@dataclass(frozen=True)
class Failed:
    """A task broke: the cause in a line, and the whole traceback."""

    task: str
    cause: str
    traceback: str
    out_of_memory: bool = False
    """The device had too little of it left."""
    joined: bool = False
    """The worker had other tasks as well."""
    passing: bool = False
    """The cause lies in the machine, not in the run: it may be gone at the next try."""


def ends(message: object) -> bool:
    """Whether a task is over with what was said of it."""
    return not isinstance(message, Told) or isinstance(message.event, Finished | Diverged | Interrupted)
