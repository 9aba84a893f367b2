"""The interface of executors, which start workers on this machine or through a cluster's scheduler."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, NamedTuple, Protocol

from study.launch.messages import Channel

Devices = tuple[str, ...]
"""Devices of a worker: `("cpu",)`, or one for each rank of runs over several: `("cuda:0", "cuda:1")`."""


def threads_per_process(devices: Devices, cpus: int) -> int:
    """Return the number of threads of each process of a worker with `cpus` CPUs.

    One if the process computes on the CPU: results must not depend on the number of cores.
    """
    return 1 if devices[0] == "cpu" else max(1, cpus // len(devices))


def workers_per_card(gpus: float | None) -> int:
    """Return how many workers a cluster puts on a GPU if each gets `gpus` of them: 4 for 0.25."""
    return int(1 / gpus) if gpus and gpus < 1 else 1


@dataclass(frozen=True)
class Hardware:
    """Hardware that the command line asks for; None and `auto` let the machine decide."""

    device: str = "auto"
    workers: int | None = None
    replicas: int | None = None
    """Runs of one net that a worker trains at once."""
    executor: Literal["local", "ray", "slurm"] = "local"
    address: str | None = None
    """Address of the cluster."""
    cpus: int | None = None
    """CPUs of a worker on a cluster; the next two are also of a worker."""
    gpus: float | None = None
    memory: float | None = None
    """Memory in GiB."""


class WorkerSize(NamedTuple):
    """What a worker gets of a cluster."""

    cpus: int
    gpus: float | None = None
    """May be a fraction on Ray; None lets the cluster decide."""
    memory: float | None = None
    """In GiB."""


@dataclass(frozen=True)
class Limits:
    """Limits of a launcher; they don't change results."""

    retries: int = 2
    """Retries of a run after transient failures, counted since its last checkpoint."""
    checkpoint_seconds: float = 20.0
    """Seconds between two checkpoints of a run."""
    silent_seconds: float = 1800.0
    """Seconds without a heartbeat after which a worker is killed; another one resumes its run."""


class Exit(NamedTuple):
    """How a worker ended."""

    code: int | None
    """Exit code; negative for a signal, None if unknown."""
    log: str
    """The end of its output, or its scheduler's message about it."""


class Worker(Protocol):
    """A worker process that was requested."""

    @property
    def devices(self) -> Devices:
        """The devices that it computes on."""

    @property
    def connection(self) -> Channel | None:
        """Connection to the worker; None until it has connected, which a full cluster may delay."""

    def terminate(self) -> None:
        """Ask the worker to write a checkpoint and end; don't wait for it."""

    def kill(self) -> None:
        """Kill the worker."""

    def dump_stacks(self) -> None:
        """Make the worker print the stacks of its threads, where possible."""

    def wait(self, seconds: float) -> Exit:
        """Wait at most so many seconds for the worker to end, then kill it."""


class Executor(ABC):
    """Starts workers; by default all at once, connected from the start."""

    max_pending = 1_000_000
    """Maximal number of requested workers that haven't started yet."""
    resources = ""
    """What a worker needs of a cluster, for messages: `4 CPU, 1 GPU`."""
    accept: Connection | None = None
    """Becomes readable when a worker connects; None if workers are connected from the start."""

    @abstractmethod
    def start(self, devices: Devices) -> Worker:
        """Request a worker.

        Raises:
            StudyError: this executor can't start any.
        """

    def exited(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return the workers that have ended and whose connections may not show it."""
        return []

    def rejection(self, info: Mapping[str, str]) -> str:
        """Return why a worker with this `Ready.info` must be refused, or ""."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Release all resources; the workers have ended."""
