"""The search of one cell, in Optuna's storage."""

import math
import warnings
from collections.abc import Mapping
from typing import Literal

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from study.config import Tune
from study.errors import StudyError
from study.retry import Retry, first_line
from study.tune.propose import STARTUP_TRIALS, bisect, pruner, sampler
from study.tune.space import Point, axes, from_storage, shared_points, to_storage
from study.tune.storage import open_storage
from study.tune.trial import Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings would interrupt the progress bars

QUARTERS = 4
"""A trial reports at each quarter of its training; steps in the storage are quarters, one seed after another."""
HALF_DECADE = 10**0.5
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class SearchStore:
    """Optuna's database, opened for the first search."""

    def __init__(self, url: str, retry: Retry | None = None) -> None:
        """Store the address; it must not be MLflow's (both keep their schema version in the same table).

        `retry` repeats calls to the open database while it is unavailable; the default doesn't repeat them.
        """
        self._url = url
        self._retry = retry or Retry()
        self._storage: BaseStorage | None = None

    def search(self, name: str, tune: Tune, seed: int) -> "Search":
        """Open the search called `name`, or create it.

        Raises:
            StudyError: the storage can't be opened.
        """
        if self._storage is None:
            try:
                self._storage = open_storage(self._url, self._retry)
            except StudyError:
                raise
            except Exception as error:  # drivers of many databases, each with errors of its own
                reason = f"{self._url} can't be opened: {first_line(error)}"
                raise StudyError(f"Optuna's storage {reason}") from None
        return Search(self._storage, name, tune, seed)


