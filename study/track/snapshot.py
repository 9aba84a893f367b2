"""A study's runs as they are at one moment, the protocols that were stored before them, and the commands."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from pydantic import ValidationError

from study.config.command import Command
from study.config.protocol import Protocol
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import experiment_tags, find_experiment, read_runs
from study.track.processes import is_dead
from study.track.uri import tracking_uri, ui_address
from study.track.validation import check_runs

Stored = TypeVar("Stored", Protocol, Command)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The records of a study, read at once: runs, searches, trials, data sets; `frames` makes frames of them."""

    name: str
    uri: str
    experiment_id: str
    records: tuple[StoredRun, ...]
    """The newest first."""
    left_out: tuple[str, ...] = ()
    """A line for each run that can't be used."""

    @property
    def state(self) -> str:
        """A hash of all that was read; it changes when a launcher logs data."""
        content = sorted(
            (run.run_id, run.status, sorted(run.tags.items()), sorted(run.metrics.items())) for run in self.records
        )
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def active(self) -> int:
        """Number of runs that are RUNNING, without those of dead processes of this machine."""
        running = [run for run in self.records if run.status == "RUNNING"]
        return sum(not is_dead(run.tags.get(tag.OWNER, "")) for run in running)

    @cached_property
    def protocols(self) -> tuple[list[Protocol], list[str]]:
        """As `read_protocols` returns them."""
        return read_protocols(self.tags)

    @property
    def commands(self) -> list[Command]:
        """Those of `read_commands` that can be read."""
        return read_commands(self.tags)[0]

    @cached_property
    def tags(self) -> dict[str, str]:
        """Tags of the experiment."""
        return experiment_tags(self.experiment_id, self.uri)


@dataclass(frozen=True)
class Provenance:
    """Facts for the end of a report, in words, the protocols that were stored beforehand, and the commands."""

    words: dict[str, str]
    """`command`, a line a command with what it added, the oldest first; `grid`, what they were given; `tune`, the
    settings of the searches; `rule`, a line for each change of the rule that isn't used; `left out`, a line for each
    run that can't be used; `experiment_id` and, where MLflow's pages have a known address, `mlflow_ui`; the rest are
    versions and hardware by name. What isn't known is left out."""
    protocols: tuple[Protocol, ...] = ()
    """The oldest first."""
    commands: tuple[Command, ...] = ()
    """Those that can be read, the oldest first."""

    def with_pages(self, address: str) -> "Provenance":
        """Return a copy with the address of MLflow's pages, for a study that was read from a database.

        Raises:
            StudyError: it isn't an http or https address.
        """
        return replace(self, words=self.words | {"mlflow_ui": ui_address(address)})


def take_snapshot(experiment: str, uri: str | None = None) -> Snapshot:
    """Read a study's runs.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    uri = uri or tracking_uri()
    experiment_id = find_experiment(experiment, uri)
    usable, lines = check_runs(read_runs(experiment_id, uri))
    records = tuple(run for run in usable if run.kind != "report")  # which is made of the others
    return Snapshot(experiment, uri, experiment_id, records, tuple(lines))


def read_protocols(tags: Mapping[str, str]) -> tuple[list[Protocol], list[str]]:
    """Return the protocols in the tags of an experiment, the oldest first, and a line for each that was edited."""
    protocols, edited = _stored(tags, tag.PROTOCOL, Protocol)
    return protocols, [f"the experiment's tag {key} was edited: no protocol can be read from it" for key in edited]


def read_commands(tags: Mapping[str, str]) -> tuple[list[Command], list[str]]:
    """Return the commands in the tags of an experiment, the oldest first, and the tags that were edited."""
    return _stored(tags, tag.MADE, Command)


def _stored(tags: Mapping[str, str], prefix: str, model: type[Stored]) -> tuple[list[Stored], list[str]]:
    """Return what is stored under a prefix followed by its id, the oldest first, and the tags whose id isn't theirs."""
    values: list[Stored] = []
    edited = []
    for key in sorted(tags):
        if re.fullmatch(rf"{re.escape(prefix)}\.[0-9a-f]+", key):
            with suppress(ValidationError):
                value = model.model_validate_json(tag.join_text(tags, key))
                if key == f"{prefix}.{value.id}":
                    values.append(value)
                    continue
            edited.append(key)
    return sorted(values, key=lambda value: value.at), edited
