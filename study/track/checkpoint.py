"""Fetch the checkpoint and specification of a finished run from MLflow."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.errors import StudyError, nearest
from study.retry import first_line
from study.track.client import connect
from study.track.database import StoredRun, repair_moved
from study.track.find import find_experiment, read_runs, to_stored_run
from study.track.processes import scratch_folder
from study.track.uri import tracking_uri


@dataclass(frozen=True)
class Checkpoint:
    """A finished run's files."""

    run_id: str
    name: str
    spec: dict[str, Any]
    """Its specification, as `RunSpec` takes it."""
    path: Path


@contextmanager
def fetch_checkpoint(run: str, experiment: str | None = None, uri: str | None = None) -> Iterator[Checkpoint]:
    """Yield a finished run's specification and checkpoint; the files are deleted when the block ends.

    Args:
        run: a run's id, the beginning of one (from 6 digits on), or its name, such as `resnet-56 seed 0`.
        experiment: the study of a run that is given by its name or the beginning of its id; needed for these.
        uri: MLflow's address.

    Raises:
        StudyError: no such run, several, a run without a result, or its files can't be fetched.
    """
    uri = uri or tracking_uri()
    client = connect(uri)
    repair_moved(uri)
    stored = _find_run(client, run, experiment, uri)
    if stored.kind != "run" or stored.outcome != "finished":
        what = stored.outcome if stored.kind == "run" else "no run of a net"
        raise StudyError(f"run '{stored.name}' ({stored.run_id}) is {what}: only a finished run of a net can predict")
    with scratch_folder("study-files-") as folder:
        try:
            spec_file = Path(client.download_artifacts(stored.run_id, "spec.json", folder))
            spec: dict[str, Any] = json.loads(spec_file.read_text(encoding="utf-8"))
            (path,) = Path(client.download_artifacts(stored.run_id, "checkpoint", folder)).iterdir()
        except (MlflowException, OSError, ValueError) as error:
            reason = first_line(error)
            raise StudyError(f"the files of run '{stored.name}' ({stored.run_id}) can't be had: {reason}") from None
        yield Checkpoint(stored.run_id, stored.name, spec, path)


def _find_run(client: MlflowClient, run: str, experiment: str | None, uri: str) -> StoredRun:
    if len(run) == 32:
        try:
            return to_stored_run(client.get_run(run))
        except MlflowException:
            raise StudyError(f"no run has the id {run} at {uri}") from None
    if experiment is None:
        raise StudyError(f"no study to look for run '{run}' in at {uri}")
    runs = read_runs(find_experiment(experiment, uri), uri, "run")
    matches = [candidate for candidate in runs if candidate.name == run]
    matches = matches or [candidate for candidate in runs if len(run) >= 6 and candidate.run_id.startswith(run)]
    if not matches:
        names = sorted({candidate.name for candidate in runs})
        hint = nearest(run, names) or (f"; there are {', '.join(names[:8])}{' ...' * (len(names) > 8)}")
        raise StudyError(f"no run of study '{experiment}' is called '{run}'{hint}")
    if len(matches) > 1:
        ids = ", ".join(f"{candidate.run_id[:8]} (lr {candidate.params.get('lr', '?')})" for candidate in matches[:8])
        raise StudyError(f"study '{experiment}' has {len(matches)} runs called '{run}': give the id of one: {ids}")
    return matches[0]
