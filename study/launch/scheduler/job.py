"""What the launcher does at once: runs and trials in flight, and the cells they belong to."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from study.config import RunSpec
from study.events import Epoch, Probed
from study.launch.plan.cells import CellPlan
from study.tune import Search, Trial

RETRY_SECONDS = 2.0
"""Before a run that broke for a passing cause is tried again; twice as long at each further try."""
AT_ONCE_SECONDS = 2.0
"""How long a launcher begins runs, or logs points, before it hears its workers again and keeps its leases."""


@dataclass
class CellState:
    """A cell while the grid runs: its search, what it found, and the runs not yet begun."""

    plan: CellPlan
    point: dict[str, float] | None
    """Its rate, and whatever else was searched, once found."""
    waiting: list[RunSpec]
    trials: int = 0
    """Trials that its search will have, as far as is known before it is opened."""
    search: Search | None = None
    tuning_id: str = ""
    asked_in_vain: bool = False
    """The search had no rate to give; it may have one when a trial has ended."""
    broken: str = ""
    """Why the cell can't go on."""
    replicas: int = 1
    """Runs or trials of it that a worker trains at once, at most."""
    mixes: bool = False
    """Whether those of other cells may be among them."""
    look_again: float = 0.0
    """When to look again at what another launcher holds, on the monotonic clock."""

    def goes_with(self, other: "CellState") -> bool:
        """Whether a worker can train runs of both at once."""
        return self.replicas > 1 and (self is other or (self.mixes and other.mixes))

    @property
    def tuning(self) -> bool:
        """Whether the rate is still to be found."""
        return self.point is None and not self.broken

    @property
    def lease(self) -> str:
        """Key of the lease of its search."""
        return f"search {self.plan.cell.tuning_key}"

    @property
    def cost_left(self) -> float:
        """What is not yet begun costs so much: cells with most of it go first, so that none is left long at the end."""
        left = sum(self.plan.cell.cost_of(spec) for spec in self.waiting)
        if self.tuning:
            trials = self.trials if self.search is None else self.search.left
            left += trials * self.plan.cell.trial_cost
        return left

    @property
    def turn(self) -> tuple[bool, float]:
        """What orders cells, the greatest first: searches begun before others, which other launchers may take."""
        return self.tuning and self.search is not None, self.cost_left


@dataclass
class Job:
    """A run or trial in flight."""

    kind: Literal["run", "trial"]
    key: str
    name: str
    spec: RunSpec
    cell: CellState
    cost: float
    run_id: str
    logged: int
    """The last iteration whose point is in MLflow."""
    trial: Trial | None = None
    breaks: int = 0
    """How often it broke for a passing cause since it last came to a checkpoint."""
    not_before: float = 0.0
    """When to try it again, on the monotonic clock."""
    unsaved: bool = False
    """Its checkpoint can't be written at present."""
    pruned: bool = False
    outcome: str = ""
    """How it ended, once that is logged."""
    lost: bool = False
    """Another launcher has it now: this one was silent for too long."""
    deleted: bool = False
    """Its run was deleted in MLflow while it was at work."""
    points: list[Epoch] = field(default_factory=list)
    """The whole curve, earlier attempts included."""
    unsent: list[Epoch] = field(default_factory=list)
    probed: list[Probed] = field(default_factory=list)
    """What probes have found, earlier attempts included."""
    where: Mapping[str, str] = field(default_factory=dict)
    """What its worker runs on, where that is another machine."""
    tags: dict[str, str] = field(default_factory=dict)
    """What is to be said of it with the next points."""
    sent_at: float = field(default_factory=time.monotonic)

    @property
    def ours(self) -> bool:
        """Whether its run in MLflow is this launcher's to write to."""
        return not self.lost and not self.deleted

    @property
    def task(self) -> str:
        """The name it goes by between launcher and workers."""
        return f"{self.kind}-{self.key}"

    @property
    def lease(self) -> str:
        """Key of the lease under which it's done: its own, or that of its cell's search."""
        return f"run {self.key}" if self.kind == "run" else self.cell.lease

    def add(self, point: Epoch) -> None:
        """Take in a point of the curve, unless it is known: a run that goes on repeats those after its checkpoint."""
        if not self.points or point.step > self.points[-1].step:
            self.points.append(point)
        if point.step > self.logged and (not self.unsent or point.step > self.unsent[-1].step):
            self.unsent.append(point)

    def broke(self) -> int:
        """Count a break and put the next try off; return how many there were since it last came to a checkpoint."""
        self.breaks += 1
        self.not_before = time.monotonic() + RETRY_SECONDS * 2 ** (self.breaks - 1)
        return self.breaks

    def saved(self) -> None:
        """Note that it came to a checkpoint."""
        self.breaks = 0
        self.unsaved = False

    def sent(self) -> None:
        """Note that all its points are logged."""
        self.logged = max([self.logged, *(point.step for point in self.unsent)])
        self.unsent.clear()
        self.tags.clear()
        self.sent_at = time.monotonic()

    def due(self, seconds: float) -> bool:
        """Whether its points should go to MLflow now, if they may wait so long."""
        return bool(self.unsent) and time.monotonic() - self.sent_at > seconds
