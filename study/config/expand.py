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
from study.config.source import Place, Source, short, unknown_key
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
    base = _mapping(source, ("recipe",))
    axes = {key: _values(source, ("grid", key)) for key in _mapping(source, ("grid",))}
    for key in axes:
        _check_key(source, ("grid",), key)
    _check_axes(source, base, axes)
    excluded = [_excluding(source, ("exclude", i), axes) for i in range(len(_list(source, "exclude")))]
    _check_excluded(source, excluded, axes)
    nets = "net" in axes or {"architecture", "depth"} <= axes.keys()  # else each entry of `include` has its own
    product = {
        _position(point, axes): point for point in (_product(axes) if nets else ()) if not _matches(point, excluded)
    }
    added: list[tuple[Point, Place]] = []
    for i in range(len(_list(source, "include"))):
        for point in _product(_including(source, ("include", i), axes, len(product) + len(added))):
            product.pop(_position(point, axes), None)
            added.append((point, ("include", i)))
    points: list[tuple[Point, Place]] = [(point, ("grid",)) for point in product.values()]
    read_nets = cache(partial(read_own_nets, folder=Path(source.name).parent))  # each file once, so that all runs agree
    unique: dict[str, RunSpec] = {}
    for point, place in points + added:
        spec = _spec(source, dataset, base, point, place, read_nets)
        unique.setdefault(spec.run_key(""), spec)
        if len(unique) > MAX_RUNS:
            raise GridError(f"{source.where(place)}: more than {MAX_RUNS:,} runs; split the study into several grids")
    if not unique:
        raise GridError(f"{source.where(('exclude',))}: nothing is left of the grid: 'exclude' matches every point")
    return tuple(unique.values())


def _check_axes(source: Source, base: Point, axes: dict[str, list[Any]]) -> None:
    """Check the axes one value at a time, so that an error names its line, and the size of their product."""
    if "net" in axes and ("architecture" in axes or "depth" in axes):
        raise GridError(f"{source.where(('grid', 'net'))}: 'net' already names architecture and depth: drop those axes")
    includes = _list(source, "include")
    for needed in ("architecture", "depth"):
        if "net" not in axes and needed not in axes and not includes:
            raise GridError(f"{source.where(('grid',))}: the grid has no axis '{needed}' (or 'net: [plain-20, ...]')")
    size = math.prod(len(values) for values in axes.values())
    if size > MAX_RUNS:
        raise GridError(f"{source.where(('grid',))}: {size:,} runs are more than {MAX_RUNS:,}: split the study")
    fields = [key for key in axes if key in Recipe.model_fields]
    for key in fields:
        for i, value in enumerate(axes[key]):
            # Fields that only fit together (epochs or iterations, say) are checked at each point, when all are known.
            try:
                Recipe.model_validate({**base, key: value})
            except ValidationError as error:
                if error.errors()[0]["loc"] or len(fields) == 1:
                    raise _recipe_error(source, error, ("grid", key, i), key) from None


def _spec(
    source: Source, dataset: DatasetSpec, base: Point, point: Point, place: Place, read_nets: Callable[[str], OwnNets]
) -> RunSpec:
    """Build the run at a point; `read_nets` finds the source of nets of the user's own.

    Raises:
        GridError: a bad value of the point, with its place.
    """
    point = dict(point)
    fields = {key: point.pop(key) for key in list(point) if key in Recipe.model_fields}
    recipe = _recipe(source, {**base, **fields}, place if fields or ("recipe",) not in source.lines else ("recipe",))
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
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        raise GridError(f"{_line_of(source, place, key, point.get(key))}: {message(error.errors())}") from None
    except OwnNetsError as error:
        where = _line_of(source, place, "family", recipe.family) if "family" in fields else source.where(FAMILY)
        raise GridError(f"{where}: {error}") from None
    except StudyError as error:
        key, value = ("depth", point["depth"]) if name is None else ("net", name)
        raise GridError(f"{_line_of(source, place, key, value)}: {error}") from None
    return spec


def _check_net(spec: RunSpec) -> None:
    """Refuse a recipe that doesn't fit the net.

    Raises:
        StudyError: the recipe doesn't fit.
    """
    recipe = spec.recipe
    if spec.own:
        _check_own(spec)
    if spec.architecture == "residual" and recipe.activation in ("tat", "dks"):
        raise StudyError(f"{spec.net} has shortcuts, and 'activation: {recipe.activation}' is shaped for plain nets")
    if spec.architecture != "vgg":
        return
    if recipe.width != 1.0:
        raise StudyError(f"{spec.net} has no width multiplier: leave width at 1")
    if recipe.test_views == "multi-scale":
        raise StudyError(f"{spec.net} has layers for one image size only: test it with 'test_views: ten-crop'")
    for field in MODIFICATIONS:
        if field != "batch_norm" and getattr(recipe, field) != Recipe.model_fields[field].default:
            raise StudyError(f"{spec.net} is built as it was published: it has no '{field}'")


