"""A study as it stands at a moment: its runs, curves, trials and data sets, and how it was made."""

from dataclasses import dataclass

import pandas as pd

from study.track.connect import answering, connect
from study.track.curves import read_curves
from study.track.data import DatasetRecord, datasets_of
from study.track.look import Look, look
from study.track.probes import read_probes
from study.track.provenance import Provenance, provenance_of


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
    probes: dict[str, pd.DataFrame]
    """As `load_probes` gives them."""
    provenance: Provenance


def study_of(seen: Look) -> Study:
    """Read the rest of a study.

    Raises:
        Unreachable: MLflow doesn't answer.
    """
    with answering(seen.uri):
        client, runs = connect(seen.uri), seen.runs
        return Study(
            seen.name,
            runs,
            read_curves(client, runs),
            seen.trials,
            tuple(datasets_of(client, seen.records)),
            read_probes(client, runs),
            provenance_of(seen.experiment_id, seen.records, seen.uri, seen.left_out),
        )


def load_study(experiment: str, uri: str | None = None) -> Study:
    """Return everything of a study.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    return study_of(look(experiment, uri))
