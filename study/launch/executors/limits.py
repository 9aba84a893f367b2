"""What a launcher computes on, what it puts up with, and how often runs put themselves away."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Hardware:
    """What a launcher is to compute on; None and `auto` where the machine decides."""

    device: str = "auto"
    workers: int | None = None
    replicas: int | None = None
    """Runs of one net that a worker trains as one."""
    executor: Literal["local", "ray", "slurm"] = "local"
    address: str | None = None
    """Of the cluster."""
    cpus: int | None = None
    """Of a worker on a cluster, like the next two."""
    gpus: float | None = None
    memory: float | None = None
    """In GiB."""


@dataclass(frozen=True)
class Limits:
    """Limits of one launcher; none of them changes a result."""

    retries: int = 2
    """How often a run that broke for a passing cause is tried again without having come any further."""
    checkpoint_seconds: float = 20.0
    """Between two checkpoints of a run."""
    silent_seconds: float = 1800.0
    """A worker that gives no sign of life for so long hangs: it is killed, and its run goes on in another."""