def _check_own(spec: RunSpec) -> None:
    """Refuse what only nets of this program have; the function of the user's own builds all of a net.

    Raises:
        StudyError: the recipe asks for such a thing.
    """
    for field in ("shortcut", "width", *MODIFICATIONS):
        if getattr(spec.recipe, field) != Recipe.model_fields[field].default:
            raise StudyError(f"'{field}' changes nets of this program, and '{spec.recipe.family}' builds its own")
    if spec.recipe.test_views == "multi-scale":
        raise StudyError(f"nets of '{spec.recipe.family}' are shown one image size: use 'test_views: ten-crop'")


def _line_of(source: Source, place: Place, key: str, bad: Any) -> str:
    """Return the file and line of an axis's bad value: its own line if the values are on lines of their own."""
    values = _values(source, (*place, key)) if (*place, key) in source.lines else []
    return source.where((*place, key, values.index(bad)) if bad in values else (*place, key))


def _recipe(source: Source, values: Point, place: Place) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise _recipe_error(source, error, place, None) from None


def _recipe_error(source: Source, error: ValidationError, place: Place, key: str | None) -> GridError:
    """Return the error for an invalid recipe at a place: an axis's value if `key` is the axis, else a point."""
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    at_axis = key is not None and field in (key, "")
    if not at_axis and ("recipe", field) in source.lines and (*place, field) not in source.lines:
        place = ("recipe", field)
    elif not at_axis and field:
        place = (*place, field)
    if first["type"] == "extra_forbidden":
        return unknown_key(source, place[:-1], field, list(Recipe.model_fields))
    return GridError(f"{source.where(place)}: {message(error.errors())}")


def message(errors: list[Any]) -> str:
    """Turn pydantic's errors about the first wrong value into a sentence: key, what is wrong, what was given."""
    error = errors[0]
    key = str(error["loc"][0]) if error["loc"] else ""
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
    entry = _mapping(source, place)
    if not entry:
        raise GridError(f"{source.where(place)}: an entry of '{place[0]}' is a mapping of keys to values")
    for key in entry:
        _check_key(source, place, key)
    return {key: _values(source, (*place, key)) for key in entry}


def _excluding(source: Source, place: Place, axes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return an entry of `exclude`; refuse a key that no point of the product has, which must be a mistake."""
    entry = _entry(source, place)
    known = _both_spellings(dict.fromkeys(axes, None))
    for key in entry:
        if key not in known:
            raise GridError(
                f"{source.where((*place, key))}: '{key}' is no axis of this grid: there is nothing to exclude"
            )
    return {key: [_net(value) if key == "net" else value for value in values] for key, values in entry.items()}


def _check_excluded(source: Source, excluded: list[dict[str, list[Any]]], axes: dict[str, list[Any]]) -> None:
    """Refuse an `exclude` that would be compared with the points for minutes."""
    points = math.prod(len(values) for values in axes.values())
    value_count = sum(len(values) for entry in excluded for values in entry.values())
    if points * value_count > MAX_COMPARED:
        raise GridError(
            f"{source.where(('exclude',))}: {value_count:,} values are too many to exclude from {points:,} runs: "
            "leave them out of the axes, or split the study"
        )


def _including(source: Source, place: Place, axes: dict[str, list[Any]], runs: int) -> dict[str, list[Any]]:
    """Return an entry of `include` with the axes that it doesn't name; `runs` already exist."""
    entry = _entry(source, place)
    for key in ("architecture", "depth"):
        if key in entry and ("net" in entry or "net" in axes):
            raise GridError(
                f"{source.where((*place, key))}: nets go by 'net' here, which names the {key} too: drop '{key}'"
            )
    rest = {key: values for key, values in axes.items() if key not in entry}
    if "net" in entry:
        rest = {key: values for key, values in rest.items() if key not in ("architecture", "depth")}
    size = runs + math.prod(len(values) for values in (entry | rest).values())
    if size > MAX_RUNS:
        raise GridError(f"{source.where(place)}: {size:,} runs are more than {MAX_RUNS:,}: split the study")
    return entry | rest


def _check_key(source: Source, place: Place, key: str) -> None:
    if key not in POINT_KEYS:
        raise unknown_key(source, place, key, POINT_KEYS)


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


def _net(name: Any) -> Any:
    return _both_spellings({"net": name})["net"]


def _get(source: Source, place: Place) -> Any:
    value: Any = source.values
    for part in place:
        value = value[part]
    return value


def _mapping(source: Source, place: Place) -> Point:
    value = _get(source, place) if place in source.lines else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise GridError(f"{source.where(place)}: '{'.'.join(map(str, place))}' must be a mapping of keys to values")
    return value


def _list(source: Source, key: str) -> list[Any]:
    value = source.values.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise GridError(f"{source.where((key,))}: '{key}' must be a list of mappings")
    return value


def _values(source: Source, place: Place) -> list[Any]:
    """Return the values of an axis; a single value is an axis of one. Milestones are lists themselves."""
    value = _get(source, place)
    if place[-1] == "milestones" and isinstance(value, list) and not any(isinstance(item, list) for item in value):
        return [value]
    values = value if isinstance(value, list) else [value]
    if not values:
        raise GridError(f"{source.where(place)}: axis '{place[-1]}' has no values")
    return values
