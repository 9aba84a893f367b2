"""How a study was made: its commands, grids and machines."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from study.config.command import Command
from study.config.protocol import Protocol, unused_changes
from study.errors import with_noun
from study.track import tags as tag
from study.track.client import connect
from study.track.database import StoredRun
from study.track.processes import scratch_folder
from study.track.snapshot import Provenance, Snapshot, read_commands, read_protocols, take_snapshot
from study.track.uri import ui_address
from study.track.view import VIEW, saved_view

PAGE = "mlflow.experimentKind"
"""Tag that makes MLflow's pages show training runs first, not chats with language models."""
ENVIRONMENTS = 12
"""Maximal number of environments read: each run has a file."""


def describe_experiment(
    client: MlflowClient,
    experiment_id: str,
    protocol: Protocol,
    command: Command | None,
    varying: Sequence[str] = (),
) -> None:
    """Store the protocol of a grid with its experiment, the command that has begun a run, if any, and a saved view.

    The view has a column for each parameter that is `varying`.

    Before the first result a protocol that is there already is stored anew if another came after it: the last holds.
    """
    before = client.get_experiment(experiment_id).tags
    tags = {PAGE: "custom_model_development"} | ({} if VIEW in before else {VIEW: saved_view(varying)})
    newest = next(reversed(read_protocols(before)[0]), protocol)
    if (key := f"{tag.PROTOCOL}.{protocol.id}") not in before or (newest.id != protocol.id and not protocol.results):
        tags |= tag.split_text(key, protocol.model_dump_json())
    if command is not None and (key := f"{tag.MADE}.{command.id}") not in before:
        tags |= tag.split_text(key, command.model_dump_json())
    for key, value in tags.items():
        if before.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)


def load_provenance(experiment: str, uri: str | None = None) -> Provenance:
    """Return how a study was made.

    Raises:
        StudyError: no such experiment.
    """
    return provenance_of(take_snapshot(experiment, uri))


def provenance_of(snapshot: Snapshot) -> Provenance:
    """Return how a study was made."""
    records, uri, client = snapshot.records, snapshot.uri, connect(snapshot.uri)
    (commands, broken), (protocols, edited) = read_commands(snapshot.tags), snapshot.protocols
    words = {"command": _command_lines(commands, broken, records), "grid": _grids(commands), "tune": _tune(records)}
    words |= {"rule": "\n".join([*unused_changes(protocols), *edited]), "left out": "\n".join(snapshot.left_out)}
    words |= {"experiment_id": snapshot.experiment_id, "mlflow_ui": ui_address(uri) if uri.startswith("http") else ""}
    runs = _one_per_environment([run for run in records if run.kind == "run"])
    words |= _merge([environment for run in runs for environment in _environments(client, run.run_id)])
    return Provenance({key: value for key, value in words.items() if value}, tuple(protocols), tuple(commands))


def _command_lines(commands: Sequence[Command], broken: Sequence[str], runs: Sequence[StoredRun]) -> str:
    """Return a line per command, with the number of the runs that it began and continued."""
    began: dict[str, Counter[str]] = defaultdict(Counter)
    continued: Counter[str] = Counter()
    for run in runs:
        first, *later = run.tags.get(tag.MADE, "").split(tag.SEPARATOR)
        if run.kind in ("run", "trial"):
            began[first][run.kind] += 1
            continued.update(set(later) - {first})
    lines = [
        f"{command.command}  # {_added(began.pop(command.id, Counter()), continued[command.id])}"
        for command in commands
    ]
    lines += [f"# the experiment's tag {key} was edited: no command can be read from it" for key in broken]
    unknown = sum(began.values(), Counter())
    if unknown and lines:
        lines.append(f"# {_added(unknown, 0)} by commands that aren't known")
    return "\n".join(lines)


def _added(began: Mapping[str, int], continued: int) -> str:
    parts = [with_noun(began[kind], kind) for kind in ("run", "trial") if began.get(kind)]
    return " and ".join(parts or ["nothing new"]) + (f"; went on with {continued:,}" if continued else "")


def _grids(commands: Sequence[Command]) -> str:
    """Return the texts of the grids; if there are several, each follows its command."""
    texts: dict[str, str] = {}
    for command in commands:
        texts.setdefault(command.grid, command.command)
    if len(texts) < 2:
        return "".join(texts)
    return "\n".join(f"# {command}\n{grid}" for grid, command in texts.items())


def _tune(runs: Sequence[StoredRun]) -> str:
    """Return the settings of the searches, a line for each that differs."""
    settings = [
        {key.removeprefix("tune_"): value for key, value in run.params.items() if key.startswith("tune_") and value}
        for run in runs
        if run.kind == "tuning"
    ]
    lines = (", ".join(f"{key}: {' '.join(value.split())}" for key, value in search.items()) for search in settings)
    return "\n".join(dict.fromkeys(f"{{{line}}}" for line in lines if line))


def _one_per_environment(runs: list[StoredRun]) -> list[StoredRun]:
    """Return a run per code, machine and device, whose environments may differ; the newest first."""
    chosen: dict[tuple[str, ...], StoredRun] = {}
    for run in runs:
        tags = run.tags
        machine = tags.get(tag.OWNER, "").partition(":")[0]
        made_by = (tags.get(key, "") for key in (tag.COMMIT, tag.CODE, tag.TORCH, tag.DEVICE))
        chosen.setdefault((machine, *made_by), run)
    return list(chosen.values())[:ENVIRONMENTS]


def _merge(environments: list[dict[str, str]]) -> dict[str, str]:
    """Return all values of the environments for each name."""
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for environment in environments:
        for key, value in environment.items():
            values[key] |= {value: None} if value else {}
    return {key: "; ".join(texts) for key, texts in values.items()}


def _environments(client: MlflowClient, run_id: str) -> list[dict[str, str]]:
    """Read the versions and hardware of a run's attempts; empty if they can't be read."""
    environments = []
    with scratch_folder("study-files-") as folder:
        try:
            files = [file.path for file in client.list_artifacts(run_id) if file.path.startswith("environment")]
            for file in files:
                path = client.download_artifacts(run_id, file, folder)
                environments.append(json.loads(Path(path).read_text(encoding="utf-8")))
        except (MlflowException, OSError, ValueError):
            pass  # what was read before still stands
    return [
        {str(key): str(value) for key, value in environment.items()}
        for environment in environments
        if isinstance(environment, dict)
    ]
