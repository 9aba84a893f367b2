"""Several studies on one page: each keeps its own verdict, its name a part of the variant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from study.config.command import Command
from study.config.protocol import Protocol
from study.verdict.comparison import shared_runs
from study.verdict.rule import Rule
from study.verdict.variant import labelled

if TYPE_CHECKING:  # reading MLflow needs MLflow, making a report doesn't
    from study.track.datasets import DatasetRecord
    from study.track.frames import Study


Stored = TypeVar("Stored", Protocol, Command)

LINES = ("command", "tune", "rule", "left out")
ALONE = ("grid", *LINES, "experiment_id")
"""Facts that a line on several studies leaves out."""


@dataclass(frozen=True, eq=False)
class Joined:
    """All that a report is made of: one study, or several under one another."""

    name: str
    runs: pd.DataFrame
    """As `study.track.frames.load_runs` gives them."""
    curves: pd.DataFrame
    trials: pd.DataFrame
    datasets: tuple["DatasetRecord", ...] = ()
    """Shown as far as a run that counts used them."""
    probes: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Of one study alone, as `load_probes` gives them; of several there are none."""
    words: Mapping[str, str] = field(default_factory=dict)
    """How it was made: as `load_provenance` gives them, and `report_command`, which makes the page again."""
    rule: Rule = field(default_factory=Rule)
    protocols: tuple[Protocol, ...] = ()
    """What was set beforehand, the oldest first; empty where that isn't known."""
    commands: tuple[Command, ...] = ()
    """What made the runs, the oldest first."""


def join(studies: Sequence["Study"], command: str) -> Joined:
    """Set the frames of studies with different names under one another; one study stays as it is.

    Args:
        studies: at least one.
        command: what makes the page again.
    """
    if len(studies) == 1:
        (study,) = studies
        words = study.provenance.words | {"report_command": command}
        frames, protocols = (study.runs, study.curves, study.trials), study.provenance.protocols
        rule, commands = Rule.of(protocols), study.provenance.commands
        return Joined(study.name, *frames, study.datasets, study.probes, words, rule, protocols, commands)
    runs, curves, trials = (
        _under([(study.name, getattr(study, name)) for study in studies]) for name in ("runs", "curves", "trials")
    )
    datasets = {record.fingerprint: record for study in studies for record in study.datasets}
    rules = [Rule.of(study.provenance.protocols) for study in studies]
    return Joined(
        " + ".join(study.name for study in studies),
        runs,
        curves,
        trials,
        tuple(datasets.values()),
        words=_words(studies, runs, command),
        rule=Rule(min(rule.smallest_effect for rule in rules), min(rule.rare_failure for rule in rules)),
        protocols=_named({study.name: study.provenance.protocols for study in studies}),
        commands=_named({study.name: study.provenance.commands for study in studies}),
    )


def _named(stored: Mapping[str, Sequence[Stored]]) -> tuple[Stored, ...]:
    """Return what is stored with all studies, each with its study's name, the oldest first."""
    named = [item.model_copy(update={"study": study}) for study, items in stored.items() for item in items]
    return tuple(sorted(named, key=lambda item: item.at))


def _under(frames: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """Return all rows with their study's name in their variant; frames without any would spoil the types of columns."""
    filled = [
        frame.assign(variant=[labelled(study, str(variant)) for variant in frame["variant"]])
        for study, frame in frames
        if len(frame)
    ]
    return pd.concat(filled, ignore_index=True) if filled else frames[0][1]


def _words(studies: Sequence["Study"], runs: pd.DataFrame, command: str) -> dict[str, str]:
    """Return how they were made: what is the same of all once, the rest with the study's name."""
    made = {study.name: study.provenance.words for study in studies}
    out = {key: "\n".join(dict.fromkeys(words[key] for words in made.values() if key in words)) for key in LINES}
    out["grid"] = _headed({name: words["grid"] for name, words in made.items() if "grid" in words})
    made = {name: {key: words[key] for key in words if key not in ALONE} for name, words in made.items()}
    for key in dict.fromkeys(key for words in made.values() for key in words):
        values = {name: words[key] for name, words in made.items() if key in words}
        if len(values) == len(made) and len(set(values.values())) == 1:
            out[key] = next(iter(values.values()))
        else:
            out |= {f"{key} of {name}": value for name, value in values.items()}
    effects = {study.name: Rule.of(study.provenance.protocols).smallest_effect for study in studies}
    if len(set(effects.values())) > 1:
        each = ", ".join(f"{name} {effect:g}" for name, effect in effects.items())
        out["rule"] = f"smallest effect: the least of the studies' own ({each} points)\n{out['rule']}".strip()
    count = shared_runs(runs)
    if count:
        out["runs in several studies"] = f"{count} (equal keys: one training, told in the verdict of each)"
    return out | {"report_command": command}


def _headed(texts: dict[str, str]) -> str:
    """Return grids one under another, each under its study's name, as the comments that YAML has."""
    return "\n\n".join(f"# {' '.join(name.split())}\n{text.strip()}" for name, text in texts.items())
