"""One look at the runs of a study, and all frames that can be made of it without reading more."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from study.track import words
from study.track.effect import Effect, effect_of
from study.track.find import experiment_tags, find_experiment, read_runs
from study.track.owner import is_gone
from study.track.place import tracking_uri
from study.track.sound import sound
from study.track.stored import StoredRun

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Look:
    """The runs of a study, searches, trials and data sets included, read at once; their curves aren't read yet."""

    name: str
    uri: str
    experiment_id: str
    records: tuple[StoredRun, ...]
    """The newest first."""
    left_out: tuple[str, ...] = ()
    """A line for each run that can't be used."""

    @property
    def state(self) -> str:
        """A hash of all that was read: the same as long as nobody logs anything."""
        seen = sorted(
            (run.run_id, run.status, sorted(run.tags.items()), sorted(run.metrics.items())) for run in self.records
        )
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()

    @property
    def at_work(self) -> int:
        """How many of them are RUNNING and may be: not those of a process of this machine that is dead."""
        running = [run for run in self.records if run.status == "RUNNING"]
        return sum(not is_gone(run.tags.get(words.OWNER, "")) for run in running)

    @cached_property
    def smallest_effect(self) -> Effect:
        """The smallest effect that the study's verdict calls one."""
        return effect_of(experiment_tags(self.experiment_id, self.uri))

    @property
    def runs(self) -> "pd.DataFrame":
        """As `load_runs` gives them."""
        from study.track.read import runs_frame

        return runs_frame(list(self.records))

    @property
    def trials(self) -> "pd.DataFrame":
        """As `load_trials` gives them."""
        from study.track.read import trials_frame

        return trials_frame(list(self.records))


def look(experiment: str, uri: str | None = None) -> Look:
    """Read a study's runs.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    uri = uri or tracking_uri()
    experiment_id = find_experiment(experiment, uri)
    good, lines = sound(read_runs(experiment_id, uri))
    return Look(experiment, uri, experiment_id, tuple(good), tuple(lines))
