"""The cells of a running grid: which job comes next, and what the end of one means for its cell."""

import math
from collections.abc import Callable

from study.config import Grid
from study.events import Diverged, Epoch, Finished, Interrupted
from study.launch.jobs import CellState, Job
from study.launch.plan import CellPlan, DataFacts
from study.launch.record import Recorder
from study.tune import Search, objective_value, trial_spec, worst_value

QUARTERS = 4
"""A trial is compared with the others at the quarters of its course, from the half on: a small rate, which can be the
best for a deep plain net, is behind at first."""


class Cells:
    """Every cell with something left to do."""

    def __init__(
        self,
        grid: Grid,
        plans: list[CellPlan],
        facts: DataFacts,
        open_search: Callable[[str, str], Search],
    ) -> None:
        """Take over the plan; `open_search` opens a cell's search by its name and key."""
        self._tune = grid.tune
        self._facts = facts
        self._open_search = open_search
        self.states = [CellState(plan, plan.rate, [spec for spec, _ in plan.left]) for plan in plans if plan.left]
        self.done_before = sum(len(plan.done) for plan in plans)

    def more(self) -> bool:
        """Whether anything is left to begin, now or when a trial has ended."""
        return any(not state.broken and (state.tuning or state.waiting) for state in self.states)

    def runs_left(self) -> int:
        """Return the number of runs not yet begun."""
        return sum(len(state.waiting) for state in self.states)

    def next_job(self, recorder: Recorder) -> Job | None:
        """Return the next run or trial, of the cell with the most work left that has one to give."""
        for state in sorted(self.states, key=lambda state: state.cost_left, reverse=True):
            if state.broken or (state.asked_in_vain and state.tuning):
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
        if search is None or trial is None or known or quarter not in (2, 3):
            return False
        return search.report(trial.number, point.step, point.train_loss)

    def ended(self, job: Job, event: Finished | Diverged, recorder: Recorder) -> list[str]:
        """Take in a result; return what to say of it, in lines."""
        if job.kind == "run":
            if isinstance(event, Diverged):
                return [f"{job.name}: diverged at rate {job.spec.recipe.lr:g} before iteration {event.step:,}"]
            return [
                f"{job.name}: training error {event.final_train_error:.2f} %, test error {event.final_test_error:.2f} %"
                f" (rate {job.spec.recipe.lr:g}, {event.seconds:.0f} s)"
            ]
        search, trial = job.cell.search, job.trial
        if search is None or trial is None:
            return []
        said = "diverged"
        if isinstance(event, Diverged):
            value = worst_value(self._tune, self._facts.classes)
        else:
            value = objective_value(self._tune, self._facts.classes, vars(event))
            said = f"{self._tune.objective.replace('_', ' ')} {value:.3g}"
        search.tell(trial.number, value, diverged=isinstance(event, Diverged))
        recorder.objective(job, value)
        return [f"{job.name}: {said}", *self._after_trial(job.cell, recorder)]

    def pruned(self, job: Job, event: Interrupted, recorder: Recorder) -> list[str]:
        """Take in a trial that was stopped early; its value is the running one of its last point."""
        if job.cell.search is not None and job.trial is not None:
            job.cell.search.prune(job.trial.number)
        value = getattr(job.points[-1], self._tune.objective) if job.points else None
        if value is not None and math.isfinite(value):
            recorder.objective(job, min(value, worst_value(self._tune, self._facts.classes)))
        return [f"{job.name}: pruned at iteration {event.step:,}", *self._after_trial(job.cell, recorder)]

    def failed(self, job: Job, recorder: Recorder) -> str:
        """Take in a job that broke; return why its whole cell is lost, where it is."""
        if job.kind == "trial" and job.cell.search is not None and job.trial is not None:
            job.cell.search.fail(job.trial.number)
            self._after_trial(job.cell, recorder)
            return job.cell.broken
        return ""

    def put_back(self, job: Job) -> None:
        """Count a stopped run among those left; a stopped trial stays open in its search."""
        if job.kind == "run":
            job.cell.waiting.append(job.spec)

    def close(self, recorder: Recorder) -> None:
        """Mark the searches that haven't ended as interrupted."""
        for state in self.states:
            if state.tuning and state.tuning_id:
                recorder.end_tuning(state, None)

    def _next_run(self, state: CellState, recorder: Recorder) -> Job | None:
        return recorder.begin_run(state, state.waiting.pop(0)) if state.waiting else None

    def _next_trial(self, state: CellState, recorder: Recorder) -> Job | None:
        cell = state.plan.cell
        if state.search is None:
            state.search = self._open_search(cell.name, cell.tuning_key)
            state.tuning_id = recorder.begin_tuning(state)
            if self._after_trial(state, recorder):  # it ended just before the launcher did
                return self._next_run(state, recorder)
        trial = state.search.ask()
        if trial is None:
            state.asked_in_vain = True
            return None
        spec = trial_spec(cell.specs[0], trial.rate, self._tune, self._facts.train_images)
        return recorder.begin_trial(state, spec, trial)

    def _after_trial(self, state: CellState, recorder: Recorder) -> list[str]:
        """Settle the cell's rate where its search has ended; return what to say then."""
        state.asked_in_vain = False
        search = state.search
        if search is None or not search.done:
            return []
        best = search.best()
        if best is None:
            state.broken = "every trial of its learning-rate search broke"
            recorder.end_tuning(state, None, broken=state.broken)
            return []
        state.rate = best[0]
        specs = [spec.with_recipe(lr=state.rate) for spec in state.plan.cell.specs]
        state.waiting = [spec for spec in specs if not recorder.is_done(spec)]
        edge = search.edge(state.rate)
        recorder.end_tuning(state, best, edge=edge or "")
        note = f", the {edge} rate tried: widen tune.low and tune.high" if edge else ""
        return [f"{state.plan.cell.name}: learning rate {state.rate:g} after {search.started} trials{note}"]
