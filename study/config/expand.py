"""Expand a grid file's axes to its runs: the product without `exclude`, plus `include`."""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.config.own_nets import OwnNets, OwnNetsError, read_own_nets
from study.config.recipe import MODIFICATIONS, Recipe, Strict
from study.config.source import Place, Source, short
from study.config.spec import DatasetSpec, RunSpec
from study.errors import GridError, StudyError, nearest
from study.names import is_own, join_net, parse_net, split_net

MAX_RUNS = 20_000
MAX_COMPARED = 5_000_000
"""Maximal points times values of `exclude`: comparing each with each takes a few seconds."""
AXES = ("architecture", "depth", "net", "seed", "split_seed")
"""Axes of a grid that are no field of a recipe."""
POINT_KEYS = [*AXES, *Recipe.model_fields]
FAMILY = ("recipe", "family")
Point = dict[str, Any]


def expand(source: Source, dataset: DatasetSpec) -> tuple[RunSpec, ...]:
    """Return the runs that a grid file's `recipe`, `grid`, `include` and `exclude` describe.

    They are the product of the axes, without the points that match `exclude`, and those of `include`: an entry of
    `include` sets some keys, and other axes keep their values; it replaces an equal point of the product.
    `net: plain-20` and `architecture: plain, depth: 20` are the same there.

    Raises:
        GridError: an unknown key, a bad value, an empty or enormous product.
    """
    base = source.mapping(("recipe",))
    axes = {key: source.axis(("grid", key)) for key in source.mapping(("grid",))}
    for key in axes:
        _check_key(source, ("grid",), key)
    _check_axes(source, base, axes)
    read_nets = cache(partial(read_own_nets, folder=Path(source.name).parent))  # each file once, so that all runs agree
    unique: dict[str, RunSpec] = {}
    for point, place in _points(source, axes):
        spec = _spec(source, dataset, base, point, place, read_nets)
        unique.setdefault(spec.run_key(""), spec)
        if len(unique) > MAX_RUNS:
            raise source.error(place, f"more than {MAX_RUNS:,} runs; split the study into several grids")
    if not unique:
        raise source.error(("exclude",), "nothing is left of the grid: 'exclude' matches every point")
    return tuple(unique.values())


def _points(source: Source, axes: dict[str, list[Any]]) -> list[tuple[Point, Place]]:
    """Return the points of the product, then those of `include`, each with its place in the file."""
    excluded = [_excluding(source, ("exclude", i), axes) for i in range(len(source.list_at("exclude")))]
    value_count = sum(len(values) for entry in excluded for values in entry.values())
    points = math.prod(len(values) for values in axes.values())
    if points * value_count > MAX_COMPARED:
        problem = f"{value_count:,} values are too many to exclude from {points:,} runs"
        raise source.error(("exclude",), f"{problem}: leave them out of the axes, or split the study")
    nets = "net" in axes or {"architecture", "depth"} <= axes.keys()  # else each entry of `include` has its own
    product = {
        _position(point, axes): point for point in (_product(axes) if nets else ()) if not _matches(point, excluded)
    }
    added: list[tuple[Point, Place]] = []
    for i in range(len(source.list_at("include"))):
        for point in _product(_including(source, ("include", i), axes, len(product) + len(added))):
            product.pop(_position(point, axes), None)
            added.append((point, ("include", i)))
    return [(point, ("grid",)) for point in product.values()] + added


def _check_axes(source: Source, base: Point, axes: dict[str, list[Any]]) -> None:
    """Check the axes one value at a time, so that an error names its line, and the size of their product."""
    if "net" in axes and ("architecture" in axes or "depth" in axes):
        raise source.error(("grid", "net"), "'net' already names architecture and depth: drop those axes")
    includes = source.list_at("include")
    for needed in ("architecture", "depth"):
        if "net" not in axes and needed not in axes and not includes:
            raise source.error(("grid",), f"the grid has no axis '{needed}' (or 'net: [plain-20, ...]')")
    size = math.prod(len(values) for values in axes.values())
    if size > MAX_RUNS:
        raise source.error(("grid",), f"{size:,} runs are more than {MAX_RUNS:,}: split the study")
    fields = [key for key in axes if key in Recipe.model_fields]
    for key in fields:
        for i, value in enumerate(axes[key]):
            # Fields that only fit together (epochs or iterations, say) are checked at each point, when all are known.
            try:
                Recipe.model_validate({**base, key: value})
            except ValidationError as error:
                field = first_key(error)
                if field == key or (not field and len(fields) == 1):
                    raise source.error(("grid", key, i), message(error)) from None
                if field:
                    raise _recipe_error(source, error, ("grid", key, i)) from None


