"""The search of one cell, in Optuna's storage."""

import math
import warnings
from collections.abc import Iterable
from typing import Literal

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from study.config import Tune
from study.errors import StudyError
from study.retry import Retry, first_line
from study.tune.propose import STARTUP_TRIALS, even, propose, pruner
from study.tune.space import Point, axes, from_storage, shared_points, to_storage
from study.tune.storage import open_storage
from study.tune.trial import Trial

optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings would interrupt the progress bars

QUARTERS = 4
"""A trial reports at each quarter of its training; steps in the storage are quarters, one seed after another."""
HALF_DECADE = 10**0.5
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
BEGUN = (*ENDED, TrialState.RUNNING)
WIDENS, CONFIRMS, REPEAT, STOPPED = "widens", "confirms", "repeat", "stopped at"
"""What Optuna stores of a trial: that it lies beyond the bounds; which trial it gives a further seed, and which seed;
the value at which it was pruned."""
Next = tuple[dict[str, float], dict[str, float]]
"""A point to try and what Optuna stores of its trial."""


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
    workers there are, then those that widen it. At last the best points are trained with further seeds, in trials of
    their own, and the mean over all seeds chooses between them. Every value is stored at once: a stopped search resumes
    where it was, a trial with several seeds at the first seed without a value.
    """

    def __init__(self, storage: BaseStorage, name: str, tune: Tune, seed: int) -> None:
        """Open the search called `name`, or create it; `seed` is the sampler's."""
        self.tune = tune
        self._seed = seed
        self._study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, direction="minimize", pruner=pruner(tune)
        )
        for point in shared_points(tune):
            self._enqueue(point)
        self._live: dict[int, optuna.Trial] = {}
        self._repeats: dict[int, tuple[int, ...]] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._queue: list[Trial] = []
        for left in self._trials(TrialState.RUNNING):  # in flight when the search was stopped
            trial = optuna.Trial(self._study, left._trial_id)
            if _stored_point(left).keys() >= {axis.parameter for axis in axes(tune)}:
                self._queue_seeds(self._with_point(trial))
            else:  # stopped before its point was stored
                self._study.tell(trial, state=TrialState.FAIL)

    def _enqueue(self, point: Point) -> None:
        """Put a point in line as one of the trials asked for, unless it was tried or there is no room."""
        if sum(not _is_extra(trial) for trial in self._trials()) < self.tune.trials:
            self._study.enqueue_trial(to_storage(point, self.tune), skip_if_exists=True)

    def suggest(self, point: Point) -> None:
        """Try `point` after the shared ones; it counts as one of the trials."""
        if point:
            self._enqueue(point)

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
        if self.tune.pruner in ("none", "wilcoxon") or self._is_further_seed(trial):
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
        compared = self.tune.pruner == "wilcoxon" and not self._is_further_seed(trial)
        worse = compared and self._compare(trial.number, trial.repeat, value)
        if len(by_seed) == len(self._repeats[trial.number]):
            self._study.tell(self._live.pop(trial.number), _mean(by_seed.values()))
        elif worse:
            return self.prune(trial)
        return []

    def prune(self, trial: Trial, value: float | None = None) -> list[Trial]:
        """Record that a trial was stopped early; return the other seeds that needn't be run any more.

        `value` is the running one of this seed: the sampler takes it for the trial's.
        """
        live = self._live.pop(trial.number)
        values = [*self._values[trial.number].values(), *([] if value is None else [value])]
        if values and math.isfinite(_mean(values)):
            live.set_user_attr(STOPPED, _mean(values))
        self._study.tell(live, state=TrialState.PRUNED)
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
        return len(self._trials(*BEGUN))

    @property
    def widened(self) -> int:
        """Trials begun to widen the search: they come on top of those asked for."""
        return sum(WIDENS in trial.user_attrs for trial in self._trials(*BEGUN))

    @property
    def confirmed(self) -> int:
        """Further seeds begun of the best points: they come on top of those asked for."""
        return sum(CONFIRMS in trial.user_attrs for trial in self._trials(*BEGUN))

    @property
    def left(self) -> int:
        """Trials still to end, as far as is known now."""
        return sum(self._left())

    @property
    def trainings_left(self) -> int:
        """Trainings still to end: those of all seeds of such trials."""
        rates, further_seeds = self._left()
        return rates * self.tune.seeds + further_seeds

    @property
    def done(self) -> bool:
        """Whether every trial has ended, those that widen the search and further seeds included."""
        return self.left == 0

    def best(self) -> tuple[dict[str, float], float] | None:
        """Return the best point and its value (of equal ones, the smaller rate); None if no trial was completed.

        It is the best by values averaged over near points (`propose.even`). Where further seeds were trained, it is the
        best of the points that have all of them, by the mean over seeds.
        """
        leading = self._leading()
        if not leading:
            return None
        means = [(mean, trial) for trial in leading if (mean := self._mean_with_further_seeds(trial)) is not None]
        value, trial = min(
            means, key=lambda entry: (entry[0], entry[1].params["lr"]), default=(leading[0].value, leading[0])
        )
        return from_storage(trial.params, self.tune), float(value)

    def edge(self, rate: float) -> Literal["lowest", "highest", None]:
        """Return whether a rate is the lowest or highest one tried: then the best may lie outside."""
        rates = sorted({trial.params["lr"] for trial in self._trials(TrialState.COMPLETE, TrialState.PRUNED)})
        if len(rates) < 3:
            return None
        if rate <= rates[0] * 1.001:
            return "lowest"
        return "highest" if rate >= rates[-1] * 0.999 else None

    def _left(self) -> tuple[int, int]:
        """Return how many trials of all seeds, and how many further seeds, are still to end."""
        going_on = self._trials(TrialState.RUNNING, TrialState.WAITING)
        seeds_going_on = sum(CONFIRMS in trial.user_attrs for trial in going_on)
        asked_for = sum(not _is_extra(trial) for trial in self._trials())
        rates = max(0, self.tune.trials - asked_for) + len(going_on) - seeds_going_on
        if not rates and not going_on:
            rates = sum(WIDENS in stored for _, stored in self._following())
        return rates, seeds_going_on + self._further_seeds_to_come(rates)

    def _next(self) -> optuna.Trial | None:
        """Begin the next trial: a waiting one, or of those that follow the first."""
        if not self._trials(TrialState.WAITING):
            following = [] if self._live else self._following()
            for point, stored in following:
                self._study.enqueue_trial(to_storage(point, self.tune), user_attrs=stored)
            if not following:
                return None
        return self._with_point(self._study.ask())

    def _following(self) -> list[Next]:
        """Return what is to try after all trials so far: a refining point, one that widens, or further seeds.

        Once the further seeds have chosen, the search may widen again.
        """
        if self.started - self.widened - self.confirmed < self.tune.trials:
            return [(self._refining(), {})]
        leading, best = self._leading(), self.best()
        if not leading or best is None:
            return []
        wider = self._wider(from_storage(leading[0].params, self.tune))
        return wider or self._further_seeds(leading[: self.tune.confirm]) or self._wider(best[0])

    def _refining(self) -> dict[str, float]:
        """Return the sampler's next point; seeded by the trial's number, so that a resumed search draws the same."""
        begun = self._trials(*BEGUN)
        points = [from_storage(trial.params, self.tune) for trial in begun]
        values = [None if CONFIRMS in trial.user_attrs else _value(trial) for trial in begun]
        valued = [(point, value) for point, value in zip(points, values, strict=True) if value is not None]
        return propose(self.tune, (self._seed + len(begun)) % 2**32, valued, points)

    def _wider(self, best: Point) -> list[Next]:
        """Return the next point outside if a rate is an outermost one and more trials are allowed."""
        side = self.edge(best["lr"])
        if side is None or self.widened >= self.tune.widen:
            return []
        further = best["lr"] * HALF_DECADE if side == "highest" else best["lr"] / HALF_DECADE
        point = {**best, "lr": float(f"{further:.2g}")}  # 0.32, 1, 3.2: with more digits, steps end at 0.9999
        failed = [from_storage(trial.params, self.tune) for trial in self._trials(TrialState.FAIL)]
        return [] if point in failed else [(point, {WIDENS: True})]

    def _leading(self) -> list[FrozenTrial]:
        """Return the completed trials without further seeds, the best first: by values averaged over near points."""
        trials = [trial for trial in self._trials(*ENDED) if CONFIRMS not in trial.user_attrs]
        valued = [(trial, value) for trial in trials if (value := _value(trial)) is not None]
        evened = even(self.tune, [(from_storage(trial.params, self.tune), value) for trial, value in valued])
        ranked = sorted(zip(evened, valued, strict=True), key=lambda entry: (entry[0], entry[1][0].params["lr"]))
        return [trial for _, (trial, _) in ranked if trial.state == TrialState.COMPLETE]

    def _further_seeds(self, trials: list[FrozenTrial]) -> list[Next]:
        """Return the further seeds that these trials lack; none where there is nothing to choose between."""
        begun = {(trial.user_attrs.get(CONFIRMS), trial.user_attrs.get(REPEAT)) for trial in self._trials()}
        return [
            (from_storage(trial.params, self.tune), {CONFIRMS: trial.number, REPEAT: repeat})
            for repeat in range(self.tune.seeds, self.tune.seeds + self.tune.confirm_seeds)
            for trial in trials
            if len(trials) > 1 and (trial.number, repeat) not in begun
        ]

    def _further_seeds_to_come(self, rates: int) -> int:
        """Return how many further seeds are still to begin if so many rates more come to their end."""
        leading = self._leading()[: self.tune.confirm]
        others = min(self.tune.confirm - len(leading), rates)
        if len(leading) < 2 <= len(leading) + others:
            return (len(leading) + others) * self.tune.confirm_seeds
        return len(self._further_seeds(leading)) + (others * self.tune.confirm_seeds if len(leading) > 1 else 0)

    def _mean_with_further_seeds(self, trial: FrozenTrial) -> float | None:
        """Return a trial's mean over all seeds; None unless it has every further one."""
        values = [
            other.value for other in self._trials(TrialState.COMPLETE) if other.user_attrs.get(CONFIRMS) == trial.number
        ]
        if not self.tune.confirm or len(values) < self.tune.confirm_seeds:
            return None
        return _mean([*[trial.value] * self.tune.seeds, *values])

    def _with_point(self, trial: optuna.Trial) -> optuna.Trial:
        """Set the parameters of a begun trial to those enqueued, with bounds wide enough for them."""
        point = _stored_point(self._trials()[trial.number])
        for axis in axes(self.tune):
            low, high = sorted((axis.to_storage(axis.low), axis.to_storage(axis.high)))
            low, high = min(low, point[axis.parameter]), max(high, point[axis.parameter])
            if axis.scale == "whole":
                trial.suggest_int(axis.parameter, int(low), int(high))
            else:
                trial.suggest_float(axis.parameter, low, high, log=True)
        return trial

    def _queue_seeds(self, trial: optuna.Trial) -> None:
        """Queue the seeds of a begun trial that have no value yet; end the trial if all have one."""
        stored = trial.user_attrs
        repeats = (int(stored[REPEAT]),) if CONFIRMS in stored else tuple(range(self.tune.seeds))
        by_seed = {repeat: stored[f"value {repeat}"] for repeat in repeats if f"value {repeat}" in stored}
        if len(by_seed) == len(repeats):  # stopped just before it was ended
            self._study.tell(trial, _mean(by_seed.values()))
            return
        self._live[trial.number], self._repeats[trial.number], self._values[trial.number] = trial, repeats, by_seed
        point = from_storage(trial.params, self.tune)
        self._queue += [Trial(trial.number, point, repeat) for repeat in repeats if repeat not in by_seed]

    def _is_further_seed(self, trial: Trial) -> bool:
        return trial.repeat >= self.tune.seeds

    def _drop(self, trial: Trial) -> list[Trial]:
        """Remove an ended trial's other seeds from the queue; return all that might be in flight."""
        self._queue = [waiting for waiting in self._queue if waiting.number != trial.number]
        by_seed = self._values.pop(trial.number)
        others = (Trial(trial.number, trial.point, repeat) for repeat in self._repeats[trial.number])
        return [other for other in others if other != trial and other.repeat not in by_seed]

    def _compare(self, number: int, step: int, value: float) -> bool:
        trial = self._live[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a step reported twice, after a trial was resumed; Wilcoxon's few
            trial.report(value, step)
            behind = trial.should_prune()  # halving remembers earlier values, so every value is reported to it
            return behind and (self.tune.pruner == "halving" or len(self._leading()) >= STARTUP_TRIALS)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return list(self._study.get_trials(deepcopy=False, states=states or None))


def _is_extra(trial: FrozenTrial) -> bool:
    return WIDENS in trial.user_attrs or CONFIRMS in trial.user_attrs


def _stored_point(trial: FrozenTrial) -> dict[str, float]:
    enqueued: dict[str, float] = trial.system_attrs.get("fixed_params", {})
    return {**enqueued, **trial.params}


def _value(trial: FrozenTrial) -> float | None:
    value = trial.value if trial.state == TrialState.COMPLETE else trial.user_attrs.get(STOPPED)
    return None if value is None else float(value)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values)
