import math

import pytest

from study.config import DatasetSpec, Recipe, RunSpec, Tune
from study.tune import objective_value, trial_spec, worst_value


def spec(**recipe: object) -> RunSpec:
    fields = {"iterations": 1000, "lr": "tune"} | recipe
    return RunSpec(
        dataset=DatasetSpec(name="digits"),
        architecture="plain",
        depth=8,
        recipe=Recipe(**fields),
        seed=3,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("milestones", [(0.5, 0.75), (500, 750)])
def test_a_trial_is_its_run_in_small(milestones: tuple[float, ...]) -> None:
    whole = spec(milestones=milestones, warmup=100).with_recipe(lr=0.2)
    trial = trial_spec(spec(milestones=milestones, warmup=100), {"lr": 0.2}, Tune(fraction=0.1, seed=77), 5000)
    assert (trial.recipe.iterations, trial.recipe.warmup, trial.seed) == (100, 10, 77)
    for step in range(100):
        assert trial.recipe.lr_at(step, 100) == pytest.approx(whole.recipe.lr_at(10 * step, 1000))


def test_a_trial_in_epochs() -> None:
    trial = trial_spec(spec(iterations=None, epochs=20, batch_size=100), {"lr": 0.1}, Tune(fraction=0.5), 1050)
    assert (trial.recipe.iterations, trial.recipe.epochs) == (100, None)


def test_each_seed_of_a_trial_is_a_run_of_its_own() -> None:
    """Apart from the grid's seeds, and equal but for the seed."""
    trials = [trial_spec(spec(), {"lr": 0.1}, Tune(seeds=3), 5000, repeat) for repeat in range(3)]
    assert [trial.seed for trial in trials] == [1000, 1001, 1002]
    assert len({trial.cell_key("f") for trial in trials}) == 1


def test_a_trial_tries_every_field_of_its_point() -> None:
    """A searched warm-up is one of the whole training, and shortened with it."""
    point = {"lr": 0.1, "weight_decay": 1e-3, "momentum": 0.8, "warmup": 200.0}
    trial = trial_spec(spec(), point, Tune(fraction=0.1), 5000)
    recipe = trial.recipe
    assert (recipe.lr, recipe.weight_decay, recipe.momentum, recipe.warmup) == (0.1, 1e-3, 0.8, 20)


def test_a_trial_spends_nothing_on_views() -> None:
    run = spec(augment="imagenet", test_views="ten-crop")
    assert trial_spec(run, {"lr": 0.1}, Tune(), 5000).recipe.test_views == "center"


@pytest.mark.parametrize(
    ("objective", "values", "expected"),
    [
        ("train_loss", {"final_train_loss": 0.3, "final_validation_error": 9.0}, 0.3),
        ("validation_error", {"final_train_loss": 0.3, "final_validation_error": 9.0}, 9.0),
        ("train_loss", {"final_train_loss": 1e9}, 10 * math.log(10)),
        ("train_loss", {"final_train_loss": math.nan}, 10 * math.log(10)),
        ("train_error", {}, 100.0),
    ],
)
def test_objective(objective: str, values: dict[str, float | None], expected: float) -> None:
    assert objective_value(Tune(objective=objective), 10, values) == pytest.approx(expected)  # type: ignore[arg-type]


def test_nothing_is_worse_than_divergence() -> None:
    assert worst_value(Tune(), 10) == pytest.approx(10 * math.log(10))
    assert worst_value(Tune(objective="validation_error"), 10) == 100
