"""Write one study's runs to MLflow: begin, log, end, and find by key. The launcher is the only writer."""

import getpass
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.errors import StudyError, without_passwords
from study.events import Epoch
from study.retry import Retry, first_line
from study.track import tags as tag
from study.track.artifacts import ArtifactPlace
from study.track.client import connect, transient_mlflow_error
from study.track.database import StoredRun, repair_moved
from study.track.find import RunKeys, read_runs, search_runs
from study.track.processes import scratch_folder, this_process
from study.track.tags import CURVES
from study.track.uri import artifact_location, database_path, exists, local_path, tracking_uri
from study.track.validation import check_runs

P = ParamSpec("P")
Result = TypeVar("Result")

POINTS_PER_CALL = 100
"""Maximal points in one call: MLflow takes 1000 metrics, and a point must be logged whole or not at all."""
RUN_ID = re.compile("[0-9a-f]{32}")
"""Form of MLflow's ids; this program's keys are shorter."""
STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}


class Reopened(NamedTuple):
    """The state of an interrupted run that is continued."""

    step: int
    """The last iteration whose point is logged; 0 where none is."""
    bare: bool
    """Whether it has no parameters: its launcher was killed before the call that writes them."""


class RunDeletedError(StudyError):
    """A run was deleted in MLflow while it was being written."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was deleted in MLflow")
        self.run_id = run_id


class StudyDeletedError(StudyError):
    """The experiment was deleted in MLflow while its runs were being written."""


class Store:
    """The MLflow experiment of one study."""

    @classmethod
    def find(cls, experiment: str, uri: str | None = None) -> "Store | None":
        """Open the experiment if it exists; create nothing.

        Raises:
            StudyError: as when it is created.
        """
        uri = uri or tracking_uri()
        path = database_path(uri)
        if path is not None and not path.exists():
            return None
        return cls(experiment, uri) if connect(uri).get_experiment_by_name(experiment) else None

    def __init__(self, experiment: str, uri: str | None = None) -> None:
        """Open the experiment, or create it. Later calls wait for MLflow as `retry` decides; here they don't wait.

        Raises:
            StudyError: MLflow can't be reached, or the experiment was deleted there.
        """
        self.uri = uri or tracking_uri()
        self.experiment = experiment
        self.retry = Retry()
        self.left_out: dict[str, None] = {}
        """A line for each run that can't be used, in the order of reading."""
        self._creation_failed = False
        self.client: MlflowClient = connect(self.uri)
        repair_moved(self.uri)
        stored = self.client.get_experiment_by_name(experiment) or self._create()
        if stored.lifecycle_stage == "deleted":
            raise _deleted(experiment, stored.experiment_id)
        self.experiment_id: str = stored.experiment_id
        self.keeps_folders = ArtifactPlace(stored.artifact_location, self.uri).is_folder
        """Whether the artifacts are in folders, not in an object store or behind a server."""
        self._keys = RunKeys(self.experiment_id, self.uri)
        self._earlier_metrics: dict[str, set[str]] = {}
        """Names of the metrics that each continued run already had, by run."""
        self._artifact_uris: dict[str, str] = {}
        """Artifact addresses of runs that haven't ended."""

    def _create(self) -> Experiment:
        try:
            self.client.create_experiment(self.experiment, artifact_location(self.uri, self.experiment))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another launcher was faster
                raise
        return self.client.get_experiment_by_name(self.experiment)

    def records(self) -> list[StoredRun]:
        """Return every run of the study, the newest first, with this program's tags alone."""
        return self._usable(self.do(read_runs, self.experiment_id, self.uri, tags_only=True))

    def records_of(self, key: str, kind: str) -> list[StoredRun]:
        """Return the runs of a kind with this key, the newest first."""
        return self._usable(self.do(self._keys.find, key, kind))

    def records_within(self, key: str, kind: str) -> list[StoredRun]:
        """Return the runs of a kind whose key begins with `key` and a hyphen, the newest first."""
        condition = f"tags.`{tag.KEY}` LIKE '{key}-%' and tags.`{tag.KIND}` = '{kind}'"
        return self._usable(self.do(search_runs, self.client, self.experiment_id, condition))

    def _usable(self, runs: Iterable[StoredRun]) -> list[StoredRun]:
        usable, lines = check_runs(runs)
        self.left_out |= dict.fromkeys(lines)
        return usable

    def outcome_of(self, run_id: str) -> tuple[str, dict[str, float]]:
        """Return a run's outcome and metrics as they are now; an empty outcome if it was deleted."""
        try:
            data = self._run(run_id).data
        except RunDeletedError:
            return "", {}
        return data.tags.get(tag.OUTCOME, ""), dict(data.metrics)

    def begin(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Create a run and return its id.

        Raises:
            StudyDeletedError: the experiment was deleted in MLflow's pages.
        """
        all_tags = {**tags, tag.NAME: name, tag.OUTCOME: "running", tag.OWNER: this_process(), **_source_tags()}
        run_id = self.retry(lambda: self._create_run(name, all_tags), self._transient_error)
        self._keys.add(run_id, tags.get(tag.KEY, ""))
        if params:
            self.add_params(run_id, params)
        return run_id

    def _create_run(self, name: str, tags: Mapping[str, str]) -> str:
        """Create a run; on retry, return one that was created although the call failed."""
        if self._creation_failed:
            condition = f"tags.`{tag.KEY}` = '{tags[tag.KEY]}' and tags.`{tag.OWNER}` = '{tags[tag.OWNER]}'"
            runs = [run for run in search_runs(self.client, self.experiment_id, condition) if not run.params]
            if runs and runs[0].status == "RUNNING" and runs[0].kind == tags[tag.KIND]:
                self._creation_failed = False
                return runs[0].run_id
        self._creation_failed = True
        try:
            run = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        except MlflowException:
            if self.client.get_experiment(self.experiment_id).lifecycle_stage == "deleted":
                raise _deleted(self.experiment, self.experiment_id) from None
            raise
        self._creation_failed = False
        run_id = str(run.info.run_id)
        self._artifact_uris[run_id] = run.info.artifact_uri
        return run_id

    def do(self, call: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Call MLflow, repeated by `retry` while it is unavailable.

        Raises:
            RunDeletedError: its first argument is the id of a run that was deleted in MLflow's pages.
            StudyError: MLflow refuses it.
        """
        try:
            return self.retry(lambda: call(*args, **kwargs), self._transient_error)
        except MlflowException as error:
            if args and RUN_ID.fullmatch(str(args[0])) and self._is_deleted(str(args[0])):
                raise RunDeletedError(str(args[0])) from error
            raise StudyError(f"MLflow at {without_passwords(self.uri)}: {first_line(error)}") from error

    def _transient_error(self, error: Exception) -> str:
        return transient_mlflow_error(self.uri, error)

    def _is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted, permanently or not."""
        try:
            run = self.retry(lambda: self.client.get_run(run_id), self._transient_error)
        except MlflowException as error:
            return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")
        return bool(run.info.lifecycle_stage == "deleted")

    def _run(self, run_id: str) -> Run:
        """Return a run as it is now; raise RunDeletedError for a deleted one, which MLflow still returns."""
        run = self.do(self.client.get_run, run_id)
        if run.info.lifecycle_stage == "deleted":
            raise RunDeletedError(run_id)
        return run

    def reopen(self, run_id: str) -> Reopened:
        """Continue a run that was interrupted."""
        self.do(self.client.update_run, run_id, status="RUNNING")
        self.set_tags(run_id, {tag.OUTCOME: "running", tag.OWNER: this_process()})
        data = self._run(run_id).data
        self._earlier_metrics[run_id] = set(data.metrics)
        return Reopened(max(self._steps(run_id, "train_error"), default=0), not data.params)

    def _steps(self, run_id: str, metric: str) -> set[int]:
        """Return the iterations at which a run that was continued already had this metric."""
        if metric not in self._earlier_metrics.get(run_id, ()):
            return set()
        return {int(point.step) for point in self.do(self.client.get_metric_history, run_id, metric)}

    def settle(self, run_id: str) -> str:
        """Close a run that a killed launcher left RUNNING; return its outcome.

        If the launcher logged an outcome and only the status is missing, the outcome is kept; else the run was
        interrupted. A run that has ended meanwhile isn't changed.
        """
        run = self._run(run_id)
        outcome = str(run.data.tags.get(tag.OUTCOME, ""))
        if run.info.status != "RUNNING":
            return outcome
        if outcome == "running" or outcome not in STATUS:
            outcome = "interrupted"
            self.note_end(run_id, outcome)
        self.close(run_id, outcome)
        return outcome

    def add_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters; a value that is there already must be equal."""
        entities = [Param(key, "" if value is None else str(value)) for key, value in params.items()]
        self.do(self.client.log_batch, run_id, params=entities)

    def add_dataset(
        self, run_id: str, name: str, fingerprint: str, root: str | None, profile: Mapping[str, Any]
    ) -> None:
        """Link a run to its data."""
        dataset = Dataset(
            name=name,
            digest=fingerprint,
            source_type="local" if root else "package",
            source=json.dumps({"root": root, "name": name}),
            profile=json.dumps(profile),
        )
        tags = [InputTag("mlflow.data.context", "training")]
        self.do(self.client.log_inputs, run_id, datasets=[DatasetInput(dataset=dataset, tags=tags)])

    def end(self, run_id: str, outcome: str, **details: Any) -> None:
        """Log how a run ended, with the arguments of `note_end`, and close it."""
        self.note_end(run_id, outcome, **details)
        self.close(run_id, outcome)

    def note_end(
        self,
        run_id: str,
        outcome: str,
        *,
        step: int = 0,
        metrics: Mapping[str, float | None] | None = None,
        points: Sequence[Epoch] = (),
        tags: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        """Log a run's last points, final metrics and outcome; it is RUNNING until it is closed.

        A metric that an earlier attempt has logged at this step isn't changed.
        """
        ending = {tag.OUTCOME: outcome} | ({tag.REASON: reason[:5000]} if reason else {})
        new = {key: value for key, value in (metrics or {}).items() if step not in self._steps(run_id, key)}
        self.log_points(run_id, points, {**(tags or {}), **ending}, _metrics(step, new))

    def close(self, run_id: str, outcome: str) -> None:
        """Set the status that goes with a run's outcome: the last call for a run."""
        self.do(self.client.set_terminated, run_id, STATUS[outcome])
        self._artifact_uris.pop(run_id, None)
        self._earlier_metrics.pop(run_id, None)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self.do(self.client.log_batch, run_id, tags=_tags(tags))

    def log_points(
        self,
        run_id: str,
        points: Sequence[Epoch],
        tags: Mapping[str, str] | None = None,
        finals: Sequence[Metric] = (),
    ) -> None:
        """Log points of the curves, then final metrics and tags, in one call, or as few as MLflow allows."""
        while len(points) > POINTS_PER_CALL:
            self.do(self.client.log_batch, run_id, metrics=_point_metrics(points[:POINTS_PER_CALL]))
            points = points[POINTS_PER_CALL:]
        metrics = [*_point_metrics(points), *finals]
        if metrics or tags:
            self.do(self.client.log_batch, run_id, metrics=metrics, tags=_tags(tags or {}))

    def add_texts(self, run_id: str, texts: Mapping[str, str]) -> None:
        """Store texts as artifacts, by name."""
        with scratch_folder("study-files-") as folder:
            for name, text in texts.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            self.add_folder(run_id, Path(folder))

    def add_text(self, run_id: str, text: str, name: str) -> None:
        """Store a text as an artifact."""
        self.add_texts(run_id, {name: text})

    def add_file(self, run_id: str, file: Path, folder: str) -> None:
        """Store a file as an artifact."""
        self.do(lambda run_id: self._place(run_id).repository().log_artifact(str(file), folder), run_id)

    def add_folder(self, run_id: str, folder: Path) -> None:
        """Store the files of a folder as artifacts."""
        self.do(lambda run_id: self._place(run_id).repository().log_artifacts(str(folder)), run_id)

    def place(self, run_id: str) -> ArtifactPlace:
        """Return where a run's artifacts are, for workers that upload their files themselves."""
        return self.do(self._place, run_id)

    def has_files(self, run_id: str) -> bool:
        """Whether a run has its files; only folders are checked."""
        folder = local_path(self.place(run_id).uri)
        return folder is None or exists(folder)

    def remove_folder(self, run_id: str, folder: str) -> None:
        """Delete a folder of a run's artifacts."""
        self.do(self.place(run_id).remove, folder)

    def _place(self, run_id: str) -> ArtifactPlace:
        """Return the place of a run's artifacts: MLflow's client would cache that of a thousand runs, 13 KiB each."""
        if run_id not in self._artifact_uris:
            self._artifact_uris[run_id] = self.client.get_run(run_id).info.artifact_uri
        return ArtifactPlace(self._artifact_uris[run_id], self.uri)


def _deleted(experiment: str, experiment_id: str) -> StudyDeletedError:
    return StudyDeletedError(
        f"the MLflow experiment '{experiment}' was deleted: give the grid another name, or restore it with "
        f"`mlflow experiments restore -x {experiment_id}`"
    )


def _source_tags() -> dict[str, str]:
    """Return the tags for the user and source columns of MLflow's pages."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in tags.items()]


def _point_metrics(points: Sequence[Epoch]) -> list[Metric]:
    metrics = []
    for point in points:
        values = {key: getattr(point, key) for key in CURVES}
        values |= {"system/epoch": point.epoch, "system/process_memory_mib": point.memory_mib}
        metrics += _metrics(point.step, values, point.time)
    return metrics


def _metrics(step: int, values: Mapping[str, float | None], when: float | None = None) -> list[Metric]:
    """Return MLflow's metrics. Values that aren't finite are left out: MLflow would store 1.8e308.

    They carry their time, so that a repeated call adds no value twice.
    """
    stamp = int(1000 * (time.time() if when is None else when))
    finite = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
    return [Metric(key, value, stamp, step) for key, value in finite.items()]
