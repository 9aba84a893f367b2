"""A study as it stands at a moment: one look at its runs, and then all frames of it."""

import hashlib
import json
from dataclasses import dataclass

import pandas as pd
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from study.track import words
from study.track.connect import all_runs, answering, tracking_uri
from study.track.curves import read_curves
from study.track.data import DatasetRecord, datasets_of
from study.track.owner import is_gone
from study.track.provenance import Provenance, provenance_of
from study.track.read import open_experiment, runs_frame, trials_frame


@dataclass(frozen=True, eq=False)
class Study:
    """All that a report is made of."""

    name: str
    runs: pd.DataFrame
    """As `load_runs` gives them."""
    curves: pd.DataFrame
    """As `load_curves` gives them."""
    trials: pd.DataFrame
    """As `load_trials` gives them."""
    datasets: tuple[DatasetRecord, ...]
    """As `load_datasets` gives them."""
    provenance: Provenance


@dataclass(frozen=True, eq=False)
class Look:
    """The runs of a study, searches, trials and data sets included, read at once; their curves aren't read yet."""

    name: str
    uri: str
    client: MlflowClient
    experiment_id: str
    records: tuple[Run, ...]
    """The newest first."""

    @property
    def state(self) -> str:
        """A hash of all that was read: the same as long as nobody logs anything."""
        seen = sorted(
            (run.info.run_id, run.info.status, sorted(run.data.tags.items()), sorted(run.data.metrics.items()))
            for run in self.records
        )
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()

    @property
    def at_work(self) -> int:
        """How many of them are RUNNING and may be: not those of a process of this machine that is dead."""
        running = [run for run in self.records if run.info.status == "RUNNING"]
        return sum(not is_gone(run.data.tags.get(words.OWNER, "")) for run in running)

    @property
    def runs(self) -> pd.DataFrame:
        """As `load_runs` gives them."""
        return runs_frame(list(self.records))

    @property
    def trials(self) -> pd.DataFrame:
        """As `load_trials` gives them."""
        return trials_frame(list(self.records))

    @property
    def provenance(self) -> Provenance:
        """As `load_provenance` gives it."""
        return provenance_of(self.client, self.experiment_id, self.records, self.uri)

    def study(self) -> Study:
        """Read the rest.

        Raises:
            Unreachable: MLflow doesn't answer.
        """
        with answering(self.uri):
            runs, records = self.runs, list(self.records)
            return Study(
                self.name,
                runs,
                read_curves(self.client, runs),
                self.trials,
                tuple(datasets_of(self.client, records)),
                self.provenance,
            )


def look(experiment: str, uri: str | None = None) -> Look:
    """Read a study's runs.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    uri = uri or tracking_uri()
    with answering(uri):
        client, experiment_id = open_experiment(experiment, uri)
        return Look(experiment, uri, client, experiment_id, tuple(all_runs(client, experiment_id)))


def load_study(experiment: str, uri: str | None = None) -> Study:
    """Return everything of a study.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    return look(experiment, uri).study()
