"""The learning-rate search: rates shared by all cells, then a sampler's, in Optuna's storage."""

from study.tune.rates import objective_value, shared_rates, trial_spec, worst_value
from study.tune.search import Search, SearchStore, Trial

__all__ = ["Search", "SearchStore", "Trial", "objective_value", "shared_rates", "trial_spec", "worst_value"]
