"""A grid as it is run: every default filled in, every point of it named."""

import json
from typing import Any

import yaml

from study.config.grid import Grid
from study.config.recipe import Recipe


def resolved(grid: Grid) -> str:
    """Return a grid as YAML with every default filled in: what all runs share, then each net with what it has alone.

    It is read by people, and isn't a grid file: axes are multiplied out.
    """
    shared, nets = _nets(grid)
    whole = {
        "name": grid.name,
        "dataset": grid.dataset.model_dump(mode="json"),
        "recipe": shared,
        "tune": grid.tune.model_dump(mode="json"),
        **({"probes": grid.probes.model_dump(mode="json")} if grid.probes is not None else {}),
        "smallest_effect": grid.smallest_effect,
        "runs": len(grid.points),
    }
    settings = yaml.safe_dump(whole, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)
    rows = (yaml.safe_dump(net, sort_keys=False, default_flow_style=True, width=10**6) for net in nets)
    return "".join([settings, "nets:\n", *(f"- {row}" for row in rows)])


def _nets(grid: Grid) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the fields of the recipe that all runs share, and a row a cell with the others and its seeds."""
    recipes = [spec.identity()["recipe"] for spec in grid.points]
    same = [field for field in Recipe.model_fields if len({json.dumps(recipe[field]) for recipe in recipes}) == 1]
    cells: dict[str, dict[str, Any]] = {}
    for spec, recipe in zip(grid.points, recipes, strict=True):
        others = {field: value for field, value in recipe.items() if field not in same}
        row = {"net": str(spec.net), **others, "seeds": []}
        cells.setdefault(json.dumps(row), row)["seeds"].append(spec.seed)
    return {field: recipes[0][field] for field in same} if recipes else {}, list(cells.values())
