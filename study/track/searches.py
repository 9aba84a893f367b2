"""What the learning-rate searches of a study found, for use in another."""

import json
from dataclasses import dataclass

from study.track import words
from study.track.find import find_experiment, read_runs
from study.track.place import tracking_uri
from study.track.sound import warned


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
    searches = warned(read_runs(find_experiment(experiment, uri), uri or tracking_uri(), "tuning"))
    return [
        Found(
            net=run.params["net"],
            shortcut=run.params.get("shortcut", ""),
            width=float(run.params.get("width", 1)),
            variant=run.tags.get(words.VARIANT, ""),
            point=json.loads(run.tags[words.CHOSEN]),
        )
        for run in searches
        if run.tags[words.OUTCOME] == "finished" and run.params
    ]
