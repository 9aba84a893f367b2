"""What launcher and workers say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from study.config import ProbePlan, RunSpec
from study.events import Diverged, Event, Finished, Interrupted

if TYPE_CHECKING:
    from study.track.artifacts import ArtifactPlace
    from study.train import Speed


RESUME = "resume"
"""Folder of a run's artifacts with the checkpoints from which it goes on, where they go through the store."""


@dataclass(frozen=True)
class Order:
    """A run to do, under the launcher's name for it."""

    task: str
    spec: RunSpec
    checkpoint: Path
    """Relative to a folder of the worker's own where it doesn't share the launcher's disk."""
    every_seconds: float
    fingerprint: str = ""
    """Of the data that the launcher has planned with: the worker's must be the same, where it is given."""
    artifacts: "ArtifactPlace | None" = None
    """Where its checkpoints go as well, where the worker doesn't share the launcher's disk."""
    keep: bool = True
    """Whether its last weights are kept."""
    probes: ProbePlan | None = None
    """What is measured of it beside its curve."""


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

    where: Mapping[str, str] = field(default_factory=dict)
    """What it runs on (see `environment`) and its `host`, where that isn't the launcher's machine."""


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
