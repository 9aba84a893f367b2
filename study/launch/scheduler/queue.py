"""The remaining work of a running grid: choose the next job, and update its cell when it ends.

Other launchers may work on the same study: a cell's search, and each run, belongs to the one that holds its lease.
"""

import math
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress

from study.config import Grid, RunSpec
from study.events import Diverged, Epoch, Finished, Interrupted
from study.launch.plan.cells import Cell, DataFacts, found_point
from study.launch.scheduler.job import CellState, Job
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.run_logger import RunLogger
from study.track.store import RunDeletedError
from study.tune import QUARTERS, SearchStore, Trial, named, objective_value, trial_spec, with_point, worst_value

COMPARED = {"median": (2, 3), "halving": (1, 2)}
"""Quarters of a trial's training after which each pruner compares it with others. The median skips the first quarter: a
small rate, which can be the best for a deep plain net, is behind at first."""
RECHECK_SECONDS = 2.0
"""Seconds between two checks of the leases of other launchers."""


class WorkQueue:
    """The cells of a grid, and what is left of each."""

    def __init__(
        self,
        grid: Grid,
        cells: list[Cell],
        facts: DataFacts,
        searches: SearchStore,
        leases: Leases,
        run_logger: RunLogger,
        *,
        only_search: bool = False,
    ) -> None:
        """Queue what is left of `cells`.

        With `only_search`, search the rates and begin no run of the grid.
        """
        self._study = grid.name
        self._tune = grid.tune
        self._facts = facts
        self._searches = searches
        self._leases = leases
        self._run_logger = run_logger
        self._only_search = only_search
        waiting = [[] if only_search else [spec for spec, _ in cell.left] for cell in cells]
        self.states = [
            CellState(cell, cell.point, specs, grid.tune.trainings) for cell, specs in zip(cells, waiting, strict=True)
        ]
        self.done_before = sum(len(cell.done) for cell in cells)
        self._held_elsewhere: set[str] = set()
        self._checked_at = -math.inf
        self.done_elsewhere = 0
        """Runs that another launcher has finished since the start."""

    def unfinished(self) -> list[CellState]:
        """Return the cells with work to begin now, after a running trial, or after another launcher releases it."""
        return [state for state in self.states if not state.broken and (state.searching or state.waiting)]

    def runs_left(self) -> int:
        return sum(len(state.waiting) for state in self.states)

    def waiting_cost(self, begun: Iterable[Job]) -> float:
        """Return the cost of all work not begun; `begun` are the jobs that have, whose trials searches count."""
        trials = sum(job.cost for job in begun if job.kind == "trial")
        return max(0.0, sum(state.cost_left for state in self.unfinished()) - trials)

    def next_job(self, beside: CellState | None = None, room: float = 1.0) -> Job | None:
        """Return the next trial of an open search, or else a job of the cell with the most work left.

        Of the cells whose jobs take no more than `room`, a part of a GPU; with `beside`, return a job that a worker can
        train together with one of that cell.
        """
        now = time.monotonic()
        states = [
            state
            for state in self.unfinished()
            if state.fits(room) and (beside is None or state.can_share_worker(beside))
        ]
        for state in sorted(states, key=lambda state: state.priority, reverse=True):
            if (state.exhausted and state.searching) or now < state.retry_at:
                continue
            job = self._next_trial(state) if state.searching else self._next_run(state)
            if job is not None:
                return job
        return None

    def should_prune(self, job: Job, point: Epoch) -> bool:
        """Compare a trial with the others of its cell, at a few points of its course."""
        search, trial = job.state.search, job.trial
        total = job.spec.recipe.iterations or 0
        before = job.points[-2].step if len(job.points) > 1 else 0
        quarter = QUARTERS * point.step // max(1, total)
        known = quarter == QUARTERS * before // max(1, total)
        if search is None or trial is None or known or quarter not in COMPARED.get(self._tune.pruner, ()):
            return False
        return search.is_live(trial) and search.report(trial, quarter, point.train_loss)

    def note(self, job: Job, point: Epoch) -> str:
        """Return the running objective of a trial beside the best one so far, for the display; "" for a run."""
        if job.kind == "run":
            return ""
        value, best = self._in_words(getattr(point, self._tune.objective)), job.state.best
        return value if best is None else f"{value} (best {best[1]:.3g})"

    def _in_words(self, objective: float) -> str:
        return f"{self._tune.objective.replace('_', ' ')} {objective:.3g}"

    def is_needed(self, job: Job) -> bool:
        """Whether a job is still needed: after a trial was pruned or failed, its other seeds aren't."""
        return job.trial is None or job.state.search is None or job.state.search.is_live(job.trial)

    def objective(self, job: Job, event: Finished | Diverged | Interrupted) -> float | None:
        """Return the objective of an ended trial: of a pruned one, the running value at its last point."""
        if job.kind == "run":
            return None
        worst = worst_value(self._tune, self._facts.classes)
        if isinstance(event, Diverged):
            return worst
        if isinstance(event, Finished):
            return objective_value(self._tune, self._facts.classes, vars(event))
        value = getattr(job.points[-1], self._tune.objective) if job.points else None
        return min(value, worst) if value is not None and math.isfinite(value) else None

    def ended(self, job: Job, event: Finished | Diverged | Interrupted, objective: float | None) -> list[str]:
        """Record the logged result of a job, pruned trials included; return lines to display."""
        lines = [] if job.trial is None else self._tell(job.state, job.trial, job.outcome, objective)
        if isinstance(event, Interrupted):
            result = f"pruned at iteration {event.step:,}"
        elif objective is not None:
            result = "diverged" if isinstance(event, Diverged) else self._in_words(objective)
            result += _best_so_far(job.state)
        elif isinstance(event, Diverged):
            result = f"diverged at rate {job.spec.recipe.lr:g} before iteration {event.step:,}"
        else:
            errors = f"training error {event.final_train_error:.2f} %, test error {event.final_test_error:.2f} %"
            result = f"{errors} (rate {job.spec.recipe.lr:g}, {event.seconds:.0f} s)"
        return [f"{job.name}: {result}", *lines]

    def failed(self, job: Job) -> str:
        """Record a failed job; return why its whole cell can't be continued, or ""."""
        if job.trial is not None:
            self._tell(job.state, job.trial, "failed", None)
        return job.state.broken

    def put_back(self, job: Job) -> None:
        """Return a stopped run to the queue; a stopped trial stays open in its search."""
        if job.kind == "run":
            job.state.waiting.append(job.spec)

    def drop_leases(self, leases: set[str]) -> None:
        """Abandon the searches that another launcher has taken over."""
        for state in self.states:
            if state.search is not None and state.lease in leases:
                state.search, state.search_run_id, state.exhausted = None, "", False

    def close(self) -> None:
        """Mark unfinished searches as interrupted, and release all leases."""
        for state in self.states:
            if state.searching and state.search_run_id:
                with suppress(RunDeletedError):
                    self._run_logger.end_search(state, None)
        self._leases.release_all()

    def _next_run(self, state: CellState) -> Job | None:
        """Begin the first waiting run that no other launcher holds; drop runs that another launcher has done."""
        for spec in list(state.waiting):
            lease = self._run_logger.run_lease(spec)
            if not self._acquire(lease):
                continue
            state.waiting.remove(spec)
            if self._run_logger.is_done(spec):
                self.done_elsewhere += 1
                self._leases.release(lease)
                continue
            return self._run_logger.begin_run(state, spec)
        state.retry_at = time.monotonic() + RECHECK_SECONDS
        return None

    def _acquire(self, lease: str) -> bool:
        """Take a lease, unless another launcher held it a moment ago: to try each of many leases is slow."""
        recent = time.monotonic() - self._checked_at < RECHECK_SECONDS
        if recent and lease in self._held_elsewhere:
            return False
        taken = self._leases.acquire(lease)
        if not taken and not recent:
            self._held_elsewhere = self._leases.held_elsewhere()
            self._checked_at = time.monotonic()
        return taken

    def _next_trial(self, state: CellState) -> Job | None:
        if state.search is None:
            if not self._begin_search(state):
                return None
            if not state.searching:  # another launcher found the rate, or this one just before it was stopped
                return self._next_run(state)
        assert state.search is not None  # noqa: S101 (opened above)
        while (trial := state.search.ask()) is not None:
            spec = trial_spec(state.cell.first, trial.point, self._tune, self._facts.train_images, trial.repeat)
            ended = self._run_logger.ended_trial(state, spec, trial)
            if ended is None:
                return self._run_logger.begin_trial(state, spec, trial)
            self._tell(state, trial, *ended)  # it ended just before its launcher died
            if not state.searching:
                return self._next_run(state)
        state.exhausted = True
        return None

    def _begin_search(self, state: CellState) -> bool:
        """Open a cell's search, or take the result of another launcher; return whether either was possible."""
        cell = state.cell
        if not cell.owns_search:
            return self._take_shared_point(state)
        shallower = self._shallower(state) if self._tune.warm_start else None
        if (shallower is not None and shallower.searching) or not self._leases.acquire(state.lease):
            state.retry_at = time.monotonic() + RECHECK_SECONDS
            return False
        record = self._run_logger.search_record(cell.search_key)
        point = found_point(record, self._tune)
        if point is not None:
            self._settle(state, point)
            self._leases.release(state.lease)
            return True
        self._run_logger.take_over(cell.search_key)
        name = f"{self._study}/{cell.name}/{cell.search_key[:8]}"
        state.search = self._searches.search(name, self._tune, seed=zlib.crc32(cell.search_key.encode()))
        if shallower is not None:
            state.search.suggest(shallower.point or {})
        state.search_run_id = self._run_logger.begin_search(state, record)
        self._after_trial(state)  # it may have ended just before its launcher died
        return True

    def _take_shared_point(self, state: CellState) -> bool:
        """Take the point that the cell that owns the search found; return whether it is known."""
        owner = next(
            other for other in self.states if other.cell.owns_search and other.cell.search_key == state.cell.search_key
        )
        if owner.searching:
            state.retry_at = time.monotonic() + RECHECK_SECONDS
        elif owner.point is None:
            state.broken = f"the search of {owner.cell.name}, whose rate it takes, broke"
        else:
            self._settle(state, owner.point)
        return state.point is not None

    def _tell(self, state: CellState, trial: Trial, outcome: str, objective: float | None) -> list[str]:
        """Tell a search how a trial ended, unless another seed has ended the trial; return lines to display."""
        search = state.search
        if search is not None and search.is_live(trial):
            if outcome == "pruned":
                search.prune(trial, objective)
            elif objective is None:
                search.fail(trial)
            else:
                search.tell(trial, objective, diverged=outcome == "diverged")
        return self._after_trial(state)

    def _after_trial(self, state: CellState) -> list[str]:
        """Settle the cell's rate if its search has ended; return lines to display."""
        state.exhausted = False
        search = state.search
        if search is None or not state.searching:
            return []
        state.best = best = search.best()
        if not search.done:
            return []
        if best is None:
            state.broken = "every trial of its learning-rate search broke"
            with suppress(RunDeletedError):
                self._run_logger.end_search(state, None, broken=state.broken)
            self._leases.release(state.lease)
            return []
        point, _ = best
        lines: list[str] = []
        edge = search.edge(point["lr"])
        try:
            self._run_logger.end_search(state, best, edge=edge or "")
        except RunDeletedError:  # Optuna's database has all of it
            state.search_run_id = self._run_logger.begin_search(state, None)
            self._run_logger.end_search(state, best, edge=edge or "")
            lines = [f"{state.cell.name}: its search was deleted in MLflow and is there again"]
        self._leases.release(state.lease)
        self._settle(state, point)
        notes = f", {search.confirmed} of them further seeds of the best" if search.confirmed else ""
        notes += f", {search.widened} beyond the bounds" if search.widened else ""
        notes += f"; still the {edge} rate tried: widen tune.low and tune.high" if edge else ""
        return [*lines, f"{state.cell.name}: {named(point)} after {search.started} trials{notes}"]

    def _settle(self, state: CellState, point: dict[str, float]) -> None:
        state.point = point
        if not self._only_search:
            specs: list[RunSpec] = [with_point(spec, point) for spec in state.cell.specs]
            state.waiting = [spec for spec in specs if not self._run_logger.was_done(spec)]
            self.done_elsewhere += len(specs) - len(state.waiting)  # an earlier search, since deleted, found the same

    def _shallower(self, state: CellState) -> CellState | None:
        """Return the next shallower cell of the same kind whose rate is searched."""
        spec = state.cell.specs[0]
        shallower = [
            other
            for other in self.states
            if other.cell.search_key and other.cell.kind == state.cell.kind and other.cell.specs[0].depth < spec.depth
        ]
        return max(shallower, key=lambda other: other.cell.specs[0].depth, default=None)


def _best_so_far(state: CellState) -> str:
    """Return the best value and rate of a search that goes on, as the end of a line."""
    if state.best is None or not state.searching:
        return ""
    point, value = state.best
    return f", best so far {value:.3g} at {named(point)}"