def _spec(
    source: Source, dataset: DatasetSpec, base: Point, point: Point, place: Place, read_nets: Callable[[str], OwnNets]
) -> RunSpec:
    """Build the run at a point; `read_nets` finds the source of nets of the user's own.

    Raises:
        GridError: a bad value of the point, with its place.
    """
    point = dict(point)
    fields = {key: point.pop(key) for key in list(point) if key in Recipe.model_fields}
    try:
        recipe = Recipe.model_validate({**base, **fields})
    except ValidationError as error:
        in_section = not fields and ("recipe",) in source.lines
        raise _recipe_error(source, error, ("recipe",) if in_section else place) from None
    name = point.pop("net", None)
    try:
        own = read_nets(recipe.family) if is_own(recipe.family) else None
        if name is not None:
            if not isinstance(name, str):
                raise StudyError(f"a net is a name like plain-20, not {name!r}")
            net = parse_net(name, recipe.family)
            point |= {"architecture": net.architecture, "depth": net.depth}
        split = {"split_seed": point["split_seed"]} if "split_seed" in point else {}
        data = DatasetSpec.model_validate({**dataset.model_dump(exclude_unset=True), **split}) if split else dataset
        net_and_seed = {key: value for key, value in point.items() if key not in split}
        spec = RunSpec.model_validate({"dataset": data, "recipe": recipe, "seed": 0, "own": own, **net_and_seed})
        _ = spec.net  # determines the family, and refuses a depth that no net has
        _check_net(spec)
    except ValidationError as error:
        key = first_key(error)
        raise source.error(_place_of(source, place, key, point.get(key)), message(error)) from None
    except OwnNetsError as error:
        at = _place_of(source, place, "family", recipe.family) if "family" in fields else FAMILY
        raise source.error(at, str(error)) from None
    except StudyError as error:
        key, value = ("depth", point["depth"]) if name is None else ("net", name)
        raise source.error(_place_of(source, place, key, value), str(error)) from None
    return spec


def _check_net(spec: RunSpec) -> None:
    """Refuse a recipe that doesn't fit the net.

    Raises:
        StudyError: the recipe doesn't fit.
    """
    recipe, net = spec.recipe, spec.net
    fields = ("shortcut", "width", *MODIFICATIONS)
    changed = [field for field in fields if getattr(recipe, field) != Recipe.model_fields[field].default]
    if spec.own and changed:
        raise StudyError(f"'{changed[0]}' changes nets of this program, and '{recipe.family}' builds its own")
    if spec.own and recipe.test_views == "multi-scale":
        raise StudyError(f"nets of '{recipe.family}' are shown one image size: use 'test_views: ten-crop'")
    if spec.architecture == "residual" and recipe.activation in ("tat", "dks"):
        raise StudyError(f"{net} has shortcuts, and 'activation: {recipe.activation}' is shaped for plain nets")
    if spec.architecture == "vgg":
        if "width" in changed:
            raise StudyError(f"{net} has no width multiplier: leave width at 1")
        if recipe.test_views == "multi-scale":
            raise StudyError(f"{net} has layers for one image size only: test it with 'test_views: ten-crop'")
        for field in changed:
            if field not in ("shortcut", "batch_norm"):
                raise StudyError(f"{net} is built as it was published: it has no '{field}'")


def _place_of(source: Source, place: Place, key: str, bad: Any) -> Place:
    """Return the place of an axis's bad value: its own if the values are on lines of their own."""
    at = (*place, key)
    values = source.axis(at) if at in source.lines else []
    return (*at, values.index(bad)) if bad in values else at


def _recipe_error(source: Source, error: ValidationError, place: Place) -> GridError:
    """Return the error for an invalid recipe at a place, or in the section `recipe` if the wrong field is there."""
    field = first_key(error)
    if ("recipe", field) in source.lines and (*place, field) not in source.lines:
        place = ("recipe",)
    return refusal(source, error, place, Recipe)


def refusal(source: Source, error: ValidationError, place: Place, model: type[Strict]) -> GridError:
    """Return the error for values of a place that a model refuses."""
    key = first_key(error)
    if error.errors()[0]["type"] == "extra_forbidden":
        return source.unknown_key(place, key, list(model.model_fields))
    return source.error((*place, key) if key else place, message(error))


