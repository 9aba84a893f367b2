"""What the worker pool needs of an executor, which starts workers on this machine or through a cluster's scheduler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, NamedTuple, Protocol

from study.launch.messages import Channel

Devices = tuple[str, ...]
"""Devices of a worker: `("cpu",)`, or one for each rank of runs over several: `("cuda:0", "cuda:1")`."""


@dataclass(frozen=True)
class Hardware:
    """Hardware that the command line asks for; None and `auto` let the machine decide."""

    device: str = "auto"
    workers: int | None = None
    replicas: int | None = None
    """Runs of one net that a worker trains at once."""
    executor: Literal["local", "ray", "slurm"] = "local"
    address: str | None = None
    """Of the cluster."""
    cpus: int | None = None
    """Of a worker on a cluster, as are the next two."""
    gpus: float | None = None
    memory: float | None = None
    """In GiB."""


@dataclass(frozen=True)
class Limits:
    """Limits of a launcher; none of them changes a result."""

    retries: int = 2
    """How often a run is retried after a transient failure without having reached another checkpoint."""
    checkpoint_seconds: float = 20.0
    """Between two checkpoints of a run."""
    silent_seconds: float = 1800.0
    """A worker without a heartbeat for so long hangs: it is killed, and another one resumes its run."""


class Exit(NamedTuple):
    """How a worker ended."""

    code: int | None
    """Negative for a signal; None if unknown."""
    log: str
    """The end of its output, or what its scheduler says of it."""


class Worker(Protocol):
    """A worker process that was requested."""

    @property
    def devices(self) -> Devices:
        """What it computes on."""

    @property
    def connection(self) -> Channel | None:
        """Connection to the worker, or None until it has connected: a scheduler may have no room for it yet."""

    def terminate(self) -> None:
        """Ask it to write a checkpoint and end; don't wait."""

    def kill(self) -> None:
        """Kill it."""

    def dump_stacks(self) -> None:
        """Let it print the stacks of its threads, where that is possible."""

    def wait(self, seconds: float) -> Exit:
        """Wait for its end at most so long, then kill it."""


class Executor(Protocol):
    """Starts workers."""

    @property
    def max_pending(self) -> int:
        """How many workers may be requested that haven't started yet."""

    @property
    def resources(self) -> str:
        """What a worker needs of a cluster, for messages: `4 CPU, 1 GPU`."""

    @property
    def accept(self) -> Connection | None:
        """Becomes readable when a worker connects; None if workers are connected from the start."""

    def start(self, devices: Devices) -> Worker:
        """Request a worker.

        Raises:
            StudyError: this executor can't start any.
        """

    def exited(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return the workers that have ended, as far as their connections may not show it."""

    def rejection(self, info: Mapping[str, str]) -> str:
        """Return why a worker with this `Ready.info` must be refused, or ""."""

    def close(self) -> None:
        """Release all resources; the workers have ended."""
