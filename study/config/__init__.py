"""Grid files, recipes and run specifications."""

from study.config.recipe import Recipe
from study.config.spec import DatasetSpec, RunSpec

__all__ = ["DatasetSpec", "Recipe", "RunSpec"]
