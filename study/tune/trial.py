"""A trial of a search: a run at one point, shortened if the settings ask for it, and its value."""

import math
from dataclasses import dataclass

from study.config import RunSpec, Tune
from study.tune.space import Point, with_point


@dataclass(frozen=True)
class Trial:
    """A point to try with one of its seeds, and the number of the trial in the cell's search."""

    number: int
    point: Point
    repeat: int = 0

    @property
    def rate(self) -> float:
        """Its learning rate."""
        return self.point["lr"]


def trial_spec(spec: RunSpec, point: Point, tune: Tune, train_images: int, repeat: int = 0) -> RunSpec:
    """Return the run that tries a point: `tune.fraction` of the training, schedule and all, with a tuning seed.

    A longer budget doesn't count: it has the rate of the training once as long.

    Args:
        spec: a run of the cell.
        point: the searched fields' values.
        tune: the search's settings.
        train_images: number of images of an epoch.
        repeat: position among the trial's seeds, from 0.
    """
    full = with_point(spec, point).with_recipe(budget=1.0)
    total = full.recipe.total_iterations(train_images)
    milestones = tuple(m if isinstance(m, float) else m / total for m in full.recipe.milestones)
    shortened = full.with_recipe(
        epochs=None,
        iterations=max(1, round(total * tune.fraction)),
        milestones=tuple(m for m in milestones if 0 < m < 1),
        warmup=round(full.recipe.warmup * tune.fraction),
        test_views="center",  # a trial's value uses other figures
    )
    return shortened.model_copy(update={"seed": tune.seed + repeat})


def objective_value(tune: Tune, classes: int, values: dict[str, float | None]) -> float:
    """Return the value of a completed trial; capped, so that one wild value doesn't bend the search.

    Args:
        tune: the search's settings.
        classes: number of classes, K.
        values: the figures of the trial's last step (`final_train_loss` and so on).
    """
    value = values.get(f"final_{tune.objective}")
    worst = worst_value(tune, classes)
    return worst if value is None or not math.isfinite(value) else min(value, worst)


def worst_value(tune: Tune, classes: int) -> float:
    """Return the value of a diverged trial: ten times the loss of guessing, or an error of 100 percent."""
    return 10 * math.log(classes) if tune.objective == "train_loss" else 100.0
