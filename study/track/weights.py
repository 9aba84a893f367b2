"""A finished run's net: its specification and checkpoint, fetched from MLflow."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.errors import StudyError, nearest
from study.track import words
from study.track.connect import connect
from study.track.find import find_experiment, read_runs, stored
from study.track.owner import scratch_folder
from study.track.place import repair_moved, tracking_uri
from study.track.stored import StoredRun


@dataclass(frozen=True)
class Trained:
    """What a finished run left."""

    run_id: str
    name: str
    spec: dict[str, Any]
    """Its specification, as `RunSpec` takes it."""
    checkpoint: Path


@contextmanager
def trained(run: str, experiment: str | None = None, uri: str | None = None) -> Iterator[Trained]:
    """Yield a finished run's specification and checkpoint; the files are there until the block ends.

    Args:
        run: a run's id, the beginning of one (from 6 digits on), or its name, such as `resnet-56 seed 0`.
        experiment: the study of a run that is given by its name or the beginning of its id; needed for these.
        uri: where MLflow keeps things.

    Raises:
        StudyError: no such run, several, one without a result, or its files can't be had.
    """
    uri = uri or tracking_uri()
    client = connect(uri)
    repair_moved(uri)
    found = _find(client, run, experiment, uri)
    name = found.name
    outcome = found.tags.get(words.OUTCOME, "running")
    if found.tags.get(words.KIND) != "run" or outcome != "finished":
        what = outcome if found.tags.get(words.KIND) == "run" else "no run of a net"
        raise StudyError(f"run '{name}' ({found.run_id}) is {what}: only a finished run of a net can predict")
    with scratch_folder("study-files-") as folder:
        try:
            spec = Path(client.download_artifacts(found.run_id, "spec.json", folder))
            kept = Path(client.download_artifacts(found.run_id, "checkpoint", folder))
            values: dict[str, Any] = json.loads(spec.read_text(encoding="utf-8"))
            (checkpoint,) = kept.iterdir()
        except (MlflowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StudyError(f"the files of run '{name}' ({found.run_id}) can't be had: {reason}") from None
        yield Trained(found.run_id, name, values, checkpoint)


def _find(client: MlflowClient, run: str, experiment: str | None, uri: str) -> StoredRun:
    if len(run) == 32:
        try:
            return stored(client.get_run(run))
        except MlflowException:
            raise StudyError(f"no run has the id {run} at {uri}") from None
    if experiment is None:
        raise StudyError(f"no study to look for run '{run}' in at {uri}")
    runs = read_runs(find_experiment(experiment, uri), uri, "run")
    found = [one for one in runs if one.name == run]
    found = found or [one for one in runs if len(run) >= 6 and one.run_id.startswith(run)]
    if not found:
        names = sorted({one.name for one in runs})
        hint = nearest(run, names) or (f"; there are {', '.join(names[:8])}{' ...' * (len(names) > 8)}")
        raise StudyError(f"no run of study '{experiment}' is called '{run}'{hint}")
    if len(found) > 1:
        ids = ", ".join(f"{one.run_id[:8]} (lr {one.params.get('lr', '?')})" for one in found[:8])
        raise StudyError(f"study '{experiment}' has {len(found)} runs called '{run}': give the id of one: {ids}")
    return found[0]
