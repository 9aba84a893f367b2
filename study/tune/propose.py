"""Samplers, which propose refining points, and pruners, which stop trials early; compared by `bench/tuning.py`."""

import math
import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from study.config import Tune
from study.tune.space import Axis, Point, axes, from_storage, to_storage

STARTUP_TRIALS = 4
"""Completed trials before the pruner may stop one."""
WIDTH = 0.2
"""Decades, a standard deviation of the bell, over which values of near points are averaged: how far rates act alike."""
WIDTH_WHOLE = 0.07
"""The same for a field on a linear scale, as a part of its range."""
NEAR = 0.1
"""Decades within which a proposal is taken for a point tried before."""
NEAR_WHOLE = 0.03
"""The same for a field on a linear scale, as a part of its range."""


def sampler(tune: Tune, seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's sampler of refining points."""
    startup = min(STARTUP_TRIALS, tune.shared_trials)
    if tune.sampler == "gp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup, deterministic_objective=False)
    return optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed)


def propose(tune: Tune, seed: int, valued: Sequence[tuple[Point, float]], tried: Sequence[Point]) -> dict[str, float]:
    """Return the next refining point: the sampler's, or that of `bisect` where the sampler's was tried already.

    The sampler sees all points that came to a value, pruned ones with theirs too: left to itself it takes no notice of
    those, and proposes them again. Points beyond the bounds aren't shown to it.

    Args:
        tune: the search's settings.
        seed: the sampler's.
        valued: points and their values; of a pruned trial the one that it was stopped at.
        tried: all points tried, those of broken trials too.
    """
    evened = zip(even(tune, valued), (point for point, _ in valued), strict=True)
    best = min(evened, key=lambda entry: (entry[0], entry[1]["lr"]), default=(0.0, None))[1]
    if tune.sampler == "bisect":
        return bisect(tune, best, tried)
    distributions = {axis.parameter: _distribution(axis) for axis in axes(tune)}
    study = optuna.create_study(sampler=sampler(tune, seed))
    for point, value in valued:
        stored = to_storage(point, tune)
        if all(distributions[name]._contains(value) for name, value in stored.items()):
            study.add_trial(optuna.create_trial(params=stored, distributions=distributions, value=value))
    point = from_storage(study.ask(distributions).params, tune)
    return bisect(tune, best, tried) if any(near(tune, point, other) for other in tried) else point


def even(tune: Tune, valued: Sequence[tuple[Point, float]]) -> list[float]:
    """Return the value of each point averaged over near ones, weighted by a bell over the distance (Nadaraya, 1964).

    One seed at one point is luck; near points act as further seeds of it. A value above twice the median counts as
    that, so that a divergence doesn't frighten off from all rates near it.
    """
    if not valued:
        return []
    places = np.array([[axis.place(point[axis.field]) / _width(axis) for axis in axes(tune)] for point, _ in valued])
    values = np.array([value for _, value in valued])
    weights = np.exp(-0.5 * ((places[:, None] - places) ** 2).sum(axis=2))
    most = 2 * float(np.median(values)) or math.inf
    evened = weights @ np.minimum(values, most) / weights.sum(axis=1)
    return [float(f"{value:.9g}") for value in evened]  # equal values stay equal


def _width(axis: Axis) -> float:
    return WIDTH / axis.decades if axis.decades else WIDTH_WHOLE


def near(tune: Tune, first: Point, second: Point) -> bool:
    """Whether two points are so near in every field that trying both is a waste."""
    return all(
        abs(axis.place(first[axis.field]) - axis.place(second[axis.field])) < _nearness(axis) for axis in axes(tune)
    )


def _nearness(axis: Axis) -> float:
    return NEAR / axis.decades if axis.decades else NEAR_WHOLE


def _distribution(axis: Axis) -> BaseDistribution:
    low, high = sorted((axis.to_storage(axis.low), axis.to_storage(axis.high)))
    if axis.scale == "whole":
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high, log=True)


def bisect(tune: Tune, best: Point | None, tried: Iterable[Point]) -> dict[str, float]:
    """Return the best point with each field moved to the middle of the wider gap between it and its neighbours tried.

    A field's neighbours are the values next to the best one's, or the bounds. Where no digits are left between them,
    the rate is the middle of the widest gap of all.
    """
    if best is None:
        best = {axis.field: axis.at(0.5) for axis in axes(tune)}
    tried, point = list(tried), {}
    if not tried:
        return dict(best)
    for axis in axes(tune):
        best_place = axis.place(best[axis.field])
        places = [axis.place(other[axis.field]) for other in tried]
        below = max([place for place in places if place < best_place - 1e-6], default=min(0.0, best_place))
        above = min([place for place in places if place > best_place + 1e-6], default=max(1.0, best_place))
        middle = (best_place + above) / 2 if above - best_place >= best_place - below else (best_place + below) / 2
        point[axis.field] = axis.at(middle)
    return point if point not in tried else dict(best) | {"lr": _widest(axes(tune)[0], tried)}


def _widest(axis: Axis, tried: Iterable[Point]) -> float:
    places = sorted({0.0, 1.0, *(axis.place(point[axis.field]) for point in tried)})
    return axis.at(max((above - below, (above + below) / 2) for below, above in pairwise(places))[1])


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
