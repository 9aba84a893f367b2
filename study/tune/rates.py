"""The rates that every cell tries, and what a trial is: a shortened run at one rate."""

import math

from scipy.stats import qmc

from study.config import RunSpec, Tune


def shared_rates(tune: Tune) -> list[float]:
    """Return the quasi-random rates, log-uniform between the bounds, the same for every cell.

    A scrambled Halton sequence in one dimension: any beginning of it is spread evenly, so that a longer search keeps
    the rates of a shorter one.
    """
    points = qmc.Halton(d=1, scramble=True, rng=tune.seed).random(tune.shared_trials)[:, 0]
    low, high = math.log10(tune.low), math.log10(tune.high)
    return [float(f"{10 ** (low + point * (high - low)):.4g}") for point in points]


def trial_spec(spec: RunSpec, rate: float, tune: Tune, train_images: int) -> RunSpec:
    """Return the run that tries a rate: `tune.fraction` of the training, schedule and all, with the tuning seed."""
    total = spec.recipe.total_iterations(train_images)
    milestones = tuple(m if isinstance(m, float) else m / total for m in spec.recipe.milestones)
    shortened = spec.with_recipe(
        lr=rate,
        epochs=None,
        iterations=max(1, round(total * tune.fraction)),
        milestones=tuple(m for m in milestones if 0 < m < 1),
        warmup=round(spec.recipe.warmup * tune.fraction),
        test_views="center",  # a trial is judged by other figures
    )
    return shortened.model_copy(update={"seed": tune.seed})


def objective_value(tune: Tune, classes: int, values: dict[str, float | None]) -> float:
    """Return what a trial that came to its end is judged by; capped, so that one wild value doesn't bend the search.

    Args:
        tune: the search's settings.
        classes: number of classes, K.
        values: the figures of the trial's last step (`final_train_loss` and so on).
    """
    value = values.get(f"final_{tune.objective}")
    worst = worst_value(tune, classes)
    return worst if value is None or not math.isfinite(value) else min(value, worst)


def worst_value(tune: Tune, classes: int) -> float:
    """Return what a diverged trial is told as: ten times the loss of guessing, or an error of 100 percent."""
    return 10 * math.log(classes) if tune.objective == "train_loss" else 100.0
