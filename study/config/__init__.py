"""Grid files, recipes and run specifications: `load_grid(path_or_name).runs()`."""

from study.config.grid import Grid
from study.config.load import grid_text, load_grid, parse_grid, shipped_grids, with_changes
from study.config.own_nets import OwnNets, OwnNetsError
from study.config.probes import CHEAP, FOLLOWED, PROBES, ProbeName, ProbePlan, Probes
from study.config.recipe import MODIFICATIONS, UNNORMALISED, Recipe
from study.config.spec import DatasetSpec, RunSpec
from study.config.tune import Tune

__all__ = [
    "CHEAP",
    "FOLLOWED",
    "MODIFICATIONS",
    "PROBES",
    "UNNORMALISED",
    "DatasetSpec",
    "Grid",
    "OwnNets",
    "OwnNetsError",
    "ProbeName",
    "ProbePlan",
    "Probes",
    "Recipe",
    "RunSpec",
    "Tune",
    "grid_text",
    "load_grid",
    "parse_grid",
    "shipped_grids",
    "with_changes",
]
