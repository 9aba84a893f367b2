"""The cells of a running grid: which job comes next, and what the end of one means for its cell.

Other launchers may be at work on the same study: a cell's search, and each run, belongs to who holds its lease.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress

from study.config import Grid, RunSpec
from study.events import Diverged, Epoch, Finished, Interrupted
from study.launch.plan.cells import CellPlan, DataFacts, found_point
from study.launch.scheduler.job import CellState, Job
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.run_logger import Recorder
from study.track.store import RunDeletedError
from study.tune import QUARTERS, Search, Trial, named, objective_value, trial_spec, with_point, worst_value

COMPARED = {"median": (2, 3), "halving": (1, 2)}
"""Quarters of its course at which a trial is compared with others. The median not at the first: a small rate, which can
be the best for a deep plain net, is behind at first."""
LOOK_SECONDS = 2.0
"""Between two looks at what another launcher holds."""


class Cells:
    """Every cell with something left to do."""

    def __init__(
        self,
        grid: Grid,
        plans: list[CellPlan],
        facts: DataFacts,
        open_search: Callable[[str, str], Search],
        leases: Leases,
        *,
        only_search: bool = False,
    ) -> None:
        """Take over the plan; `open_search` opens a cell's search by its name and key.

        With `only_search`, rates are found and no run of the grid is begun.
        """
        self._tune = grid.tune
        self._facts = facts
        self._open_search = open_search
        self._leases = leases
        self._only_search = only_search
        left = [plan for plan in plans if (plan.point is None if only_search else plan.left)]
        self._found = {id(plan): plan.point for plan in plans if plan.point is not None}
        self._plans = plans
        self.states = [
            CellState(plan, plan.point, [] if only_search else [spec for spec, _ in plan.left], grid.tune.trials)
            for plan in left
        ]
        self.done_before = sum(len(plan.done) for plan in plans)
        self._elsewhere: set[str] = set()
        self._looked = -math.inf
        self.done_elsewhere = 0
        """Runs that another launcher brought to a result meanwhile."""

    def more(self) -> bool:
        """Whether anything is left to begin, now, when a trial has ended, or when another launcher lets go of it."""
        return any(not state.broken and (state.tuning or state.waiting) for state in self.states)

    def runs_left(self) -> int:
        """Return the number of runs not yet begun."""
        return sum(len(state.waiting) for state in self.states)

    def next_job(self, recorder: Recorder, beside: CellState | None = None) -> Job | None:
        """Return the next trial of a search begun, or else of the cell with the most work left that has one to give.

        With `beside`, one that a worker can train at once with a job of that cell.
        """
        now = time.monotonic()
        states = self.states if beside is None else [state for state in self.states if state.goes_with(beside)]
        for state in sorted(states, key=lambda state: state.turn, reverse=True):
            if state.broken or (state.asked_in_vain and state.tuning) or now < state.look_again:
                continue
            job = self._next_trial(state, recorder) if state.tuning else self._next_run(state, recorder)
            if job is not None:
                return job
        return None

    def should_prune(self, job: Job, point: Epoch) -> bool:
        """Compare a trial with the others of its cell, a few times in its course."""
        search, trial = job.cell.search, job.trial
        total = job.spec.recipe.iterations or 0
        before = job.points[-2].step if len(job.points) > 1 else 0
        quarter = QUARTERS * point.step // max(1, total)
        known = quarter == QUARTERS * before // max(1, total)
        if search is None or trial is None or known or quarter not in COMPARED.get(self._tune.pruner, ()):
            return False
        return search.is_live(trial) and search.report(trial, quarter, point.train_loss)

    def is_wanted(self, job: Job) -> bool:
        """Whether a job in flight should go on: a trial that was pruned or broke with one seed needs no others."""
        return job.trial is None or job.cell.search is None or job.cell.search.is_live(job.trial)

    def objective(self, job: Job, event: Finished | Diverged | Interrupted) -> float | None:
        """Return what a trial that has ended is judged by: a pruned one by the running value of its last point."""
        if job.kind == "run":
            return None
        worst = worst_value(self._tune, self._facts.classes)
        if isinstance(event, Diverged):
            return worst
        if isinstance(event, Finished):
            return objective_value(self._tune, self._facts.classes, vars(event))
        value = getattr(job.points[-1], self._tune.objective) if job.points else None
        return min(value, worst) if value is not None and math.isfinite(value) else None

    def ended(self, job: Job, event: Finished | Diverged, value: float | None, recorder: Recorder) -> list[str]:
        """Take in a result, and what a trial is judged by; return what to say of it, in lines."""
        if job.kind == "run":
            if isinstance(event, Diverged):
                return [f"{job.name}: diverged at rate {job.spec.recipe.lr:g} before iteration {event.step:,}"]
            return [
                f"{job.name}: training error {event.final_train_error:.2f} %, test error {event.final_test_error:.2f} %"
                f" (rate {job.spec.recipe.lr:g}, {event.seconds:.0f} s)"
            ]
        search, trial = job.cell.search, job.trial
        if search is None or trial is None or value is None:
            return []
        diverged = isinstance(event, Diverged)
        said = "diverged" if diverged else f"{self._tune.objective.replace('_', ' ')} {value:.3g}"
        if search.is_live(trial):
            search.tell(trial, value, diverged=diverged)
        return [f"{job.name}: {said}", *self._after_trial(job.cell, recorder)]

    def pruned(self, job: Job, event: Interrupted, recorder: Recorder) -> list[str]:
        """Take in a trial that was stopped early; return what to say of it, in lines."""
        if job.cell.search is not None and job.trial is not None and job.cell.search.is_live(job.trial):
            job.cell.search.prune(job.trial)
        return [f"{job.name}: pruned at iteration {event.step:,}", *self._after_trial(job.cell, recorder)]

    def failed(self, job: Job, recorder: Recorder) -> str:
        """Take in a job that broke; return why its whole cell is lost, where it is."""
        if job.cell.search is not None and job.trial is not None:
            if job.cell.search.is_live(job.trial):
                job.cell.search.fail(job.trial)
            self._after_trial(job.cell, recorder)
            return job.cell.broken
        return ""

    def put_back(self, job: Job) -> None:
        """Count a stopped run among those left; a stopped trial stays open in its search."""
        if job.kind == "run":
            job.cell.waiting.append(job.spec)

    def lose(self, leases: set[str]) -> None:
        """Let go of the searches that another launcher has taken over."""
        for state in self.states:
            if state.search is not None and state.lease in leases:
                state.search, state.tuning_id, state.asked_in_vain = None, "", False

    def close(self, recorder: Recorder) -> None:
        """Mark the searches that haven't ended as interrupted, and let other launchers have everything."""
        for state in self.states:
            if state.tuning and state.tuning_id:
                with suppress(RunDeletedError):
                    recorder.end_tuning(state, None)
        self._leases.release_all()

    def _next_run(self, state: CellState, recorder: Recorder) -> Job | None:
        """Begin the first waiting run that no other launcher has; drop those that another has done."""
        for spec in list(state.waiting):
            lease = recorder.run_lease(spec)
            if self._is_elsewhere(lease) or not self._leases.acquire(lease):
                self._look_elsewhere()
                continue
            state.waiting.remove(spec)
            if recorder.is_done(spec):
                self.done_elsewhere += 1
                self._leases.release(lease)
                continue
            return recorder.begin_run(state, spec)
        state.look_again = time.monotonic() + LOOK_SECONDS
        return None

    def _is_elsewhere(self, lease: str) -> bool:
        """Whether another launcher held a lease a moment ago: of a thousand, each isn't asked for each time."""
        return time.monotonic() - self._looked < LOOK_SECONDS and lease in self._elsewhere

    def _look_elsewhere(self) -> None:
        """Note all that others hold, if the last look is no longer new."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._elsewhere = self._leases.held_elsewhere()
            self._looked = time.monotonic()

    def _next_trial(self, state: CellState, recorder: Recorder) -> Job | None:
        cell = state.plan.cell
        if state.search is None:
            if not self._begin_search(state, recorder):
                return None
            if not state.tuning:  # another launcher found the rate, or it was found just before this one was stopped
                return self._next_run(state, recorder)
        assert state.search is not None  # noqa: S101 (opened above)
        while (trial := state.search.ask()) is not None:
            spec = trial_spec(cell.specs[0], trial.point, self._tune, self._facts.train_images, trial.repeat)
            ended = recorder.ended_trial(state, spec, trial)
            if ended is None:
                return recorder.begin_trial(state, spec, trial)
            self._tell_late(state.search, trial, *ended)
            self._after_trial(state, recorder)
            if not state.tuning:
                return self._next_run(state, recorder)
        state.asked_in_vain = True
        return None

    def _tell_late(self, search: Search, trial: Trial, outcome: str, value: float) -> None:
        """Tell a search of a trial that ended just before the launcher that did it."""
        if outcome == "pruned":
            search.prune(trial)
        else:
            search.tell(trial, value, diverged=outcome == "diverged")

    def _begin_search(self, state: CellState, recorder: Recorder) -> bool:
        """Open a cell's search, or take over what another launcher found; return whether either is done."""
        cell = state.plan.cell
        shallower = self._shallower(state) if self._tune.warm_start else None
        if (shallower is not None and self._point_of(shallower) is None) or not self._leases.acquire(state.lease):
            state.look_again = time.monotonic() + LOOK_SECONDS
            return False
        record = recorder.tuning_record(cell.tuning_key)
        point = found_point(record, self._tune)
        if point is not None:
            self._settle(state, point, recorder)
            self._leases.release(state.lease)
            return True
        recorder.take_over(cell.tuning_key)
        state.search = self._open_search(cell.name, cell.tuning_key)
        if shallower is not None and (warm := self._point_of(shallower)) is not None:
            state.search.suggest(warm)
        state.tuning_id = recorder.begin_tuning(state, record)
        self._after_trial(state, recorder)  # it may have ended just before the launcher did
        return True

    def _after_trial(self, state: CellState, recorder: Recorder) -> list[str]:
        """Settle the cell's rate where its search has ended; return what to say then."""
        state.asked_in_vain = False
        search = state.search
        if search is None or not search.done or not state.tuning:
            return []
        best = search.best()
        if best is None:
            state.broken = "every trial of its learning-rate search broke"
            with suppress(RunDeletedError):
                recorder.end_tuning(state, None, broken=state.broken)
            self._leases.release(state.lease)
            return []
        point, _ = best
        again: list[str] = []
        edge = search.edge(point["lr"])
        try:
            recorder.end_tuning(state, best, edge=edge or "")
        except RunDeletedError:  # Optuna's database has it all
            state.tuning_id = recorder.begin_tuning(state, None)
            recorder.end_tuning(state, best, edge=edge or "")
            again = [f"{state.plan.cell.name}: its search was deleted in MLflow and is there again"]
        self._leases.release(state.lease)
        self._settle(state, point, recorder)
        notes = f", {search.widened} beyond the bounds" if search.widened else ""
        notes += f"; still the {edge} rate tried: widen tune.low and tune.high" if edge else ""
        return [*again, f"{state.plan.cell.name}: {named(point)} after {search.started} trials{notes}"]

    def _settle(self, state: CellState, point: dict[str, float], recorder: Recorder) -> None:
        state.point = self._found[id(state.plan)] = point
        if not self._only_search:
            specs: list[RunSpec] = [with_point(spec, point) for spec in state.plan.cell.specs]
            state.waiting = [spec for spec in specs if not recorder.was_done(spec)]
            self.done_elsewhere += len(specs) - len(state.waiting)  # their search was deleted, and came to the same

    def _shallower(self, state: CellState) -> CellPlan | None:
        """Return the next shallower cell of the same kind whose rate is searched."""
        here = state.plan.cell.specs[0]
        kin = [
            plan
            for plan in self._plans
            if plan.cell.tuning_key
            and plan.cell.variant == state.plan.cell.variant
            and (spec := plan.cell.specs[0]).architecture == here.architecture
            and spec.net.family == here.net.family
            and spec.depth < here.depth
        ]
        return max(kin, key=lambda plan: plan.cell.specs[0].depth, default=None)

    def _point_of(self, plan: CellPlan) -> dict[str, float] | None:
        """Return what a cell's search found; nothing (an empty point) where it broke."""
        if any(state.plan is plan and state.broken for state in self.states):
            return {}
        return self._found.get(id(plan))
