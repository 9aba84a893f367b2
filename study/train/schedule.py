"""The learning rate as a pure function of the step."""

import math

from study.config import Recipe


def drop_steps(recipe: Recipe, total: int) -> list[int]:
    """Return the iterations at which a step schedule drops; fractions are of `total` iterations."""
    return sorted(round(m * (total if isinstance(m, float) else recipe.budget)) for m in recipe.milestones)


def lr_at(step: int, recipe: Recipe, total: int) -> float:
    """Return the rate used by iteration `step` (0 is the first) of a training of `total` iterations.

    The paper's CIFAR recipe (He et al. 2015, section 4.2): 0.1, a tenth of it from iteration 32,000 and a hundredth
    from 48,000; for 110 layers 0.01 during the first 400. Warm-up and drops are independent factors.

    Raises:
        ValueError: the recipe's rate is still to be tuned.
    """
    if isinstance(recipe.lr, str):
        raise ValueError("the rate is still to be tuned")
    factor = 1.0
    warmup = round(recipe.warmup * recipe.budget)
    if step < warmup:
        factor = recipe.warmup_factor
        if recipe.warmup_shape == "linear":
            factor += (1 - recipe.warmup_factor) * step / warmup
    if recipe.schedule == "step":
        factor *= recipe.gamma ** sum(step >= drop for drop in drop_steps(recipe, total))
    elif recipe.schedule == "cosine":
        factor *= 0.5 * (1 + math.cos(math.pi * step / total))
    return recipe.lr * factor
