"""One study's runs in MLflow: begin, log, end, and find again by key. The launcher is the only writer."""

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.errors import StudyError, without_passwords
from study.events import Epoch
from study.retry import Retry, first_line
from study.track import words
from study.track.artifacts import ArtifactPlace
from study.track.connect import all_runs, connect, is_away
from study.track.find import read_runs, stored
from study.track.keys import RunKeys
from study.track.owner import owner, scratch_folder, source_tags
from study.track.place import artifact_location, database_path, exists, local_path, repair_moved, tracking_uri
from study.track.sound import sound
from study.track.stored import StoredRun

P = ParamSpec("P")
Result = TypeVar("Result")

POINTS = 100
"""Points that are logged in one call, at most: MLflow takes 1000 metrics, and a point must be whole or not there."""
RUN_ID = re.compile("[0-9a-f]{32}")
"""What MLflow calls a run; keys of ours are shorter."""
STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}


class Reopened(NamedTuple):
    """What a run has that was taken up again."""

    step: int
    """The last iteration whose point is logged; 0 where none is."""
    bare: bool
    """It has no parameters: its launcher was killed before it wrote them, all at once."""


@dataclass(frozen=True)
class Record:
    """A run as MLflow knows it."""

    run_id: str
    kind: str
    key: str
    outcome: str
    status: str
    tags: Mapping[str, str]
    """Ours, by the names in `words`; those of MLflow itself may be missing."""


