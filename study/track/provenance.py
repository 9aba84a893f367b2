"""How a study was made: the grid as it was given and as it was run, and what its runs ran on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.errors import StudyError, without_passwords
from study.track import words
from study.track.connect import connect
from study.track.find import experiment_tags, find_experiment, read_runs
from study.track.place import tracking_uri
from study.track.stored import StoredRun

GRID = "study.grid"
"""Tag of the experiment: the text of the grid file, with the changes made on the command line."""
RESOLVED = "study.grid_resolved"
"""Tag of the experiment: the grid with every default filled in."""
COMMAND = "study.command"
PAGE = "mlflow.experimentKind"
"""Tag by which MLflow's pages open on training runs, not on chats with language models."""
TAG_LIMIT = 5000
"""Characters of a tag; a longer text goes on in tags with `.2`, `.3` ... behind their names."""
ENVIRONMENTS = 12
"""Environments read at most: a run's is a file of its own."""


@dataclass(frozen=True)
class Provenance:
    """Facts for the end of a report, in words, and the verdict's smallest effect in points."""

    words: dict[str, str]
    """`command`, `grid` and `resolved` as they were stored; `experiment_id` and, where MLflow's pages have a known
    address, `mlflow_ui`; the rest are versions and hardware by name. What isn't known is left out."""
    smallest_effect: float

    def with_pages(self, address: str) -> "Provenance":
        """Return the same with MLflow's pages at an address, of use where the study was read from a database.

        Raises:
            StudyError: it isn't an http or https address.
        """
        return replace(self, words=self.words | {"mlflow_ui": pages_address(address)})


def describe(
    client: MlflowClient, experiment_id: str, *, grid: str, resolved: str, command: str, smallest_effect: float
) -> None:
    """Store with the experiment how it was asked for, without the passwords of addresses."""
    tags = {words.EFFECT: repr(smallest_effect), PAGE: "custom_model_development"}
    for key, text in ((GRID, grid), (RESOLVED, resolved), (COMMAND, command)):
        tags |= _in_parts(key, without_passwords(text))
    for key, value in tags.items():
        client.set_experiment_tag(experiment_id, key, value)


def load_provenance(experiment: str, uri: str | None = None) -> Provenance:
    """Return how a study was made.

    Raises:
        StudyError: no such experiment.
    """
    experiment_id, uri = find_experiment(experiment, uri), uri or tracking_uri()
    return provenance_of(experiment_id, read_runs(experiment_id, uri, "run"), uri)


def provenance_of(experiment_id: str, records: Sequence[StoredRun], uri: str) -> Provenance:
    """Return how a study was made; `records` are what was read of it at `uri`, the newest first."""
    tags, client = experiment_tags(experiment_id, uri), connect(uri)
    found = {"command": _whole(tags, COMMAND), "grid": _whole(tags, GRID), "resolved": _whole(tags, RESOLVED)}
    found |= {"experiment_id": experiment_id, "mlflow_ui": pages_address(uri) if uri.startswith("http") else ""}
    runs = [run for run in records if run.tags.get(words.KIND) == "run"]
    found |= _together([one for run in _one_of_each(runs) for one in _environments(client, run.run_id)])
    effect = float(tags.get(words.EFFECT, words.USUAL_EFFECT))
    return Provenance({key: value for key, value in found.items() if value}, effect)


def pages_address(address: str) -> str:
    """Return where a browser finds MLflow's pages, without name and password.

    Raises:
        StudyError: it isn't an http or https address.
    """
    parts = urlsplit(without_passwords(address))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StudyError(f"'{address}': an http:// or https:// address of MLflow's pages is needed")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _in_parts(key: str, text: str) -> dict[str, str]:
    """Return a text as tags, and how many they are: what an earlier, longer text left behind isn't read."""
    parts = [text[start : start + TAG_LIMIT] for start in range(0, len(text), TAG_LIMIT)] or [""]
    return {_part(key, i): part for i, part in enumerate(parts)} | {f"{key}.parts": str(len(parts))}


def _whole(tags: Mapping[str, str], key: str) -> str:
    return "".join(tags.get(_part(key, i), "") for i in range(int(tags.get(f"{key}.parts", 1))))


def _part(key: str, i: int) -> str:
    return f"{key}.{i + 1}" if i else key


def _one_of_each(runs: list[StoredRun]) -> list[StoredRun]:
    """Return a run for each code, machine and device, the newest first: those that may differ in environment."""
    chosen: dict[tuple[str, ...], StoredRun] = {}
    for run in runs:
        tags = run.tags
        machine = tags.get(words.OWNER, "").partition(":")[0]
        made_by = (tags.get(key, "") for key in (words.COMMIT, words.CODE, words.TORCH, words.DEVICE))
        chosen.setdefault((machine, *made_by), run)
    return list(chosen.values())[:ENVIRONMENTS]


def _together(environments: list[dict[str, str]]) -> dict[str, str]:
    """Return for each name all the values that the environments have."""
    values: dict[str, list[str]] = {}
    for environment in environments:
        for key, value in environment.items():
            values.setdefault(key, [])
            values[key] += [value] if value and value not in values[key] else []
    return {key: "; ".join(found) for key, found in values.items()}


def _environments(client: MlflowClient, run_id: str) -> list[dict[str, str]]:
    """Read the versions and hardware that a run began with and went on with; nothing where they can't be had."""
    found = []
    with TemporaryDirectory() as folder:
        try:
            files = [file.path for file in client.list_artifacts(run_id) if file.path.startswith("environment")]
            for file in files:
                path = client.download_artifacts(run_id, file, folder)
                found.append(json.loads(Path(path).read_text(encoding="utf-8")))
        except (MlflowException, OSError, ValueError):
            pass  # what was read before still stands
    return [{str(key): str(value) for key, value in one.items()} for one in found if isinstance(one, dict)]
