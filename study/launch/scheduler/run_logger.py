"""Write jobs to MLflow: their parameters and tags, curves, final metrics and files."""

import csv
import hashlib
import io
import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from study.config import Grid, RunSpec
from study.config.command import Command
from study.config.protocol import Protocol
from study.config.tune import EXTENDS
from study.errors import without_passwords
from study.events import Diverged, Epoch, Finished, Interrupted, Started
from study.launch.environment import append_value, code_tags, commit, environment
from study.launch.messages import RESUME, RunTask
from study.launch.plan.cells import DataFacts
from study.launch.plan.probe_tags import has_all, probe_tags, probes_in, save_tables
from study.launch.scheduler.job import BATCH_SECONDS, CellState, Job
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.processes import this_process
from study.track.provenance import describe_experiment
from study.track.store import RunDeletedError, Store
from study.track.tags import DONE, FINALS
from study.tune import Trial, named

FLUSH_SECONDS = 10.0
"""Minimal seconds that points of a curve wait before they are logged in one call."""
MAX_FLUSH_SECONDS = 120.0
"""Maximal seconds that points wait, for any number of runs."""
FLUSH_SHARE = 0.25
"""Approximate share of the launcher's time for logging points."""
AVERAGED_CALLS = 20


class RunLogger:
    """Writes the jobs of one study to its store, and keeps the records of the store."""

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
        """Take over the records of the store.

        Args:
            store: the study's store.
            grid: the grid that is run.
            facts: the facts about its data set.
            records: all records of the store, newest first.
            made: the running command; stored when it begins a run.
            threads: number of CPU threads of a run.
            apart: whether workers share no disk with this process, so that checkpoints go through the store.
        """
        self._apart = apart
        self._store = store
        self._grid = grid
        self._facts = facts
        self._made = made
        self._made_stored = False
        self._environment = environment() | {"threads of a run": str(threads)}
        self._call_seconds = 0.0
        """Mean duration of a call that logs points."""
        self._begun: dict[tuple[str, str, str], StoredRun] = {}
        for record in records:
            self._begun.setdefault(_attempt(record.tags), record)
        self._done: dict[str, set[str]] = {}
        """Runs that are results, by key, with their probes."""
        for record in records:
            self._note_result(record)

    def store_protocol(self, made: Command | None = None) -> None:
        """Store the grid's protocol, and the command if it has begun a run; other launchers' results count too."""
        done = [record for record in self._store.records() if record.kind == "run" and record.outcome in DONE]
        results = {record.key: record.tags.get(tag.PLANNED, record.key) for record in done}
        protocol = Protocol.of(self._grid, self._facts.run_key, datetime.now(UTC), results)
        varying = [*self._grid.varying(), *(["split_seed"] if len(self._grid.splits) > 1 else [])]
        self._store.do(describe_experiment, self._store.client, self._store.experiment_id, protocol, made, varying)

    def _made_tags(self) -> dict[str, str]:
        """Return the tag of the command that begins a run; store the command the first time."""
        if self._made is None:
            return {}
        if not self._made_stored:
            self.store_protocol(self._made)
            self._made_stored = True
        return {tag.MADE: self._made.id}

    # What is there already.

    def was_done(self, spec: RunSpec) -> bool:
        """Whether a run was a result when this launcher last looked."""
        probes = self._done.get(self._facts.run_key(spec))
        return probes is not None and has_all(probes, self._grid.probes_of(spec))

    def is_done(self, spec: RunSpec) -> bool:
        """Whether a run is a result now, including results of other launchers."""
        key = self._facts.run_key(spec)
        for record in reversed(self._store.records_of(key, "run")):
            self._begun[_attempt(record.tags)] = record  # the newest stands
            self._note_result(record)
        return self.was_done(spec)

    def _note_result(self, record: StoredRun) -> None:
        if record.kind == "run" and record.outcome in DONE:
            self._done.setdefault(record.key, set()).update(probes_in(record.tags))

    def search_record(self, key: str) -> StoredRun | None:
        """Return the newest record of a search, a finished one if there is any."""
        records = self._store.records_of(key, "tuning")
        return next((record for record in records if record.outcome == "finished"), next(iter(records), None))

    def take_over(self, key: str) -> None:
        """Look up the trials of a search, those of other launchers too; close those left RUNNING."""
        for record in reversed(self._store.records_within(key, "trial")):
            self._begun[_attempt(record.tags)] = record  # the newest stands
            if record.status == "RUNNING":
                with suppress(RunDeletedError):
                    self._store.settle(record.run_id)

    def ended_trial(self, state: CellState, spec: RunSpec, trial: Trial) -> tuple[str, float | None] | None:
        """Return outcome and objective of a trial whose launcher died before it reported them to the search."""
        record = self._begun.get(("trial", self._trial_key(state, spec), str(trial.number)))
        if record is None:
            return None
        outcome, metrics = self._store.outcome_of(record.run_id)
        objective = metrics.get("objective")
        known = outcome == "pruned" or (outcome in DONE and objective is not None)
        return (outcome, objective) if known else None

    def has_result(self, job: Job) -> bool:
        """Whether a job's run has its result by now, from another launcher too."""
        return self._store.outcome_of(job.run_id)[0] in DONE

    def _trial_key(self, state: CellState, spec: RunSpec) -> str:
        return f"{state.cell.search_key}-{self._facts.run_key(spec)}"

    def run_lease(self, spec: RunSpec) -> str:
        return f"run {self._facts.run_key(spec)}"

    # Begin runs, trials and searches.

    def begin_run(self, state: CellState, spec: RunSpec) -> Job:
        """Create a run in MLflow, or reopen an interrupted one."""
        key = self._facts.run_key(spec)
        planned = next(cell_spec for cell_spec in state.cell.specs if cell_spec.repeat == spec.repeat)
        tags = {tag.KIND: "run", tag.KEY: key, tag.LR_TUNED: str(planned.recipe.lr == "tune").lower()}
        tags[tag.PLANNED] = self._facts.run_key(planned)
        tags |= probe_tags(self._grid.probes_of(spec))
        split = f" split {spec.dataset.split_seed}" if len(self._grid.splits) > 1 else ""
        variant = f" ({state.cell.variant})" if state.cell.variant else ""
        name = f"{spec.net}{split} seed {spec.seed}{variant}"
        run_id, logged = self._open(state, spec, name, tags)
        return Job("run", key, name, spec, state, state.cell.cost_of(spec), run_id, logged)

    def begin_trial(self, state: CellState, spec: RunSpec, trial: Trial) -> Job:
        """Create or reopen a trial as a child of its search; its key is that of its run, within the search."""
        key = self._trial_key(state, spec)
        tags = {
            tag.KIND: "trial",
            tag.KEY: key,
            tag.TRIAL: str(trial.number),
            tag.OBJECTIVE: self._grid.tune.objective,
            tag.POINT: json.dumps(trial.point),
            tag.PARENT: state.search_run_id,
        }
        seed = f" seed {spec.seed}" if self._grid.tune.seeds > 1 or trial.repeat else ""
        name = f"{state.cell.name} trial {trial.number} {named(trial.point)}{seed}"
        run_id, logged = self._open(state, spec, name, tags)
        return Job("trial", key, name, spec, state, state.cell.trial_cost, run_id, logged, trial=trial)

    def begin_search(self, state: CellState, record: StoredRun | None) -> str:
        """Create the run of a cell's search, or reopen that of `record`; return its id."""
        spec, tune = state.cell.first, self._grid.tune
        settings = {f"tune_{field}": value for field, value in tune.model_dump(exclude=set(EXTENDS)).items()}
        params = self._params(state, spec, seed=tune.seed) | settings
        if record is not None:
            with suppress(RunDeletedError):
                if self._store.reopen(record.run_id).bare:
                    self._store.add_params(record.run_id, params)
                return record.run_id
        tags = {
            tag.KIND: "tuning",
            tag.KEY: state.cell.search_key,
            tag.CELL: state.cell.key,
            tag.VARIANT: state.cell.variant,
            tag.BOUNDS: json.dumps([tune.low, tune.high]),
            **_own_tags(spec),
            **self._made_tags(),
        }
        run_id = self._store.begin(f"{state.cell.name} tuning", params, tags)
        for trial in self._store.records_within(state.cell.search_key, "trial"):  # of a search that was deleted
            with suppress(RunDeletedError):
                self._store.set_tags(trial.run_id, {tag.PARENT: run_id})
        return run_id

    def end_search(
        self, state: CellState, best: tuple[dict[str, float], float] | None, *, edge: str = "", broken: str = ""
    ) -> None:
        """Close a cell's search: with the best point and its objective, as broken, or as interrupted."""
        if best is None:
            self._store.end(state.search_run_id, "failed" if broken else "interrupted", reason=broken)
            return
        point, objective = best
        search = state.search
        trials, widened, confirmed = (search.started, search.widened, search.confirmed) if search else (0, 0, 0)
        tags = {
            tag.CHOSEN: json.dumps(point),
            tag.EDGE: edge,
            tag.TRIAL: str(trials),
            tag.WIDENED: str(widened),
            tag.CONFIRMED: str(confirmed),
        }
        metrics: dict[str, float | None] = {f"best_{field}": value for field, value in point.items()}
        metrics["best_objective"] = objective
        self._store.end(state.search_run_id, "finished", metrics=metrics, step=trials, tags=tags)

    def task_for(self, job: Job, folder: Path, every_seconds: float) -> RunTask:
        """Return the task for a worker; `folder` is the job's own, on the disk that workers share."""
        return RunTask(
            job.task,
            job.spec,
            Path(job.task, "checkpoint.pt") if self._apart else folder / "checkpoint.pt",
            every_seconds,
            self._facts.fingerprint_of(job.spec),
            artifacts=self._store.place(job.run_id) if self._apart else None,
            keep=job.kind == "run",
            probes=self._grid.probes_of(job.spec) if job.kind == "run" else None,
        )

    # While a job runs, and at its end.

    def started(self, job: Job, event: Started) -> None:
        """Record the environment of a job, and add the points of an earlier attempt that MLflow lacks."""
        job.tags = {tag.DEVICE: event.device, tag.PRECISION: event.precision}
        if event.step == 0:  # nothing of an earlier attempt is left
            job.tags |= {tag.COMMIT: commit(), **code_tags()}
        if job.worker_info and job.kind == "run":
            job.tags[tag.HOST] = job.worker_info["host"]
            self._add_environment(job.run_id, job.worker_info, first=event.step == 0)
        for point in event.history:
            job.add(point)
        job.probed = list(event.probed)

    def flush_due(self, jobs: Collection[Job]) -> None:
        """Log the points that have waited long enough, the longest wait first, for a few seconds at most.

        With more jobs or a slower MLflow, points wait longer: the cost of a call hardly depends on the number of
        points, and the launcher needs time for its other work.
        """
        wait = min(max(FLUSH_SECONDS, len(jobs) * self._call_seconds / FLUSH_SHARE), MAX_FLUSH_SECONDS)
        began = time.perf_counter()
        for job in sorted((job for job in jobs if job.due(wait) and job.writable), key=lambda job: job.flushed_at):
            before = time.perf_counter()
            self.flush(job)
            seconds = min(time.perf_counter() - before, BATCH_SECONDS)  # not the time that MLflow was away
            self._call_seconds += (seconds - self._call_seconds) / AVERAGED_CALLS
            if time.perf_counter() - began > BATCH_SECONDS:
                break

    def flush(self, job: Job) -> None:
        self._store.log_points(job.run_id, job.pending, job.tags)
        job.flushed()

    def result(
        self, job: Job, event: Finished | Diverged | Interrupted, checkpoint: Path, objective: float | None = None
    ) -> None:
        """Log the result of a job, with its files; `close` must follow.

        `objective` is the value of a trial; one that was interrupted was pruned.
        """
        metrics: dict[str, float | None]
        match event:
            case Interrupted():
                outcome, reason, metrics = "pruned", "behind the cell's other trials", {}
            case Diverged():
                outcome, reason = "diverged", f"the loss stopped being finite before iteration {event.step:,}"
                metrics = {"final_train_error": event.error, "final_test_error": event.error, "seconds": event.seconds}
                if job.spec.recipe.test_views != "center":
                    metrics["final_test_error_views"] = event.error
            case Finished():
                outcome, reason = "finished", ""
                metrics = {key: getattr(event, key) for key in FINALS} | {"seconds": event.seconds}
        if job.kind == "run":
            self._store.add_text(job.run_id, _curve_csv(job.points), "curves.csv")
            if checkpoint.exists():
                self._store.add_file(job.run_id, checkpoint, "checkpoint")
            save_tables(self._store, job.run_id, job.probed)
        self._note_end(job, outcome, metrics={**metrics, "objective": objective}, step=event.step, reason=reason)
        if job.kind == "run":
            self._done[job.key] = probes_in(probe_tags(self._grid.probes_of(job.spec)))

    def close(self, job: Job) -> None:
        """Close a run whose result is logged and reported to its search; its checkpoints are no longer needed."""
        if self._apart:
            self._store.remove_folder(job.run_id, RESUME)
        self._store.close(job.run_id, job.outcome)

    def end(self, job: Job, outcome: str, *, reason: str = "") -> None:
        """Log the pending points and close a run without a result."""
        self._note_end(job, outcome, reason=without_passwords(reason))
        self._store.close(job.run_id, outcome)

    def _note_end(self, job: Job, outcome: str, **fields: Any) -> None:
        self._store.note_end(job.run_id, outcome, points=job.pending, tags=job.tags, **fields)
        job.flushed()
        job.outcome = outcome

    def add_log(self, job: Job, text: str, name: str) -> None:
        if text:
            self._store.add_text(job.run_id, without_passwords(text), name)

    # What a run consists of in MLflow.

    def _open(self, state: CellState, spec: RunSpec, name: str, tags: dict[str, str]) -> tuple[str, int]:
        """Create or reopen a run; return its id and the last iteration that is logged."""
        begun = self._begun.get(_attempt(tags))
        if begun is not None and begun.kind == "run" and begun.outcome in DONE:
            begun = None  # a result without a probe that is asked for stays as it is
        try:
            if begun is not None:
                reopened = self._store.reopen(begun.run_id)
                if not reopened.bare:
                    self._note_resumed(begun, spec, probes=tags.get(tag.PROBES, ""))
                    return begun.run_id, reopened.step
            return self._create(state, spec, name, tags, begun), 0
        except RunDeletedError:  # just now
            self._begun.pop(_attempt(tags), None)
            return self._open(state, spec, name, tags)

    def _create(self, state: CellState, spec: RunSpec, name: str, tags: dict[str, str], begun: StoredRun | None) -> str:
        """Create a run with parameters, tags and files, or complete `begun`, which has only a name; return its id."""
        fingerprint = self._facts.fingerprint_of(spec)
        cell = state.cell
        tags |= {tag.CELL: cell.key, tag.VARIANT: cell.variant, tag.NET: cell.name}
        tags |= {tag.COMMIT: commit(), tag.DATA: fingerprint, **code_tags(), **self._made_tags(), **_own_tags(spec)}
        run_id = begun.run_id if begun else self._store.begin(name, {}, tags)
        profile = {"train_images": self._facts.train_images, "test_images": self._facts.test_images}
        dataset = spec.dataset
        self._store.add_dataset(run_id, dataset.name, fingerprint, dataset.root, profile)
        if tags[tag.KIND] == "run":  # a trial has it in its parameters; it runs on the machines of the study's runs
            self._add_files(run_id, spec)
        images = self._facts.train_images
        sizes = {
            "total_iterations": spec.recipe.total_iterations(images),
            "iterations_per_epoch": spec.recipe.iterations_per_epoch(images),
            "train_images": images,
            "parameters": cell.complexity.parameters,
        }
        # Last: a run with parameters is complete.
        self._store.add_params(run_id, self._params(state, spec, seed=spec.seed) | sizes)
        return run_id

    def _add_files(self, run_id: str, spec: RunSpec) -> None:
        content = spec.model_dump(mode="json", exclude={"own": {"source"}})
        files = {"spec.json": content, "environment.json": self._environment}
        texts = {name: json.dumps(values, indent=2) for name, values in files.items()}
        if spec.own and spec.own.source:
            texts[spec.own.module] = spec.own.source
        self._store.add_texts(run_id, texts)

    def _note_resumed(self, record: StoredRun, spec: RunSpec, probes: str) -> None:
        """Record the code, PyTorch and environment under which an interrupted run resumes, if they have changed."""
        now = code_tags() | self._made_tags()
        tags = {key: append_value(record.tags.get(key, ""), value) for key, value in now.items()}
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
        """Return the parameters by which MLflow's pages group and filter runs."""
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
            "multiply_adds": state.cell.complexity.multiply_adds,
        }


def _own_tags(spec: RunSpec) -> dict[str, str]:
    return {tag.OWN_NETS: spec.own.family} if spec.own else {}


def _attempt(tags: Mapping[str, str]) -> tuple[str, str, str]:
    """Return the identity of a run or trial; a trial's has its number, since a search may try a point twice."""
    kind = tags.get(tag.KIND, "")
    return kind, tags.get(tag.KEY, ""), tags.get(tag.TRIAL, "") if kind == "trial" else ""


def _curve_csv(points: Sequence[Epoch]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    if points:
        writer.writerow(vars(points[0]))
        writer.writerows(vars(point).values() for point in points)
    return out.getvalue()
