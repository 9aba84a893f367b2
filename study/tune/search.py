"""The learning-rate search of one cell, kept in Optuna's storage."""

import warnings
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from study.config import Tune
from study.tune.rates import shared_rates

optuna.logging.set_verbosity(optuna.logging.WARNING)

STARTUP_TRIALS = 4
"""Trials that come to their end before the pruner may stop one."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Trial:
    """A rate to try, and its number in the cell's search."""

    number: int
    rate: float


class SearchStore:
    """Optuna's database, opened when the first search is asked for."""

    def __init__(self, url: str) -> None:
        """Take note of the address; it must not be MLflow's (both keep their schema version in the same table)."""
        self._url = url
        self._storage: BaseStorage | None = None

    def search(self, name: str, tune: Tune, seed: int) -> "Search":
        """Open the search called `name`, or create it."""
        if self._storage is None:
            self._storage = RDBStorage(self._url)
        return Search(self._storage, name, tune, seed)


class Search:
    """Asks for rates and is told what became of them.

    The shared rates come first, then those of the sampler, one at a time so that the search is the same however many
    workers there are. Everything told is in the storage at once: a search goes on where it was stopped.
    """

    def __init__(self, storage: BaseStorage, name: str, tune: Tune, seed: int) -> None:
        """Open the search called `name`, or create it; `seed` is the sampler's."""
        self.tune = tune
        self._seed = seed
        self._study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, direction="minimize", pruner=_pruner(tune)
        )
        self._distribution = FloatDistribution(tune.low, tune.high, log=True)
        for rate in shared_rates(tune):
            self._study.enqueue_trial({"lr": rate}, skip_if_exists=True)
        self._live: dict[int, optuna.Trial] = {}
        self._left = self._trials(TrialState.RUNNING)  # in flight when the search was stopped

    def ask(self) -> Trial | None:
        """Return the next rate to try, or None: nothing to try before a running trial ends, or at all."""
        if self._left:
            left = self._left.pop(0)
            self._live[left.number] = optuna.Trial(self._study, left._trial_id)
            return Trial(left.number, float(f"{left.params['lr']:.4g}"))
        waiting = self._trials(TrialState.WAITING)
        if not waiting and (self._live or self.started >= self.tune.trials):
            return None
        if not waiting:
            self._study.sampler = self._sampler()
        trial = self._study.ask({"lr": self._distribution})
        self._live[trial.number] = trial
        return Trial(trial.number, float(f"{trial.params['lr']:.4g}"))

    def report(self, number: int, step: int, value: float) -> bool:
        """Note a trial's running training loss at an iteration; return whether the trial should be stopped."""
        if self.tune.pruner == "none":
            return False
        trial = self._live[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a step reported twice, after a trial was taken up again
            trial.report(value, step)
        finished = len(self._trials(TrialState.COMPLETE))
        return finished >= STARTUP_TRIALS and trial.should_prune()

    def tell(self, number: int, value: float, *, diverged: bool = False) -> None:
        """Note a trial's end."""
        trial = self._live.pop(number)
        trial.set_user_attr("diverged", diverged)
        self._study.tell(trial, value)

    def prune(self, number: int) -> None:
        """Note that a trial was stopped early."""
        self._study.tell(self._live.pop(number), state=TrialState.PRUNED)

    def fail(self, number: int) -> None:
        """Note that a trial broke: it counts as tried, and its rate isn't chosen."""
        self._study.tell(self._live.pop(number), state=TrialState.FAIL)

    @property
    def started(self) -> int:
        """Trials that have begun, ended ones included."""
        return len(self._trials()) - len(self._trials(TrialState.WAITING))

    @property
    def left(self) -> int:
        """Trials still to end."""
        ended = len(self._trials(*FINISHED, TrialState.FAIL))
        return max(self.tune.trials, len(self._trials())) - ended

    @property
    def done(self) -> bool:
        """Whether every trial has ended."""
        return self.left == 0

    def best(self) -> tuple[float, float] | None:
        """Return the best rate and its value (the smaller rate of equals); None where no trial came to its end."""
        complete = [(trial.value, trial.params["lr"]) for trial in self._trials(TrialState.COMPLETE)]
        if not complete:
            return None
        value, rate = min(complete)
        return float(f"{rate:.4g}"), float(value)

    def edge(self, rate: float) -> Literal["lowest", "highest", None]:
        """Say whether a rate is the lowest or highest of those tried: then the best may lie outside."""
        rates = sorted(trial.params["lr"] for trial in self._trials(*FINISHED))
        if len(rates) < 3:
            return None
        if rate <= rates[0] * 1.001:
            return "lowest"
        return "highest" if rate >= rates[-1] * 0.999 else None

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return list(self._study.get_trials(deepcopy=False, states=states or None))

    def _sampler(self) -> optuna.samplers.BaseSampler:
        """Return the refining sampler, seeded by the cell and the number of trials, so that a resumed search agrees."""
        return optuna.samplers.TPESampler(
            n_startup_trials=min(STARTUP_TRIALS, self.tune.shared_trials), seed=(self._seed + self.started) % 2**32
        )


def _pruner(tune: Tune) -> optuna.pruners.BasePruner:
    if tune.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
