"""What the launcher does at once: runs and trials in flight, and the cells they belong to."""

import time
from dataclasses import dataclass, field
from typing import Literal

from study.config import RunSpec
from study.events import Epoch
from study.launch.plan import CellPlan
from study.tune import Search, Trial

FLUSH_SECONDS = 2.0
"""Points wait at most so long before they go to MLflow, several in one call."""


@dataclass
class CellState:
    """A cell while the grid runs: its search, its rate once found, and the runs not yet begun."""

    plan: CellPlan
    rate: float | None
    waiting: list[RunSpec]
    search: Search | None = None
    tuning_id: str = ""
    asked_in_vain: bool = False
    """The search had no rate to give; it may have one when a trial has ended."""
    broken: str = ""
    """Why the cell can't go on."""

    @property
    def tuning(self) -> bool:
        """Whether the rate is still to be found."""
        return self.rate is None and not self.broken

    @property
    def cost_left(self) -> float:
        """Multiply-adds not yet begun: cells with most of it go first, so that none is left long at the end."""
        left = len(self.waiting) * self.plan.cell.run_cost
        if self.tuning and self.search is not None:
            left += self.search.left * self.plan.cell.trial_cost
        elif self.tuning:
            left += 1000 * self.plan.cell.trial_cost  # not opened yet: before all others of its size
        return left


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
    attempts: int = 1
    pruned: bool = False
    points: list[Epoch] = field(default_factory=list)
    """The whole curve, earlier attempts included."""
    unsent: list[Epoch] = field(default_factory=list)
    sent_at: float = field(default_factory=time.monotonic)

    @property
    def task(self) -> str:
        """The name it goes by between launcher and workers."""
        return f"{self.kind}-{self.key}"

    def add(self, point: Epoch) -> None:
        """Take in a point of the curve, unless it is known: a run that goes on repeats those after its checkpoint."""
        if not self.points or point.step > self.points[-1].step:
            self.points.append(point)
        if point.step > self.logged and (not self.unsent or point.step > self.unsent[-1].step):
            self.unsent.append(point)

    def due(self) -> bool:
        """Whether its points should go to MLflow now."""
        return bool(self.unsent) and time.monotonic() - self.sent_at > FLUSH_SECONDS
