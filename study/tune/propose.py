"""Samplers, which propose refining points, and pruners, which stop trials early; compared by `bench/tuning.py`."""

import warnings
from collections.abc import Iterable

import optuna

from study.config import Tune
from study.tune.space import Point, axes

STARTUP_TRIALS = 4
"""Completed trials before the pruner may stop one."""


def sampler(tune: Tune, seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's sampler of refining points."""
    startup = min(STARTUP_TRIALS, tune.shared_trials)
    if tune.sampler == "gp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup, deterministic_objective=False)
    return optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed)


def bisect(tune: Tune, best: Point | None, tried: Iterable[Point]) -> dict[str, float]:
    """Return the best point with each field moved to the middle of the wider gap between it and its neighbours tried.

    A field's neighbours are the values next to the best one's, or the bounds.
    """
    if best is None:
        return {axis.field: axis.at(0.5) for axis in axes(tune)}
    tried, point = list(tried), {}
    for axis in axes(tune):
        best_place = axis.place(best[axis.field])
        places = [axis.place(other[axis.field]) for other in tried]
        below = max([place for place in places if place < best_place - 1e-6], default=min(0.0, best_place))
        above = min([place for place in places if place > best_place + 1e-6], default=max(1.0, best_place))
        middle = (best_place + above) / 2 if above - best_place >= best_place - below else (best_place + below) / 2
        point[axis.field] = axis.at(middle)
    return point


def pruner(tune: Tune) -> optuna.pruners.BasePruner:
    """Return Optuna's pruner."""
    if tune.pruner == "none":
        return optuna.pruners.NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        if tune.pruner == "wilcoxon":
            return optuna.pruners.WilcoxonPruner(p_threshold=0.1)
    if tune.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
