"""Find studies and read their runs: directly from a database where possible, else through MLflow's client."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from study.errors import StudyError
from study.track import database
from study.track import tags as tag
from study.track.database import StoredRun, repair_moved
from study.track.uri import database_path, exists, local_path, old_files_hint, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

Answer = TypeVar("Answer")


def list_studies(uri: str | None = None, *, foreign: bool = False) -> list[str]:
    """Return the names of the experiments that hold a study's runs, the newest first; with `foreign`, of all."""
    uri = uri or tracking_uri()

    def ask(client: "MlflowClient") -> list[str]:
        newest_first = client.search_experiments(order_by=["last_update_time DESC"])
        nets = f"tags.`{tag.KIND}` = 'run'"
        return [
            str(experiment.name)
            for experiment in newest_first
            if foreign or client.search_runs([experiment.experiment_id], nets, max_results=1)
        ]

    return _read(uri, lambda: database.experiments(uri) if foreign else database.studies(uri), ask, [])


def newest_study(uri: str | None = None) -> str:
    """Return the study with the latest run.

    Raises:
        StudyError: there is none.
    """
    names = list_studies(uri)
    if not names:
        raise StudyError(f"no study at {uri or tracking_uri()} yet; `study run --grid digits` makes one in minutes")
    return names[0]


def find_experiment(experiment: str, uri: str | None = None, *, foreign: bool = False) -> str:
    """Return the id of a study's experiment; with `foreign`, of any program's.

    Raises:
        StudyError: no such experiment.
    """
    uri = uri or tracking_uri()

    def ask(client: "MlflowClient") -> str | None:
        answer = client.get_experiment_by_name(experiment)
        return None if answer is None else str(answer.experiment_id)

    experiment_id = _read(uri, lambda: database.experiment_id(uri, experiment), ask, None)
    if experiment_id is None:
        names = list_studies(uri, foreign=foreign)
        what, old = ("experiment", old_files_hint(uri)) if foreign else ("study", "")
        raise StudyError(f"no {what} is called '{experiment}' at {uri} (known: {', '.join(names) or 'none'}){old}")
    repair_moved(uri)
    return experiment_id


def missing_files_warning(experiment: str, uri: str | None = None) -> str:
    """Return a warning if finished runs of a study in a local database have lost their files, else an empty text.

    Raises:
        StudyError: no such experiment.
    """
    uri = uri or tracking_uri()
    path = database_path(uri)
    if path is None:
        return ""
    experiment_id = find_experiment(experiment, uri)
    locations = _read(uri, lambda: database.artifact_uris(uri, experiment_id), lambda _: list[str](), list[str]())
    folders = [folder for location in locations if (folder := local_path(location)) is not None]
    missing = [folder for folder in folders if not exists(folder)]
    if not missing:
        return ""
    return (
        f"warning: the files of {len(missing)} of {len(folders)} finished runs (checkpoints, probes) are gone from "
        f"{missing[0].parents[1]}: if the study was moved or copied without its mlruns, put that beside {path}"
    )


def experiment_tags(experiment_id: str, uri: str) -> dict[str, str]:
    """Return the tags of an experiment."""
    return _read(
        uri,
        lambda: database.experiment_tags(uri, experiment_id),
        lambda client: dict(client.get_experiment(experiment_id).tags),
        {},
    )


def read_runs(experiment_id: str, uri: str, kind: str | None = None, *, tags_only: bool = False) -> list[StoredRun]:
    """Return the runs of an experiment, the newest first; of one kind, or all.

    With `tags_only`, only this program's tags are needed.
    """
    condition = f"tags.`{tag.KIND}` = '{kind}'" if kind else ""
    return _read(
        uri,
        lambda: database.runs(uri, experiment_id, kind, tags_only=tags_only),
        lambda client: search_runs(client, experiment_id, condition),
        [],
    )


class RunKeys:
    """Finds the runs of an experiment by their keys, including new runs of other launchers.

    MLflow's tables have no index by a tag's value: a search for one key reads the keys of all runs. But a run has its
    key from the moment it is created, so that new runs are found by counting, and only the runs of one key are read.
    """

    def __init__(self, experiment_id: str, uri: str) -> None:
        """Find runs of an experiment at `uri`."""
        self._experiment_id = experiment_id
        self._uri = uri
        self._known: set[str] = set()
        self._ids_by_key: dict[str, list[str]] = {}

    def add(self, run_id: str, key: str) -> None:
        """Add a run that was just created here."""
        if run_id not in self._known:
            self._known.add(run_id)
            self._ids_by_key.setdefault(key, []).append(run_id)

    def find(self, key: str, kind: str) -> list[StoredRun]:
        """Return the current runs of a kind with this key, the newest first, with their tags alone.

        Raises:
            Unreachable: MLflow doesn't answer.
        """
        condition = f"tags.`{tag.KIND}` = '{kind}' and tags.`{tag.KEY}` = '{key}'"
        return _read(
            self._uri,
            lambda: self._find_in_database(key, kind),
            lambda client: search_runs(client, self._experiment_id, condition),
            [],
        )

    def _find_in_database(self, key: str, kind: str) -> list[StoredRun]:
        for run_id, new_key in database.new_keys(self._uri, self._experiment_id, self._known).items():
            self.add(run_id, new_key)
        ids = self._ids_by_key.get(key, [])
        if not ids:
            return []
        runs = database.runs(self._uri, self._experiment_id, ids=ids, tags_only=True)
        return [run for run in runs if run.kind == kind]  # in SQL, the kinds of all runs would be read


def search_runs(client: "MlflowClient", experiment_id: str, condition: str = "") -> list[StoredRun]:
    """Return every run of an experiment that meets a condition, the newest first, from MLflow's client."""
    runs: list[StoredRun] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=5000, page_token=token)
        runs += map(to_stored_run, page)
        token = page.token
        if not token:
            return runs


def to_stored_run(run: "Run") -> StoredRun:
    """Return a run of MLflow's client in plain values."""
    return StoredRun(
        run_id=str(run.info.run_id),
        name=str(run.info.run_name or ""),
        status=str(run.info.status),
        start_time=int(run.info.start_time or 0),
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
        digest=next((str(used.dataset.digest) for used in run.inputs.dataset_inputs), "") if run.inputs else "",
    )


def _read(uri: str, directly: Callable[[], Answer], ask: Callable[["MlflowClient"], Answer], nothing: Answer) -> Answer:
    """Read a database directly; `ask` MLflow's client if that is impossible or fails.

    Return `nothing` if a local database doesn't exist.

    Raises:
        Unreachable: MLflow doesn't answer.
    """
    path = database_path(uri)
    if path is not None and not path.exists():
        return nothing
    if database.is_readable(uri):
        try:
            return directly()
        except database.UnreadableError:
            pass  # an old database, which MLflow migrates, or a damaged one, for which MLflow has a message
    from study.track.client import connect, translate_errors

    with translate_errors(uri):
        return ask(connect(uri))
