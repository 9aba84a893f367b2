"""The learning-rate search: points shared by all cells, then a sampler's, in Optuna's storage."""

from study.tune.search import QUARTERS, Search, SearchStore
from study.tune.space import Point, named, shared_points, with_point
from study.tune.trial import Trial, objective_value, trial_spec, worst_value

__all__ = [
    "QUARTERS",
    "Point",
    "Search",
    "SearchStore",
    "Trial",
    "named",
    "objective_value",
    "shared_points",
    "trial_spec",
    "with_point",
    "worst_value",
]
