"""A study's runs as they are at one moment, and the smallest effect that its verdict counts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from study.errors import printable
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import experiment_tags, find_experiment, read_runs
from study.track.processes import is_dead
from study.track.uri import tracking_uri
from study.track.validation import check_runs

DEFAULT_EFFECT = 0.5
"""Points, where the experiment has no tag that says otherwise."""


@dataclass(frozen=True)
class SmallestEffect:
    """A smallest effect of interest, in points of training error."""

    points: float
    remark: str = ""
    """A remark on how it was set, if a reader needs one."""


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
    def smallest_effect(self) -> SmallestEffect:
        """The smallest effect that the study's verdict counts."""
        return effect_from_tags(experiment_tags(self.experiment_id, self.uri))


def take_snapshot(experiment: str, uri: str | None = None) -> Snapshot:
    """Read a study's runs.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    uri = uri or tracking_uri()
    experiment_id = find_experiment(experiment, uri)
    usable, lines = check_runs(read_runs(experiment_id, uri))
    return Snapshot(experiment, uri, experiment_id, tuple(usable), tuple(lines))


def effect_from_tags(tags: Mapping[str, str]) -> SmallestEffect:
    """Return the smallest effect of a study from the tags of its experiment: that set before the first result."""
    text = tags.get(tag.EFFECT, "")
    try:
        first, *later = (float(part) for part in text.split(tag.SEPARATOR)) if text else (DEFAULT_EFFECT,)
    except ValueError:
        first, later = 0.0, []
    if not 0 < first < 100:
        remark = f"{DEFAULT_EFFECT:g} points, since the experiment's tag {tag.EFFECT} is '{printable(text[:60])}'"
        return SmallestEffect(DEFAULT_EFFECT, remark)
    if not later:
        return SmallestEffect(first)
    asked = " and then ".join(f"{value:g}" for value in later)
    return SmallestEffect(
        first, f"{first:g} points, as set before the first result; {asked} was asked for later and isn't used"
    )


def updated_effect_tag(tags: Mapping[str, str], points: float, *, results: bool) -> str:
    """Return the tag's new value when a grid asks for `points`; if the study has `results`, append them."""
    before = tags.get(tag.EFFECT, "")
    if not before or not results:
        return repr(points)
    return before if before.split(tag.SEPARATOR)[-1] == repr(points) else f"{before}{tag.SEPARATOR}{points!r}"