class RunDeletedError(StudyError):
    """A run was deleted in MLflow while it was written to."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was deleted in MLflow")
        self.run_id = run_id


class StudyDeletedError(StudyError):
    """The experiment was deleted in MLflow while runs of it were made."""


class Store:
    """The MLflow experiment of one study."""

    @classmethod
    def find(cls, experiment: str, uri: str | None = None) -> "Store | None":
        """Open the experiment where there is one; make nothing.

        Raises:
            StudyError: as when it is created.
        """
        uri = uri or tracking_uri()
        path = database_path(uri)
        if path is not None and not path.exists():
            return None
        return cls(experiment, uri) if connect(uri).get_experiment_by_name(experiment) else None

    def __init__(self, experiment: str, uri: str | None = None) -> None:
        """Open the experiment, or create it. `retry` says what is done while MLflow is away afterwards: nothing.

        Raises:
            StudyError: MLflow can't be reached, or the experiment was deleted there.
        """
        self.uri = uri or tracking_uri()
        self.experiment = experiment
        self.retry = Retry()
        self.left_out: dict[str, None] = {}
        """A line, once, for each run that was found and can't be used, the oldest first."""
        self._unsure = False
        self.client: MlflowClient = connect(self.uri)
        repair_moved(self.uri)
        found = self.client.get_experiment_by_name(experiment)
        if found is None:
            found = self._create()
        if found.lifecycle_stage == "deleted":
            raise _deleted(experiment, found.experiment_id)
        self.experiment_id: str = found.experiment_id
        self.keeps_folders = ArtifactPlace(found.artifact_location, self.uri).is_folder
        """Whether its artifacts lie in folders, not in a store of objects or behind a server."""
        self._keys = RunKeys(self.experiment_id, self.uri)
        self._figures: dict[str, set[str]] = {}
        """Names of the metrics that runs had when they were taken up again."""
        self._places: dict[str, str] = {}
        """Where the artifacts of runs that haven't ended go."""

    def _create(self) -> Experiment:
        try:
            self.client.create_experiment(self.experiment, artifact_location(self.uri, self.experiment))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another launcher was faster
                raise
        return self.client.get_experiment_by_name(self.experiment)

    def records(self) -> list[Record]:
        """Return every run of the study, the newest first."""
        return self._sound(self.do(read_runs, self.experiment_id, self.uri, tags_alone=True))

    def records_of(self, key: str, kind: str) -> list[Record]:
        """Return the runs of a kind with this key, the newest first."""
        return self._sound(self.do(self._keys.find, key, kind))

    def records_within(self, key: str, kind: str) -> list[Record]:
        """Return the runs of a kind whose key begins with `key` and a hyphen, the newest first."""
        wanted = f"tags.`{words.KEY}` LIKE '{key}-%' and tags.`{words.KIND}` = '{kind}'"
        return self._sound(stored(run) for run in self.do(all_runs, self.client, self.experiment_id, wanted))

    def _sound(self, runs: Iterable[StoredRun]) -> list[Record]:
        good, lines = sound(runs)
        self.left_out |= dict.fromkeys(lines)
        return [_record(run) for run in good]

    def outcome_of(self, run_id: str) -> tuple[str, dict[str, float]]:
        """Return a run's outcome and its figures as they are now."""
        data = self._run(run_id).data
        return data.tags.get(words.OUTCOME, ""), dict(data.metrics)

    def begin(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Create a run and return its id.

        Raises:
            StudyDeletedError: the experiment was deleted in MLflow's pages.
        """
        everything = {**tags, words.NAME: name, words.OUTCOME: "running", words.OWNER: owner(), **source_tags()}
        run_id = self.retry(lambda: self._create_run(name, everything), self._away)
        self._keys.add(run_id, tags.get(words.KEY, ""))
        if params:
            self.add_params(run_id, params)
        return run_id

    def _create_run(self, name: str, tags: Mapping[str, str]) -> str:
        """Create a run; where it is tried again, take the one that was made although its making seemed to fail."""
        if self._unsure:
            wanted = f"tags.`{words.KEY}` = '{tags[words.KEY]}' and tags.`{words.OWNER}` = '{tags[words.OWNER]}'"
            found = [run for run in all_runs(self.client, self.experiment_id, wanted) if not run.data.params]
            if found and found[0].info.status == "RUNNING" and found[0].data.tags.get(words.KIND) == tags[words.KIND]:
                self._unsure = False
                return str(found[0].info.run_id)
        self._unsure = True
        try:
            made = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        except MlflowException:
            if self.client.get_experiment(self.experiment_id).lifecycle_stage == "deleted":
                raise _deleted(self.experiment, self.experiment_id) from None
            raise
        self._unsure = False
        self._places[str(made.info.run_id)] = made.info.artifact_uri
        return str(made.info.run_id)

    def do(self, call: Callable[P, Result], *given: P.args, **named: P.kwargs) -> Result:
        """Make a call to MLflow, again while it is away.

        Raises:
            RunDeletedError: its first argument is the id of a run that was deleted in MLflow's pages.
            StudyError: MLflow refuses it.
        """
        try:
            return self.retry(lambda: call(*given, **named), self._away)
        except MlflowException as error:
            if given and RUN_ID.fullmatch(str(given[0])) and self._is_deleted(str(given[0])):
                raise RunDeletedError(str(given[0])) from error
            raise StudyError(f"MLflow at {without_passwords(self.uri)}: {first_line(error)}") from error

    def _away(self, error: Exception) -> str:
        return is_away(self.uri, error)

    def _is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted, for good or not."""
        try:
            run = self.retry(lambda: self.client.get_run(run_id), self._away)
        except MlflowException as error:
            return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")
        return bool(run.info.lifecycle_stage == "deleted")

    def _run(self, run_id: str) -> Run:
        """Return a run as it is now.

        Raises:
            RunDeletedError: it was deleted, which MLflow doesn't mind here.
        """
        run = self.do(self.client.get_run, run_id)
        if run.info.lifecycle_stage == "deleted":
            raise RunDeletedError(run_id)
        return run

    def reopen(self, run_id: str) -> Reopened:
        """Take up a run that was cut off."""
        self.do(self.client.update_run, run_id, status="RUNNING")
        self.set_tags(run_id, {words.OUTCOME: "running", words.OWNER: owner()})
        data = self._run(run_id).data
        self._figures[run_id] = set(data.metrics)
        return Reopened(max(self._steps(run_id, "train_error"), default=0), not data.params)

    def _steps(self, run_id: str, metric: str) -> set[int]:
        """Return at which iterations a run that was taken up again had this metric."""
        if metric not in self._figures.get(run_id, ()):
            return set()
        return {int(point.step) for point in self.do(self.client.get_metric_history, run_id, metric)}

    def settle(self, run_id: str) -> str:
        """Close a run that a killed launcher left RUNNING; return its outcome.

        It is the one that the launcher noted, where only the status is missing; else the run was interrupted. One that
        has ended meanwhile stays what it is.
        """
        run = self._run(run_id)
        outcome = str(run.data.tags.get(words.OUTCOME, ""))
        if run.info.status != "RUNNING":
            return outcome
        if outcome == "running" or outcome not in STATUS:
            outcome = "interrupted"
            self.note_end(run_id, outcome)
        self.close(run_id, outcome)
        return outcome

    def add_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters; a value that is logged already must be the same."""
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

    def log_points(self, run_id: str, points: Sequence[Epoch], tags: Mapping[str, str] | None = None) -> None:
        """Log points of the curves, and set tags, in one call."""
        self._log(run_id, points, tags or {})

    def end(self, run_id: str, outcome: str, **said: Any) -> None:
        """Note how a run ended, with what `note_end` takes, and close it."""
        self.note_end(run_id, outcome, **said)
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
        """Log a run's last points, final figures and outcome; it is RUNNING until it is closed.

        A figure that an earlier attempt has logged at this step stands.
        """
        said = {words.OUTCOME: outcome} | ({words.REASON: reason[:5000]} if reason else {})
        new = {key: value for key, value in (metrics or {}).items() if step not in self._steps(run_id, key)}
        self._log(run_id, points, {**(tags or {}), **said}, _metrics(step, new))

    def close(self, run_id: str, outcome: str) -> None:
        """Give a run the status that goes with its outcome: the last that is done of it."""
        self.do(self.client.set_terminated, run_id, STATUS[outcome])
        self._places.pop(run_id, None)
        self._figures.pop(run_id, None)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self.do(self.client.log_batch, run_id, tags=_tags(tags))

    def _log(
        self, run_id: str, points: Sequence[Epoch], tags: Mapping[str, str], figures: Sequence[Metric] = ()
    ) -> None:
        """Log points, then figures and tags, in one call, or as few as MLflow allows."""
        *full, last = [points[start : start + POINTS] for start in range(0, len(points), POINTS)] or [[]]
        for some in full:
            self.do(self.client.log_batch, run_id, metrics=_of_points(some))
        metrics = [*_of_points(last), *figures]
        if metrics or tags:
            self.do(self.client.log_batch, run_id, metrics=metrics, tags=_tags(tags))

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
        """Return where a run's artifacts lie, for workers that put their files there themselves."""
        return self.do(self._place, run_id)

    def has_files(self, run_id: str) -> bool:
        """Whether a run has its files, as far as is known: folders may be gone, other places aren't looked at."""
        folder = local_path(self.place(run_id).uri)
        return folder is None or exists(folder)

    def remove_folder(self, run_id: str, folder: str) -> None:
        """Delete a folder of a run's artifacts."""
        self.do(self.place(run_id).remove, folder)

    def _place(self, run_id: str) -> ArtifactPlace:
        """Return the place of a run's artifacts: MLflow's client would keep that of a thousand runs, 13 KiB each."""
        if run_id not in self._places:
            self._places[run_id] = self.client.get_run(run_id).info.artifact_uri
        return ArtifactPlace(self._places[run_id], self.uri)


def _deleted(experiment: str, experiment_id: str) -> StudyDeletedError:
    return StudyDeletedError(
        f"the MLflow experiment '{experiment}' was deleted: give the grid another name, or restore it with "
        f"`mlflow experiments restore -x {experiment_id}`"
    )


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in tags.items()]


def _of_points(points: Sequence[Epoch]) -> list[Metric]:
    found = []
    for point in points:
        values = {key: getattr(point, key) for key in words.CURVES}
        values |= {"epoch": point.epoch, "system/process_memory_mib": point.memory_mib}
        found += _metrics(point.step, values, point.time)
    return found


def _metrics(step: int, values: Mapping[str, float | None], when: float | None = None) -> list[Metric]:
    """Return MLflow's form of figures. What isn't a finite number is left out: MLflow would store 1.8e308.

    Their time goes with them, so that a call which is made again adds nothing twice.
    """
    stamp = int(1000 * (time.time() if when is None else when))
    return [
        Metric(key, value, stamp, step) for key, value in values.items() if value is not None and math.isfinite(value)
    ]


def _record(run: StoredRun) -> Record:
    return Record(
        run_id=run.run_id,
        kind=run.tags[words.KIND],
        key=run.tags.get(words.KEY, ""),
        outcome=run.tags[words.OUTCOME],
        status=run.status,
        tags=run.tags,
    )
