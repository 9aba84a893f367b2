"""The state of a running grid: its cells, and the jobs (runs and trials) in flight."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from study.config import RunSpec
from study.events import Epoch, Probed
from study.launch.plan.cells import Cell
from study.tune import Search, Trial

RETRY_SECONDS = 2.0
"""Seconds before the first retry after a transient failure; doubled with each further one."""
ROUNDING = 1e-9
"""Of sums of the parts of a GPU that jobs take."""
BATCH_SECONDS = 2.0
"""Maximal seconds of starting jobs or logging points before workers are polled and leases renewed."""


@dataclass
class CellState:
    """A cell while the grid runs: its search, the point found, and the runs not yet begun."""

    cell: Cell
    point: dict[str, float] | None
    """The rate of its runs and the other searched fields; None until the search has ended."""
    waiting: list[RunSpec]
    trainings: int = 0
    """Planned for a search, as long as that isn't open."""
    search: Search | None = None
    search_run_id: str = ""
    """Id of the search's run in MLflow."""
    best: tuple[dict[str, float], float] | None = None
    """Point and value of the best trial so far; None while there is none."""
    exhausted: bool = False
    """The search has no further trial until one in flight has ended."""
    broken: str = ""
    """Why the cell can't be continued."""
    replicas: int = 1
    """Maximal jobs of this cell that a worker trains at once."""
    mixes: bool = False
    """Whether a worker may train jobs of other cells with them."""
    share: float = 0.0
    """Part of a GPU that a job takes."""
    retry_at: float = 0.0
    """When to check the leases of other launchers again, on the monotonic clock."""

    def can_share_worker(self, other: "CellState") -> bool:
        """Whether a worker can train jobs of both cells at once."""
        return self.replicas > 1 and (self is other or (self.mixes and other.mixes))

    def fits(self, room: float) -> bool:
        """Whether a job can begin where so large a part of a GPU is left."""
        return self.share <= room + ROUNDING

    @property
    def searching(self) -> bool:
        return self.point is None and not self.broken

    @property
    def lease(self) -> str:
        return f"search {self.cell.search_key}"

    @property
    def cost_left(self) -> float:
        """Cost of the work not yet begun."""
        left = sum(self.cell.cost_of(spec) for spec in self.waiting)
        if self.searching:
            trainings = self.trainings if self.search is None else self.search.trainings_left
            left += trainings * self.cell.trial_cost
        return left

    @property
    def priority(self) -> tuple[bool, float]:
        """Order of cells, greatest first: open searches, since no other launcher can do them; then most work left."""
        return self.searching and self.search is not None, self.cost_left


@dataclass
class Job:
    """A run or trial in flight."""

    kind: Literal["run", "trial"]
    key: str
    name: str
    spec: RunSpec
    state: CellState
    """State of its cell."""
    cost: float
    run_id: str
    logged: int
    """The last iteration whose point is in MLflow."""
    trial: Trial | None = None
    breaks: int = 0
    """Transient failures since its last checkpoint."""
    not_before: float = 0.0
    """When to retry it, on the monotonic clock."""
    unsaved: bool = False
    """Whether its checkpoint can't be written at present."""
    pruned: bool = False
    outcome: str = ""
    """Outcome, once it is logged."""
    lease_lost: bool = False
    """Whether another launcher has taken it over, because this one was silent for too long."""
    deleted: bool = False
    """Whether its run was deleted in MLflow."""
    points: list[Epoch] = field(default_factory=list)
    """The whole curve, earlier attempts included."""
    pending: list[Epoch] = field(default_factory=list)
    """Points that aren't yet in MLflow."""
    probed: list[Probed] = field(default_factory=list)
    """Results of probes, earlier attempts included."""
    worker_info: Mapping[str, str] = field(default_factory=dict)
    """Environment of its worker, if that is on another machine."""
    tags: dict[str, str] = field(default_factory=dict)
    """Tags to set with the next points."""
    flushed_at: float = field(default_factory=time.monotonic)

    @property
    def writable(self) -> bool:
        """Whether this launcher may still write to its run in MLflow."""
        return not self.lease_lost and not self.deleted

    @property
    def task(self) -> str:
        """Its name between launcher and workers."""
        return f"{self.kind}-{self.key}"

    @property
    def lease(self) -> str:
        """Key of the lease under which the job runs: the run's or the search's."""
        return f"run {self.key}" if self.kind == "run" else self.state.lease

    def add(self, point: Epoch) -> None:
        """Add a point of the curve, unless it is known: a resumed run repeats those after its checkpoint."""
        if not self.points or point.step > self.points[-1].step:
            self.points.append(point)
        if point.step > self.logged and (not self.pending or point.step > self.pending[-1].step):
            self.pending.append(point)

    def failed_transiently(self) -> int:
        """Set the time of the next attempt; return the number of failures since the last checkpoint."""
        self.breaks += 1
        self.not_before = time.monotonic() + RETRY_SECONDS * 2 ** (self.breaks - 1)
        return self.breaks

    def saved(self) -> None:
        self.breaks = 0
        self.unsaved = False

    def flushed(self) -> None:
        self.logged = max([self.logged, *(point.step for point in self.pending)])
        self.pending.clear()
        self.tags.clear()
        self.flushed_at = time.monotonic()

    def due(self, seconds: float) -> bool:
        """Whether points have waited longer than `seconds`."""
        return bool(self.pending) and time.monotonic() - self.flushed_at > seconds
