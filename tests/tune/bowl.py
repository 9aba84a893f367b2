"""A search over a bowl whose bottom is known."""

import math
from pathlib import Path

from study.config import Tune
from study.tune import Search, SearchStore, Trial

BOTTOM = 0.03
TUNE = Tune(trials=8, shared=5, low=0.001, high=1.0, confirm=0)


def loss(rate: float, bottom: float = BOTTOM) -> float:
    """Return a bowl over log rate."""
    return math.log10(rate / bottom) ** 2


def open_search(folder: Path, tune: Tune = TUNE, name: str = "plain-20") -> Search:
    """Open a search afresh, as a launcher does when it starts."""
    return SearchStore(f"sqlite:///{folder / 'optuna.db'}").search(name, tune, 7)


def ask(search: Search) -> Trial:
    """Ask for a trial that must be there."""
    trial = search.ask()
    assert trial is not None
    return trial


def finish(search: Search, bottom: float = BOTTOM) -> list[Trial]:
    """Bring a search to its end, one trial after another; return what it tried."""
    trials = []
    while not search.done:
        trial = ask(search)
        search.tell(trial, loss(trial.rate, bottom))
        trials.append(trial)
    assert search.ask() is None
    return trials
