import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config import DatasetSpec, Recipe, RunSpec, Tune
from study.train import lr_at
from study.tune import objective_value, shared_rates, trial_spec, worst_value


@given(st.integers(1, 40), st.floats(1e-5, 1e-2), st.floats(1.5, 1e4), st.integers(0, 100))
def test_shared_rates_lie_in_bounds_and_a_longer_search_keeps_them(n: int, low: float, ratio: float, seed: int) -> None:
    tune = Tune(trials=n, low=low, high=low * ratio, sampler="none", seed=seed)
    rates = shared_rates(tune)
    assert len(rates) == n
    assert all(low * 0.999 <= rate <= low * ratio * 1.001 for rate in rates)  # rates have four digits
    longer = shared_rates(tune.model_copy(update={"trials": n + 7}))
    assert longer[:n] == rates


def test_shared_rates_are_spread_over_the_range() -> None:
    """Eight quasi-random rates put two into each quarter of the logarithmic range, which random ones rarely do."""
    for seed in range(20):
        rates = shared_rates(Tune(trials=8, low=0.001, high=10.0, sampler="none", seed=seed))
        quarters = [min(3, int(math.log10(rate) + 3)) for rate in rates]
        assert sorted(quarters) == [0, 0, 1, 1, 2, 2, 3, 3]


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
    trial = trial_spec(spec(milestones=milestones, warmup=100), 0.2, Tune(fraction=0.1, seed=77), 5000)
    assert (trial.recipe.iterations, trial.recipe.warmup, trial.seed) == (100, 10, 77)
    for step in range(100):
        assert lr_at(step, trial.recipe, 100) == pytest.approx(lr_at(10 * step, whole.recipe, 1000))


def test_a_trial_in_epochs() -> None:
    trial = trial_spec(spec(iterations=None, epochs=20, batch_size=100), 0.1, Tune(fraction=0.5), 1050)
    assert (trial.recipe.iterations, trial.recipe.epochs) == (100, None)


def test_a_trial_spends_nothing_on_views() -> None:
    run = spec(augment="imagenet", test_views="ten-crop")
    assert trial_spec(run, 0.1, Tune(), 5000).recipe.test_views == "center"


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
