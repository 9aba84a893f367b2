"""Nets of the user's own in a grid: loaded and checked before anything is stored or trained."""

from study.config import Grid, OwnNets, RunSpec
from study.launch.plan.cells import DataFacts, shape_shown
from study.nets.own import load_function
from study.nets.own_check import check_own_nets
from study.track import tags as tag


def load_own_nets(grid: Grid) -> None:
    """Load the functions of a grid's nets, which takes less time than its images.

    Raises:
        OwnNetsError: one can't be loaded.
    """
    for own in dict.fromkeys(spec.own for spec in grid.points if spec.own):
        load_function(own)


def check_own_nets_of(grid: Grid, facts: DataFacts) -> None:
    """Check each net of a grid that a function of the user's own builds, for the images that it is shown.

    Raises:
        OwnNetsError: a net can't be used; see `study.nets.own_check`.
    """
    kinds: dict[tuple[OwnNets, tuple[int, int, int]], dict[int, set[bool]]] = {}
    for spec in grid.points:
        if spec.own:
            depths = kinds.setdefault((spec.own, shape_shown(spec, facts)), {})
            depths.setdefault(spec.depth, set()).add(spec.architecture == "residual")
    for (own, shape), depths in kinds.items():
        check_own_nets(own, depths, shape, facts.classes)


def own_tags(spec: RunSpec) -> dict[str, str]:
    """Return the tag that says by which function, of which source, a run's net is built; none for the program's own."""
    return {tag.OWN_NETS: spec.own.family} if spec.own else {}
