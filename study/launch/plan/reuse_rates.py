"""A grid with the learning rates that another study found, in place of searches of its own."""

from study.config import Grid, RunSpec
from study.errors import StudyError
from study.track.frames import SearchResult, load_search_results
from study.tune import with_point


def with_rates_from(grid: Grid, study: str) -> Grid:
    """Return the grid with each net that would be tuned at the point that its search in `study` found.

    A net is matched by its name, shortcut and width.

    Raises:
        StudyError: no such study, a net it didn't tune, or several searches of a net that found different points.
    """
    found = load_search_results(study)
    points = tuple(
        with_point(spec, _point(spec, found, study)) if spec.recipe.lr == "tune" else spec for spec in grid.points
    )
    return grid.model_copy(update={"points": points})


def _point(spec: RunSpec, found: list[SearchResult], study: str) -> dict[str, float]:
    net = str(spec.net)
    fitting = [one for one in found if (one.net, one.shortcut, one.width) == (net, spec.shortcut, spec.recipe.width)]
    if not fitting:
        known = ", ".join(sorted({one.net for one in found})) or "none"
        raise StudyError(f"study '{study}' has no learning rate for {net}: it has tuned {known}")
    if any(one.point != fitting[0].point for one in fitting):
        rates = ", ".join(f"{one.point['lr']:g}{f' ({one.variant})' if one.variant else ''}" for one in fitting)
        raise StudyError(f"study '{study}' has several learning rates for {net}: {rates}; set recipe.lr by hand")
    return fitting[0].point
