"""Longer trainings of a study's headline nets: they show whether more training undoes a degradation."""

from collections.abc import Iterable, Sequence

from study.config.spec import RunSpec

OF_A_DEPTH = ("lr", "warmup", "warmup_shape")
"""Fields of a recipe that a grid sets for some depths, as the paper does for 110 layers."""


def with_budgets(points: Sequence[RunSpec], budgets: Iterable[float]) -> tuple[RunSpec, ...]:
    """Return the runs with those of the headline nets at each further budget.

    Headline nets are the shallowest and the deepest net of each architecture and recipe, if it has two depths and no
    modification; how the rate begins may differ between depths. A run that the grid has already is left as it is.
    """
    kinds: dict[str, list[RunSpec]] = {}
    for spec in points:
        if not spec.modifications and spec.recipe.budget == 1:
            recipe = spec.recipe.model_dump_json(exclude=set(OF_A_DEPTH))
            kinds.setdefault(f"{spec.architecture} {recipe}", []).append(spec)
    added = []
    for specs in kinds.values():
        ends = {min(spec.depth for spec in specs), max(spec.depth for spec in specs)}
        if len(ends) == 2:
            for budget in sorted(set(budgets) - {1.0}):
                added += [spec.with_recipe(budget=budget) for spec in specs if spec.depth in ends]
    return tuple({spec.run_key(""): spec for spec in (*points, *added)}.values())
