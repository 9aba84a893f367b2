"""What a job leaves in MLflow: its parameters and tags, its curve, its figures and its files."""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.config import Grid, RunSpec
from study.errors import without_passwords
from study.events import Diverged, Finished, Interrupted, Started
from study.launch.environment import commit, environment, in_turn, made_by
from study.launch.messages import RESUME, Order
from study.launch.plan.cells import DataFacts
from study.launch.plan.probe_tags import covers, names, save_tables, told
from study.launch.scheduler.curves import curves_csv
from study.launch.scheduler.flush_policy import Pace
from study.launch.scheduler.job import CellState, Job
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.processes import this_process
from study.track.provenance import Command, describe_experiment
from study.track.store import RunDeletedError, Store
from study.track.tags import DONE, FINALS
from study.tune import Trial, named


class Recorder:
    """Writes jobs to one study's store."""

    def __init__(
        self,
        store: Store,
        grid: Grid,
        facts: DataFacts,
        records: list[StoredRun],
        made: Command | None = None,
        *,
        threads: int = 1,
        apart: bool = False,
    ) -> None:
        """Take over what the store has; `threads` is the number of CPU threads that a run computes on.

        `made` is the command that asks for it: it is stored when something begins.

        With `apart`, workers share no disk with this process: checkpoints go through the store.
        """
        self._apart = apart
        self._store = store
        self._grid = grid
        self._facts = facts
        self._made = made
        self._noted = False
        self._environment = environment() | {"threads of a run": str(threads)}
        self._pace = Pace()
        self._begun: dict[tuple[str, str, str], StoredRun] = {}
        for record in records:  # the newest first
            self._begun.setdefault(_attempt(record.kind, record.key, record.tags), record)
        self._done: dict[str, set[str]] = {}
        """Runs that are results, by key, with the probes that were made of them."""
        for record in records:
            self._note(record)

    def note_effect(self, made: Command | None = None) -> None:
        """Store the smallest effect that the grid asks for, and which command has begun something, if one has."""
        store = self._store
        store.do(
            describe_experiment,
            store.client,
            store.experiment_id,
            made,
            smallest_effect=self._grid.smallest_effect,
            results=bool(self._done),
        )

    def _begins(self) -> dict[str, str]:
        """Note that something begins, the first time; return the tag of what does."""
        if self._made is None:
            return {}
        if not self._noted:
            self.note_effect(self._made)
            self._noted = True
        return {tag.MADE: self._made.id}

    def was_done(self, spec: RunSpec) -> bool:
        """Whether a run was a result already when this launcher last looked."""
        made = self._done.get(spec.run_key(self._facts.fingerprint))
        return made is not None and covers(made, self._grid.probes_of(spec))

    def is_done(self, spec: RunSpec) -> bool:
        """Whether a run is a result by now; looks at what other launchers have logged."""
        key = spec.run_key(self._facts.fingerprint)
        for record in reversed(self._store.records_of(key, "run")):
            self._begun[_attempt("run", key, record.tags)] = record  # the newest stands
            self._note(record)
        return self.was_done(spec)

    def _note(self, record: StoredRun) -> None:
        if record.kind == "run" and record.outcome in DONE:
            self._done.setdefault(record.key, set()).update(names(record.tags))

    def tuning_record(self, key: str) -> StoredRun | None:
        """Return the newest record of a search, one that ended before others."""
        records = self._store.records_of(key, "tuning")
        return next((record for record in records if record.outcome == "finished"), next(iter(records), None))

    def take_over(self, key: str) -> None:
        """Find the trials of a search again, those of other launchers too; close those that one left RUNNING."""
        for record in reversed(self._store.records_within(key, "trial")):
            self._begun[_attempt("trial", record.key, record.tags)] = record  # the newest stands
            if record.status == "RUNNING":
                with suppress(RunDeletedError):
                    self._store.settle(record.run_id)

    def ended_trial(self, state: CellState, spec: RunSpec, trial: Trial) -> tuple[str, float] | None:
        """Return outcome and objective of a trial that has ended, of which its search wasn't told: a launcher died."""
        tags = {tag.TRIAL: str(trial.number)}
        record = self._begun.get(_attempt("trial", self._trial_key(state, spec), tags))
        if record is None:
            return None
        try:
            outcome, figures = self._store.outcome_of(record.run_id)
        except RunDeletedError:
            return None
        value = figures.get("objective", math.nan)
        known = outcome == "pruned" or (outcome in DONE and math.isfinite(value))
        return (outcome, value) if known else None

    def _trial_key(self, state: CellState, spec: RunSpec) -> str:
        return f"{state.plan.cell.tuning_key}-{spec.run_key(self._facts.fingerprint)}"

    def run_lease(self, spec: RunSpec) -> str:
        """Return the key of the lease under which a run is done."""
        return f"run {spec.run_key(self._facts.fingerprint)}"

    def begin_run(self, state: CellState, spec: RunSpec) -> Job:
        """Open a run in MLflow, or take one up that was cut off."""
        key = spec.run_key(self._facts.fingerprint)
        tuned = state.plan.cell.specs[0].recipe.lr == "tune"
        tags = {tag.KIND: "run", tag.KEY: key, tag.LR_TUNED: str(tuned).lower()}
        tags |= told(self._grid.probes_of(spec))
        name = f"{spec.run_name} ({state.plan.cell.variant})" if state.plan.cell.variant else spec.run_name
        run_id, logged = self._open(state, spec, name, tags)
        return Job("run", key, name, spec, state, state.plan.cell.cost_of(spec), run_id, logged)

    def begin_trial(self, state: CellState, spec: RunSpec, trial: Trial) -> Job:
        """Open a trial as a child of its cell's search; its key is that of its run, within the search."""
        key = self._trial_key(state, spec)
        tags = {
            tag.KIND: "trial",
            tag.KEY: key,
            tag.TRIAL: str(trial.number),
            tag.OBJECTIVE: self._grid.tune.objective,
            tag.POINT: json.dumps(trial.point),
            tag.PARENT: state.tuning_id,
        }
        seed = f" seed {spec.seed}" if self._grid.tune.seeds > 1 else ""
        name = f"{state.plan.cell.name} trial {trial.number} {named(trial.point)}{seed}"
        run_id, logged = self._open(state, spec, name, tags)
        cost = state.plan.cell.trial_cost / self._grid.tune.seeds
        return Job("trial", key, name, spec, state, cost, run_id, logged, trial=trial)

    def begin_tuning(self, state: CellState, record: StoredRun | None) -> str:
        """Open a cell's search, or take up the one of `record`; return its run's id."""
        if record is not None:
            with suppress(RunDeletedError):
                return self._take_up_tuning(state, record)
        params, tags = self._of_tuning(state)
        run_id = self._store.begin(f"{state.plan.cell.name} tuning", params, tags | self._begins())
        for trial in self._store.records_within(state.plan.cell.tuning_key, "trial"):  # of a search that was deleted
            with suppress(RunDeletedError):
                self._store.set_tags(trial.run_id, {tag.PARENT: run_id})
        return run_id

    def _take_up_tuning(self, state: CellState, record: StoredRun) -> str:
        if self._store.reopen(record.run_id).bare:
            self._store.add_params(record.run_id, self._of_tuning(state)[0])
        return record.run_id

    def _of_tuning(self, state: CellState) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the parameters and tags of a cell's search."""
        spec = state.plan.cell.specs[0]
        tags = {
            tag.KIND: "tuning",
            tag.KEY: state.plan.cell.tuning_key,
            tag.CELL: spec.cell_key(self._facts.fingerprint),
            tag.VARIANT: state.plan.cell.variant,
            tag.BOUNDS: json.dumps([self._grid.tune.low, self._grid.tune.high]),
        }
        tune = {
            f"tune_{key}": value
            for key, value in self._grid.tune.model_dump(exclude={"trials", "shared", "widen", "storage"}).items()
        }
        return {**self._params(state, spec, seed=self._grid.tune.seed), **tune}, tags

    def end_tuning(
        self, state: CellState, best: tuple[dict[str, float], float] | None, *, edge: str = "", broken: str = ""
    ) -> None:
        """Close a cell's search: with the rate it found, as broken, or as interrupted."""
        if best is None:
            self._store.end(state.tuning_id, "failed" if broken else "interrupted", reason=broken)
            return
        point, value = best
        ended, widened = (state.search.started, state.search.widened) if state.search is not None else (0, 0)
        tags = {
            tag.CHOSEN: json.dumps(point),
            tag.EDGE: edge,
            tag.TRIAL: str(ended),
            tag.WIDENED: str(widened),
        }
        metrics: dict[str, float | None] = {f"best_{field}": number for field, number in point.items()}
        metrics["best_objective"] = value
        self._store.end(state.tuning_id, "finished", metrics=metrics, step=ended, tags=tags)

    def order(self, job: Job, folder: Path, every_seconds: float) -> Order:
        """Return what a worker is told to do; `folder` is the run's own, where workers use it themselves."""
        given = job.task, job.spec
        probes = self._grid.probes_of(job.spec) if job.kind == "run" else None
        if not self._apart:
            return Order(*given, folder / "checkpoint.pt", every_seconds, self._facts.fingerprint, probes=probes)
        path, place = Path(job.task, "checkpoint.pt"), self._store.place(job.run_id)
        keep = job.kind == "run"
        return Order(*given, path, every_seconds, self._facts.fingerprint, place, keep=keep, probes=probes)

    def started(self, job: Job, event: Started) -> None:
        """Note where a run is done, and take in the points that MLflow lacks of an earlier attempt."""
        job.tags = {tag.DEVICE: event.device, tag.PRECISION: event.precision}
        if event.step == 0:  # what an earlier attempt did, if there was one, is lost
            job.tags |= {tag.COMMIT: commit(), **made_by()}
        if job.where and job.kind == "run":
            job.tags[tag.HOST] = job.where["host"]
            self._add_environment(job.run_id, job.where, first=event.step == 0)
        for point in event.history:
            job.add(point)
        job.probed = list(event.probed)

    def flush_due(self, jobs: Collection[Job]) -> None:
        """Log the points that have waited long enough."""
        self._pace.flush(jobs, self.flush)

    def flush(self, job: Job) -> None:
        """Log the points that wait."""
        self._store.log_points(job.run_id, job.unsent, job.tags)
        job.sent()

    def result(self, job: Job, event: Finished | Diverged, checkpoint: Path, objective: float | None = None) -> str:
        """Log a run that came to a result, with its files, and return the outcome; what is left is to close it.

        `objective` is what a trial is judged by.
        """
        metrics: dict[str, float | None]
        if isinstance(event, Diverged):
            outcome = "diverged"
            metrics = {"final_train_error": event.error, "final_test_error": event.error, "seconds": event.seconds}
            if job.spec.recipe.test_views != "center":
                metrics["final_test_error_views"] = event.error
            reason = f"the loss stopped being finite before iteration {event.step:,}"
        else:
            outcome, reason = "finished", ""
            metrics = {key: getattr(event, key) for key in FINALS} | {"seconds": event.seconds}
        if job.kind == "run":
            self._store.add_text(job.run_id, curves_csv(job.points), "curves.csv")
            if checkpoint.exists():
                self._store.add_file(job.run_id, checkpoint, "checkpoint")
            save_tables(self._store, job.run_id, job.probed)
        self._note_end(job, outcome, metrics={**metrics, "objective": objective}, step=event.step, reason=reason)
        if job.kind == "run":
            self._done[job.key] = names(told(self._grid.probes_of(job.spec)))
        return outcome

    def pruned(self, job: Job, event: Interrupted, objective: float | None) -> None:
        """Log a trial that was stopped early; what is left is to close it."""
        reason = "behind the cell's other trials"
        self._note_end(job, "pruned", metrics={"objective": objective}, step=event.step, reason=reason)

    def close(self, job: Job) -> None:
        """Close a run whose result is logged and known to its search: nothing is needed any more to go on with it."""
        if self._apart:
            self._store.remove_folder(job.run_id, RESUME)
        self._store.close(job.run_id, job.outcome)

    def end(self, job: Job, outcome: str, *, reason: str = "") -> None:
        """Log what waits and close a run without a result."""
        self._note_end(job, outcome, reason=without_passwords(reason))
        self._store.close(job.run_id, outcome)

    def _note_end(self, job: Job, outcome: str, **said: Any) -> None:
        self._store.note_end(job.run_id, outcome, points=job.unsent, tags=job.tags, **said)
        job.sent()
        job.outcome = outcome

    def add_log(self, job: Job, text: str, name: str) -> None:
        """Keep what a run that broke had to say."""
        if text:
            self._store.add_text(job.run_id, without_passwords(text), name)

    def _open(self, state: CellState, spec: RunSpec, name: str, tags: dict[str, str]) -> tuple[str, int]:
        """Return a run's id, and the last iteration that is logged."""
        begun = self._begun.get(_attempt(tags[tag.KIND], tags[tag.KEY], tags))
        if begun is not None and begun.kind == "run" and begun.outcome in DONE:
            begun = None  # it lacks a probe, and stays what it is
        try:
            if begun is not None:
                reopened = self._store.reopen(begun.run_id)
                if not reopened.bare:
                    self._goes_on(begun, spec, probes=tags.get(tag.PROBES, ""))
                    return begun.run_id, reopened.step
            return self._make(state, spec, name, tags, begun), 0
        except RunDeletedError:  # while it was taken up or made
            self._begun.pop(_attempt(tags[tag.KIND], tags[tag.KEY], tags), None)
            return self._open(state, spec, name, tags)

    def _make(self, state: CellState, spec: RunSpec, name: str, tags: dict[str, str], begun: StoredRun | None) -> str:
        """Make a run whole, `begun` if that is only a name yet, or else a new one; return its id."""
        fingerprint = self._facts.fingerprint
        cell = state.plan.cell
        tags |= {tag.CELL: cell.specs[0].cell_key(fingerprint), tag.VARIANT: cell.variant, tag.COMMIT: commit()}
        tags |= {tag.DATA: fingerprint, **made_by(), **self._begins()}
        run_id = begun.run_id if begun else self._store.begin(name, {}, tags)
        profile = {"train_images": self._facts.train_images, "test_images": self._facts.test_images}
        dataset = spec.dataset
        self._store.add_dataset(run_id, dataset.name, fingerprint, dataset.root, profile)
        if tags[tag.KIND] == "run":  # a trial has all of it in its parameters, on the machines of its study's runs
            self._add_files(run_id, spec)
        images = self._facts.train_images
        sizes = {
            "total_iterations": spec.recipe.total_iterations(images),
            "iterations_per_epoch": spec.recipe.iterations_per_epoch(images),
            "train_images": images,
            "parameters": cell.complexity.parameters,
        }
        # Last: a run that has them is whole.
        self._store.add_params(run_id, self._params(state, spec, seed=spec.seed) | sizes)
        return run_id

    def _add_files(self, run_id: str, spec: RunSpec) -> None:
        files = {"spec.json": spec.model_dump(mode="json"), "environment.json": self._environment}
        self._store.add_texts(run_id, {name: json.dumps(values, indent=2) for name, values in files.items()})

    def _goes_on(self, record: StoredRun, spec: RunSpec, probes: str) -> None:
        """Note by what a run goes on that was cut off; keep the environment where it may be another than before."""
        now = made_by() | self._begins()
        tags = {key: in_turn(record.tags.get(key, ""), value) for key, value in now.items()}
        if record.tags.get(tag.PROBES, "") != probes:
            self._store.set_tags(record.run_id, {tag.PROBES: probes})
        if record.kind == "run" and not self._store.has_files(record.run_id):
            self._add_files(record.run_id, spec)
        moved = record.tags.get(tag.OWNER, "").partition(":")[0] != this_process().partition(":")[0]
        if tags == {key: record.tags.get(key) for key in tags} and not moved:
            return
        self._store.set_tags(record.run_id, {tag.COMMIT: commit(), **tags})
        if record.kind == "run":
            self._add_environment(record.run_id, self._environment)

    def _add_environment(self, run_id: str, environment: Mapping[str, str], *, first: bool = False) -> None:
        text = json.dumps(dict(environment), indent=2)
        name = "" if first else f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self._store.add_text(run_id, text, f"environment{name}.json")

    def _params(self, state: CellState, spec: RunSpec, *, seed: int) -> dict[str, Any]:
        """Return what MLflow's pages group, filter and average by."""
        recipe = {key: value for key, value in spec.identity()["recipe"].items() if value is not None}
        data = spec.dataset.model_dump(exclude={"name", "root"}, exclude_none=True)
        return {
            "dataset": spec.dataset.name,
            "architecture": spec.architecture,
            "depth": spec.depth,
            "net": str(spec.net),
            "seed": seed,
            **recipe,
            **data,
            "test_images": self._facts.test_images,
            "skipped_images": self._facts.skipped,
            "classes": self._facts.classes,
            "multiply_adds": state.plan.cell.complexity.multiply_adds,
        }


def _attempt(kind: str, key: str, tags: Mapping[str, str]) -> tuple[str, str, str]:
    """Return what tells a run or trial from others: a search may try the same point twice."""
    return kind, key, tags.get(tag.TRIAL, "") if kind == "trial" else ""
