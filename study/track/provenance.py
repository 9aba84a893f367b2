"""How a study was made: the grid as it was given, and what its runs ran on."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.track import words
from study.track.read import open_experiment

GRID = "study.grid"
"""Tag of the experiment: the text of the grid file, with the changes made on the command line."""
EFFECT = "study.smallest_effect"
COMMAND = "study.command"
PAGE = "mlflow.experimentKind"
"""Tag by which MLflow's pages open on training runs, not on chats with language models."""
TAG_LIMIT = 5000


@dataclass(frozen=True)
class Provenance:
    """Facts for the end of a report, in words, and the verdict's smallest effect in points."""

    words: dict[str, str]
    smallest_effect: float


def describe(client: MlflowClient, experiment_id: str, *, grid: str, command: str, smallest_effect: float) -> None:
    """Store with the experiment how it was asked for; a grid file too long for a tag is cut, and says so."""
    if len(grid) > TAG_LIMIT:
        grid = grid[: TAG_LIMIT - 60] + "\n# ... cut here: too long for a tag"
    tags = {GRID: grid, EFFECT: repr(smallest_effect), COMMAND: command[:TAG_LIMIT], PAGE: "custom_model_development"}
    for key, value in tags.items():
        client.set_experiment_tag(experiment_id, key, value)


def load_provenance(experiment: str, uri: str | None = None) -> Provenance:
    """Return how a study was made.

    Raises:
        StudyError: no such experiment.
    """
    client, experiment_id = open_experiment(experiment, uri)
    tags = client.get_experiment(experiment_id).tags
    found = {"command": tags.get(COMMAND, ""), "grid": tags.get(GRID, "")}
    newest = client.search_runs(
        [experiment_id], f"tags.`{words.KIND}` = 'run'", order_by=["attributes.start_time DESC"], max_results=1
    )
    for run in newest:
        found |= _environment(client, run.info.run_id)
    return Provenance({key: value for key, value in found.items() if value}, float(tags.get(EFFECT, 0.5)))


def _environment(client: MlflowClient, run_id: str) -> dict[str, str]:
    """Read the versions and hardware that a run stored; nothing where its artifacts can't be had."""
    with TemporaryDirectory() as folder:
        try:
            path = client.download_artifacts(run_id, "environment.json", folder)
            loaded = json.loads(Path(path).read_text(encoding="utf-8"))
        except (MlflowException, OSError, ValueError):
            return {}
    return {str(key): str(value) for key, value in loaded.items()} if isinstance(loaded, dict) else {}
