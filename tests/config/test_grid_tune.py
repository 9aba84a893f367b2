"""The settings of a search: what is accepted, and what is told of mistakes."""

import re

import pytest

from study.config import parse_grid
from study.errors import GridError
from tests.config.test_grid_errors import GOOD

# What to put in the place of `trials: 4`, the line of the error, a part of its message.
CASES = [
    ("trials: 1001", 9, "'trials' should be less than or equal to 1000, not 1001"),
    ("seeds: 0", 9, "'seeds' should be greater than or equal to 1, not 0"),
    ("seeds: 21", 9, "'seeds' should be less than or equal to 20, not 21"),
    ("sampler: gpp", 9, "'gp', 'tpe', 'bisect' or 'none', not 'gpp' (did you mean 'gp'?)"),
    ("pruner: medain", 9, "not 'medain' (did you mean 'median'?)"),
    ("pruner: wilcoxon\n  seeds: 4", 8, "'pruner: wilcoxon' compares trials seed by seed: it needs 5"),
    ("widen: -1", 9, "'widen' should be greater than or equal to 0, not -1"),
    ("widen: 21", 9, "'widen' should be less than or equal to 20, not 21"),
    ("confirm: -1", 9, "'confirm' should be greater than or equal to 0, not -1"),
    ("confirm_seeds: 0", 9, "'confirm_seeds' should be greater than or equal to 1, not 0"),
    ("weight_decay: 0.1", 9, "'weight_decay' must be two bounds, such as [low, high], not 0.1"),
    ("weight_decay: [0.1]", 9, "'weight_decay' must be two bounds, such as [low, high], not [0.1]"),
    ("momentum: [0.1, 0.2, 0.3]", 9, "'momentum' must be two bounds, such as [low, high]"),
    ("weight_decay: [0, 0.1]", 9, "'weight_decay' should be greater than 0, not 0"),
    ("weight_decay: [a, 0.1]", 9, "'weight_decay' should be a valid number, not 'a'"),
    ("weight_decay: [0.1, 0.01]", 9, "'weight_decay' must be two bounds, the smaller first"),
    ("momentum: [0.9, 0.9]", 9, "'momentum' must be two bounds, the smaller first"),
    ("momentum: [0.9, 1]", 9, "'momentum' must stay below 1"),
    ("warmup: [-1, 3]", 9, "'warmup' should be greater than or equal to 0, not -1"),
    ("warmup: [0, 1.5]", 9, "'warmup' should be a valid integer, not 1.5"),
    ("warmup: [7, 5]", 9, "'warmup' must be two bounds, the smaller first"),
    ("warm_start: 1", 9, "'warm_start' should be a valid boolean, not 1"),
    ("storage: 5", 9, "'storage' should be a valid string, not 5"),
]


@pytest.mark.parametrize(("new", "line", "fragment"), CASES)
def test_bad_settings(new, line, fragment):
    with pytest.raises(GridError, match=rf"^g\.yaml:{line}: .*{re.escape(fragment)}"):
        parse_grid(GOOD.replace("trials: 4", new), "g.yaml")


def test_a_search_in_all_its_words():
    text = GOOD.replace(
        "trials: 4",
        "{trials: 20, shared: 10, seeds: 5, sampler: bisect, pruner: wilcoxon, widen: 0, fraction: 0.5,"
        " warm_start: true, weight_decay: [1.0e-5, 0.01], momentum: [0.5, 0.99], warmup: [0, 100], storage: 'postgresql://h/x'}",
    )
    tune = parse_grid(text, "g.yaml").tune
    assert tune.fields == ("lr", "weight_decay", "momentum", "warmup")
    assert (tune.weight_decay, tune.momentum, tune.warmup) == ((1e-5, 0.01), (0.5, 0.99), (0, 100))
    assert (tune.trials, tune.shared_trials, tune.seeds, tune.sampler, tune.pruner) == (20, 10, 5, "bisect", "wilcoxon")
    assert (tune.widen, tune.warm_start, tune.storage) == (0, True, "postgresql://h/x")


@pytest.mark.parametrize(("settings", "shared"), [("", 4), ("shared: 2", 2), ("sampler: none", 8), ("trials: 1", 1)])
def test_how_many_trials_are_shared(settings, shared):
    assert parse_grid(GOOD.replace("trials: 4", f"{{{settings}}}"), "g.yaml").tune.shared_trials == shared


@pytest.mark.parametrize(
    ("settings", "trainings"),
    [
        ("", 8),
        ("confirm: 2", 10),
        ("confirm: 1", 8),  # nothing to choose between
        ("trials: 1, confirm: 2", 1),
        ("trials: 2, confirm: 5", 4),
        ("trials: 10, seeds: 2, confirm: 3, confirm_seeds: 2", 26),
    ],
)
def test_how_many_trainings_a_search_takes(settings, trainings):
    assert parse_grid(GOOD.replace("trials: 4", f"{{{settings}}}"), "g.yaml").tune.trainings == trainings


def test_a_field_is_searched_or_varies_but_not_both():
    """The search would put one value in place of them all; with a given rate nothing is searched."""
    text = GOOD.replace("trials: 4", "warmup: [0, 20]")  # 'include' has a warm-up of its own
    assert parse_grid(text, "g.yaml").tune.warmup == (0, 20)
    with pytest.raises(GridError, match=r"g\.yaml:9: 'warmup' is searched here, and varies in the grid: drop one"):
        parse_grid(text.replace("lr: 0.1", "lr: tune"), "g.yaml")