class Search:
    """Proposes points and records the values of their trials.

    The shared points come first, then those of the sampler, one at a time so that the search is the same however many
    workers there are, then those that widen it. Every value is stored at once: a stopped search resumes where it was,
    a trial with several seeds at the first seed without a value.
    """

    def __init__(self, storage: BaseStorage, name: str, tune: Tune, seed: int) -> None:
        """Open the search called `name`, or create it; `seed` is the sampler's."""
        self.tune = tune
        self._seed = seed
        self._study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, direction="minimize", pruner=pruner(tune)
        )
        for point in shared_points(tune):
            self._study.enqueue_trial(to_storage(point, tune), skip_if_exists=True)
        self._live: dict[int, optuna.Trial] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._queue: list[Trial] = []
        for left in self._trials(TrialState.RUNNING):  # in flight when the search was stopped
            if "fixed_params" not in left.system_attrs:
                self._study.sampler = self._sampler(left.number)
            self._queue_seeds(self._with_point(optuna.Trial(self._study, left._trial_id)))

    def suggest(self, point: Point) -> None:
        """Try `point` after the shared ones; it counts as one of the trials."""
        if point and len(self._trials()) < self.tune.trials:
            self._study.enqueue_trial(to_storage(point, self.tune), skip_if_exists=True)

    def ask(self) -> Trial | None:
        """Return the next trial and seed; None if a running trial must end first, or if all are done."""
        if not self._queue:
            trial = self._next()
            if trial is None:
                return None
            self._queue_seeds(trial)
        return self._queue.pop(0)

    def report(self, trial: Trial, quarter: int, value: float) -> bool:
        """Record a trial's running training loss at a quarter of its training; return whether it should be stopped."""
        if self.tune.pruner in ("none", "wilcoxon"):
            return False
        return self._compare(trial.number, trial.repeat * QUARTERS + quarter, value)

    def tell(self, trial: Trial, value: float, *, diverged: bool = False) -> list[Trial]:
        """Record a trial's value for one of its seeds; return the other seeds that needn't be run any more."""
        live = self._live[trial.number]
        if diverged:
            live.set_user_attr("diverged", True)
        live.set_user_attr(f"value {trial.repeat}", value)  # last: an interrupted search resumes by it
        by_seed = self._values[trial.number]
        by_seed[trial.repeat] = value
        worse = self.tune.pruner == "wilcoxon" and self._compare(trial.number, trial.repeat, value)
        if len(by_seed) == self.tune.seeds:
            self._study.tell(self._live.pop(trial.number), _mean(by_seed))
        elif worse:
            return self.prune(trial)
        return []

    def prune(self, trial: Trial) -> list[Trial]:
        """Record that a trial was stopped early; return the other seeds that needn't be run any more."""
        self._study.tell(self._live.pop(trial.number), state=TrialState.PRUNED)
        return self._drop(trial)

    def fail(self, trial: Trial) -> list[Trial]:
        """Record that a trial failed: it counts as tried, but its point is never chosen."""
        self._study.tell(self._live.pop(trial.number), state=TrialState.FAIL)
        return self._drop(trial)

    def is_live(self, trial: Trial) -> bool:
        """Whether a trial hasn't ended yet (another of its seeds may have ended it)."""
        return trial.number in self._live

    @property
    def started(self) -> int:
        """Trials that have begun, ended ones included."""
        return len(self._trials()) - len(self._trials(TrialState.WAITING))

    @property
    def left(self) -> int:
        """Trials still to end, as far as is known now."""
        ended = len(self._trials(*ENDED))
        asked_for = self.tune.trials + self.widened
        return max(asked_for, len(self._trials()), ended + (self._wider() is not None)) - ended

    @property
    def done(self) -> bool:
        """Whether every trial has ended, those that widen the search included."""
        return self.left == 0

    def best(self) -> tuple[dict[str, float], float] | None:
        """Return the best point and its value (of equal values, the smaller rate); None if no trial was completed."""
        complete = [(trial.value, trial.params["lr"], trial) for trial in self._trials(TrialState.COMPLETE)]
        if not complete:
            return None
        value, _, trial = min(complete, key=lambda entry: entry[:2])
        return from_storage(trial.params, self.tune), float(value)

    def edge(self, rate: float) -> Literal["lowest", "highest", None]:
        """Return whether a rate is the lowest or highest one tried: then the best may lie outside."""
        rates = sorted(trial.params["lr"] for trial in self._trials(TrialState.COMPLETE, TrialState.PRUNED))
        if len(rates) < 3:
            return None
        if rate <= rates[0] * 1.001:
            return "lowest"
        return "highest" if rate >= rates[-1] * 0.999 else None

    @property
    def widened(self) -> int:
        """Trials begun to widen the search: they come on top of those asked for."""
        return sum("widens" in trial.user_attrs for trial in self._trials(*ENDED, TrialState.RUNNING))

    def _next(self) -> optuna.Trial | None:
        """Begin the next trial: a waiting one, a refining one, or one that widens the search."""
        if not self._trials(TrialState.WAITING):
            if self._live:
                return None
            if self.started - self.widened >= self.tune.trials:
                wider = self._wider()
                if wider is None:
                    return None
                self._study.enqueue_trial(to_storage(wider, self.tune), user_attrs={"widens": True})
            elif self.tune.sampler == "bisect":
                self._study.enqueue_trial(to_storage(self._bisect(), self.tune))
            else:
                self._study.sampler = self._sampler(self.started)
        return self._with_point(self._study.ask())

    def _bisect(self) -> dict[str, float]:
        best = self.best()
        tried = self._trials(TrialState.COMPLETE, TrialState.PRUNED)
        return bisect(self.tune, best and best[0], (from_storage(trial.params, self.tune) for trial in tried))

    def _wider(self) -> dict[str, float] | None:
        """Return the next point outside if the best rate is an outermost one and more trials are allowed."""
        best = self.best()
        if best is None or self.started - self.widened < self.tune.trials or self.widened >= self.tune.widen:
            return None
        side = self.edge(best[0]["lr"])
        if side is None:
            return None
        rate = best[0]["lr"]
        further = rate * HALF_DECADE if side == "highest" else rate / HALF_DECADE
        point = best[0] | {"lr": float(f"{further:.2g}")}  # 0.32, 1, 3.2: with more digits, steps end at 0.9999
        failed = [from_storage(trial.params, self.tune) for trial in self._trials(TrialState.FAIL)]
        return None if point in failed else point

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of one trial, seeded by the trial's number, so that a resumed search draws the same."""
        return sampler(self.tune, (self._seed + number) % 2**32)

    def _with_point(self, trial: optuna.Trial) -> optuna.Trial:
        """Set the parameters of a begun trial: its stored ones, the enqueued ones, or the sampler's.

        The bounds are wide enough for an enqueued point.
        """
        fixed = self._trials()[trial.number].system_attrs.get("fixed_params", {})
        for axis in axes(self.tune):
            low, high = sorted((axis.to_storage(axis.low), axis.to_storage(axis.high)))
            value = fixed.get(axis.parameter, low)
            low, high = min(low, value), max(high, value)
            if axis.scale == "whole":
                trial.suggest_int(axis.parameter, int(low), int(high))
            else:
                trial.suggest_float(axis.parameter, low, high, log=True)
        return trial

    def _queue_seeds(self, trial: optuna.Trial) -> None:
        """Queue the seeds of a begun trial that have no value yet; end the trial if all have one."""
        by_seed = {
            repeat: trial.user_attrs[f"value {repeat}"]
            for repeat in range(self.tune.seeds)
            if f"value {repeat}" in trial.user_attrs
        }
        if len(by_seed) == self.tune.seeds:  # stopped just before it was ended
            self._study.tell(trial, _mean(by_seed))
            return
        self._live[trial.number], self._values[trial.number] = trial, by_seed
        point = from_storage(trial.params, self.tune)
        self._queue += [Trial(trial.number, point, i) for i in range(self.tune.seeds) if i not in by_seed]

    def _drop(self, trial: Trial) -> list[Trial]:
        """Remove an ended trial's other seeds from the queue; return all that might be in flight."""
        self._queue = [waiting for waiting in self._queue if waiting.number != trial.number]
        by_seed = self._values.pop(trial.number)
        others = (Trial(trial.number, trial.point, i) for i in range(self.tune.seeds))
        return [other for other in others if other != trial and other.repeat not in by_seed]

    def _compare(self, number: int, step: int, value: float) -> bool:
        trial = self._live[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a step reported twice, after a trial was resumed; Wilcoxon's few
            trial.report(value, step)
            behind = trial.should_prune()  # halving remembers earlier values, so every value is reported to it
            return behind and (self.tune.pruner == "halving" or self._completed() >= STARTUP_TRIALS)

    def _completed(self) -> int:
        return len(self._trials(TrialState.COMPLETE))

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return list(self._study.get_trials(deepcopy=False, states=states or None))


def _mean(values: Mapping[int, float]) -> float:
    return math.fsum(values.values()) / len(values)
