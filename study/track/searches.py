"""What the learning-rate searches of a study found, for use in another."""

import json
from dataclasses import dataclass

from study.track import words
from study.track.connect import all_runs
from study.track.read import open_experiment


@dataclass(frozen=True)
class Found:
    """The point that a search found, and for which net."""

    net: str
    shortcut: str
    width: float
    variant: str
    point: dict[str, float]
    """The rate, and whatever else was searched."""


def load_found(experiment: str, uri: str | None = None) -> list[Found]:
    """Return what the ended searches of a study found, the newest first.

    Raises:
        StudyError: no such experiment.
    """
    client, experiment_id = open_experiment(experiment, uri)
    wanted = f"tags.`{words.KIND}` = 'tuning' and tags.`{words.OUTCOME}` = 'finished'"
    return [
        Found(
            net=run.data.params["net"],
            shortcut=run.data.params["shortcut"],
            width=float(run.data.params["width"]),
            variant=run.data.tags.get(words.VARIANT, ""),
            point=json.loads(run.data.tags[words.CHOSEN]),
        )
        for run in all_runs(client, experiment_id, wanted)
    ]