def first_key(error: ValidationError) -> str:
    """Return the key of the first wrong value; empty if values only don't fit together."""
    place = error.errors()[0]["loc"]
    return str(place[0]) if place else ""


def message(invalid: ValidationError) -> str:
    """Turn pydantic's errors about the first wrong value into a sentence: key, what is wrong, what was given."""
    errors: list[Any] = invalid.errors()
    error, key = errors[0], first_key(invalid)
    same = [other for other in errors if other["loc"][:1] == error["loc"][:1]]  # a union has an error for each arm
    texts = [str(other["msg"]).removeprefix("Value error, ").removeprefix("Input ") for other in same]
    text = " or ".join(dict.fromkeys(text[0].lower() + text[1:] for text in texts))
    given = error.get("input")
    shown = "" if isinstance(given, dict | Strict) else f", not {short(repr(given))}"
    choices = [other["ctx"]["expected"] for other in same if other["type"] == "literal_error"]
    known = [word for text in choices for word in text.replace("'", "").replace(" or ", ", ").split(", ")]
    hint = nearest(given, known) if known and isinstance(given, str) else ""
    return f"'{key}' {text}{shown}{hint}" if key else text


def _entry(source: Source, place: Place) -> dict[str, list[Any]]:
    """Return one entry of `include` or `exclude`, its keys checked, with the values of each."""
    entry = source.mapping(place)
    if not entry:
        raise source.error(place, f"an entry of '{place[0]}' is a mapping of keys to values")
    for key in entry:
        _check_key(source, place, key)
    return {key: source.axis((*place, key)) for key in entry}


def _excluding(source: Source, place: Place, axes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return an entry of `exclude`; refuse a key that no point of the product has, which must be a mistake."""
    entry = _entry(source, place)
    known = _both_spellings(dict.fromkeys(axes, None))
    for key, values in entry.items():
        if key not in known:
            raise source.error((*place, key), f"'{key}' is no axis of this grid: there is nothing to exclude")
        if key == "net":
            entry[key] = [_both_spellings({"net": value})["net"] for value in values]
    return entry


def _including(source: Source, place: Place, axes: dict[str, list[Any]], runs: int) -> dict[str, list[Any]]:
    """Return an entry of `include` with the axes that it doesn't name; `runs` already exist."""
    entry = _entry(source, place)
    for key in ("architecture", "depth"):
        if key in entry and ("net" in entry or "net" in axes):
            raise source.error((*place, key), f"nets go by 'net' here, which names the {key} too: drop '{key}'")
    rest = {key: values for key, values in axes.items() if key not in entry}
    if "net" in entry:
        rest = {key: values for key, values in rest.items() if key not in ("architecture", "depth")}
    size = runs + math.prod(len(values) for values in (entry | rest).values())
    if size > MAX_RUNS:
        raise source.error(place, f"{size:,} runs are more than {MAX_RUNS:,}: split the study")
    return entry | rest


def _check_key(source: Source, place: Place, key: str) -> None:
    if key not in POINT_KEYS:
        raise source.unknown_key(place, key, POINT_KEYS)


def _product(axes: dict[str, list[Any]]) -> Iterator[Point]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _matches(point: Point, entries: list[dict[str, list[Any]]]) -> bool:
    """Whether a point has, for some entry, one of the values that the entry gives for each of its keys."""
    spelled = _both_spellings(point)
    return any(all(spelled[key] in values for key, values in entry.items()) for entry in entries)


def _position(point: Point, axes: dict[str, list[Any]]) -> str:
    """Return a key of a point's values on the axes, the same for both spellings of its net."""
    spelled = _both_spellings(point)
    return repr([float(v) if type(v) is int else v for v in (spelled.get(key) for key in axes)])


def _both_spellings(point: Point) -> Point:
    """Return a point with its net spelled both ways: by `net`, and by `architecture` and `depth`."""
    if "net" in point:
        try:
            architecture, depth = split_net(point["net"])
        except (StudyError, TypeError):  # found again, and reported, when the run is built
            return {**point, "architecture": None, "depth": None}
        return {**point, "net": join_net(architecture, depth), "architecture": architecture, "depth": depth}
    if "architecture" in point and "depth" in point:
        return {**point, "net": join_net(point["architecture"], point["depth"])}
    return point
