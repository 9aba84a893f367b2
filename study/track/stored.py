"""A run as MLflow has it, in plain values."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredRun:
    """A run of any kind: its parameters, its tags, and the last value of each of its metrics."""

    run_id: str
    name: str
    status: str
    """MLflow's: RUNNING, FINISHED, FAILED or KILLED."""
    start_time: int
    """In milliseconds since 1970."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    digest: str = ""
    """Of the data set that it's linked to."""
