"""Find a study and read its runs: straight from a database where that can be, else through MLflow's client."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from study.errors import StudyError
from study.track import database, words
from study.track.place import database_path, exists, local_path, repair_moved, tracking_uri
from study.track.stored import StoredRun

if TYPE_CHECKING:
    from mlflow.entities import Run

Found = TypeVar("Found")


def list_studies(uri: str | None = None) -> list[str]:
    """Return the names of the experiments that hold a study's runs, the newest first."""
    uri = uri or tracking_uri()

    def ask() -> list[str]:
        from study.track.connect import connect

        client = connect(uri)
        found = client.search_experiments(order_by=["last_update_time DESC"])
        wanted = f"tags.`{words.KIND}` = 'run'"
        return [str(one.name) for one in found if client.search_runs([one.experiment_id], wanted, max_results=1)]

    return read_or_ask(uri, lambda: database.studies(uri), ask, [])


def find_experiment(experiment: str, uri: str | None = None) -> str:
    """Return the id of a study's experiment.

    Raises:
        StudyError: no such experiment.
    """
    uri = uri or tracking_uri()

    def ask() -> str | None:
        from study.track.connect import connect

        found = connect(uri).get_experiment_by_name(experiment)
        return None if found is None else str(found.experiment_id)

    found = read_or_ask(uri, lambda: database.experiment_id(uri, experiment), ask, None)
    if found is None:
        known = ", ".join(list_studies(uri)) or "none"
        raise StudyError(f"no study is called '{experiment}' at {uri} (known: {known})")
    repair_moved(uri)
    return found


def lost_files(experiment: str, uri: str | None = None) -> str:
    """Say that finished runs of a study in a local database have no files any more; nothing where all have theirs.

    Raises:
        StudyError: no such experiment.
    """
    uri = uri or tracking_uri()
    path = database_path(uri)
    if path is None:
        return ""
    found = find_experiment(experiment, uri)
    places = read_or_ask(uri, lambda: database.artifact_places(uri, found), list[str], list[str]())
    folders = [folder for place in places if (folder := local_path(place)) is not None]
    lost = [folder for folder in folders if not exists(folder)]
    if not lost:
        return ""
    return (
        f"warning: the files of {len(lost)} of {len(folders)} finished runs (checkpoints, probes) are gone from "
        f"{lost[0].parents[1]}: if the study was moved or copied without its mlruns, put that beside {path}"
    )


def experiment_tags(experiment_id: str, uri: str) -> dict[str, str]:
    """Return the tags of an experiment."""

    def ask() -> dict[str, str]:
        from study.track.connect import connect

        return dict(connect(uri).get_experiment(experiment_id).tags)

    return read_or_ask(uri, lambda: database.experiment_tags(uri, experiment_id), ask, {})


def read_runs(experiment_id: str, uri: str, kind: str | None = None, *, tags_alone: bool = False) -> list[StoredRun]:
    """Return the runs of an experiment, the newest first; of one kind, or all.

    With `tags_alone`, tags are all that is asked for, and only ours.
    """

    def ask() -> list[StoredRun]:
        from study.track.connect import all_runs, connect

        wanted = f"tags.`{words.KIND}` = '{kind}'" if kind else ""
        return [stored(run) for run in all_runs(connect(uri), experiment_id, wanted)]

    return read_or_ask(uri, lambda: database.runs(uri, experiment_id, kind, tags_alone=tags_alone), ask, [])


def stored(run: "Run") -> StoredRun:
    """Return what MLflow's client gave, in plain values."""
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


def read_or_ask(uri: str, directly: Callable[[], Found], ask: Callable[[], Found], nothing: Found) -> Found:
    """Read a database directly; ask MLflow where there is none, or where it knows it better than we do.

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
            pass  # an old database, which MLflow brings up to date, or a damaged one, of which it says what is wrong
    from study.track.connect import answering

    with answering(uri):
        return ask()
