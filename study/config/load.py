"""From a grid file, or the name of a shipped grid, to a `Grid`; every error names its line."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from study.config.expand import AXES, MAX_RUNS, expand, refusal
from study.config.grid import Grid
from study.config.probes import Probes
from study.config.recipe import Recipe, Strict
from study.config.source import Place, Source, in_one_line, load_text, read_source, short
from study.config.spec import DatasetSpec, RunSpec
from study.config.tune import Tune
from study.errors import GridError, nearest

Model = TypeVar("Model", bound=Strict)

SECTIONS: dict[str, type[Strict]] = {"recipe": Recipe, "dataset": DatasetSpec, "tune": Tune, "probes": Probes}
"""What stands under a key of its own."""
LISTS = ("budgets", "recipe.milestones", "tune.weight_decay", "tune.momentum", "tune.warmup")
"""Settings that take a list, beside the axes of a grid and the probes, where all do that take a text."""
OF_A_DEPTH = {"lr", "warmup", "warmup_shape"}
"""Fields of a recipe that a grid sets for some depths, as the paper does for 110 layers."""
RULE_KEYS = ["smallest_effect", "rare_failure"]
TOP_KEYS = ["name", "dataset", "recipe", "tune", "probes", *RULE_KEYS, "budgets", "grid", "include", "exclude"]


def shipped_grids() -> list[str]:
    """Return the names of the grids that come with the program."""
    names = (entry.name for entry in files("study.grids").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def grid_text(path_or_name: str) -> tuple[str, str]:
    """Return the text of a grid file or shipped grid, and a name for messages.

    Raises:
        GridError: no file and no shipped grid has this name.
    """
    path = Path(path_or_name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        if not path.exists():
            stem = path.name.removesuffix(path.suffix)
            hint = f"; shipped grids, by name: {', '.join(shipped_grids())}"
            if stem in shipped_grids():
                hint = f" ('{stem}' is a shipped grid: give the name alone)"
            raise GridError(f"{path_or_name}: no such file{hint}")
        return load_text(path), str(path)
    if path_or_name not in shipped_grids():
        hint = nearest(path_or_name, shipped_grids())
        raise GridError(f"no file and no shipped grid is called '{path_or_name}'{hint}; `study grids` lists them")
    text = (files("study.grids") / f"{path_or_name}.yaml").read_text(encoding="utf-8")
    return text, f"{path_or_name}.yaml"


def load_grid(path_or_name: str, overrides: tuple[str, ...] = ()) -> Grid:
    """Read, check and expand a grid.

    Args:
        path_or_name: a file, or the name of a shipped grid.
        overrides: settings such as ``recipe.lr=0.1`` or ``grid.depth=[8, 20]``, put over the file before it is checked.

    Raises:
        GridError: any mistake, in one message with file, line, key or value, and the nearest valid one.
    """
    return parse_grid(*grid_text(path_or_name), overrides)


def with_changes(text: str, changes: Sequence[str]) -> str:
    """Return the text of a grid with the settings that were put over it, as comments: what is stored with a study."""
    return "".join([text, *(f"# changed by --set {change}\n" for change in changes)])


@in_one_line()
def parse_grid(text: str, name: str, overrides: tuple[str, ...] = ()) -> Grid:
    """Check and expand the text of a grid file; see `load_grid`."""
    source = read_source(text, name)
    for setting in overrides:
        _override(source, setting)
    for key in source.values:
        if key not in TOP_KEYS:
            raise source.unknown_key((), key, TOP_KEYS)
    for key in ("name", "dataset", "grid"):
        if key not in source.values:
            raise GridError(f"{source.name}: '{key}' is missing")
    images = source.values["dataset"]
    dataset = _section(source, ("dataset",), DatasetSpec, {"name": images} if isinstance(images, str) else images)
    tune = _section(source, ("tune",), Tune, source.mapping(("tune",)))
    budgets = _budgets(source)
    points = _with_budgets(expand(source, dataset), budgets)
    if len(points) > MAX_RUNS:
        raise source.error(("budgets",), f"{len(points):,} runs are more than {MAX_RUNS:,}: drop a budget")
    tunes = any(spec.recipe.lr == "tune" for spec in points)
    if tunes and tune.objective == "validation_error" and not dataset.validation:
        problem = "'validation_error' needs held-out images, and 'dataset.validation' is 0"
        raise source.error(("tune", "objective"), problem)
    for field in tune.fields[1:]:
        if len({getattr(spec.recipe, field) for spec in points if spec.recipe.lr == "tune"}) > 1:
            raise source.error(("tune", field), f"'{field}' is searched here, and varies in the grid: drop one of them")
    whole: dict[str, Any] = {
        **{key: source.values[key] for key in ("name", *RULE_KEYS) if key in source.values},
        "dataset": min((spec.dataset for spec in points), key=lambda data: data.split_seed),
        "tune": tune,
        "probes": _probes(source, points),
        "budgets": budgets,
        "points": points,
    }
    return _section(source, (), Grid, whole)


def _budgets(source: Source) -> tuple[float, ...]:
    """Return the lengths of training of the headline nets, as multiples of the recipe's."""
    values = source.values.get("budgets", [1])
    numbers = values if isinstance(values, list) else [values]
    for value in numbers:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 1000:
            rule = "'budgets' are multiples of the recipe's length from 1 to 1000, such as [1, 3]"
            raise source.error(("budgets",), f"{rule}, not {short(repr(value))}")
    if 1 not in numbers:
        raise source.error(("budgets",), "'budgets' must hold 1, the recipe's own length: [1, 3]")
    return tuple(sorted({float(value) for value in numbers}))


def _with_budgets(points: Sequence[RunSpec], budgets: Iterable[float]) -> tuple[RunSpec, ...]:
    """Return the runs with those of the headline nets at each further budget.

    Headline nets are the shallowest and the deepest net of each architecture and recipe, if it has two depths and no
    modification; how the rate begins may differ between depths. A run that the grid has already is left as it is.
    """
    kinds: dict[str, list[RunSpec]] = {}
    for spec in points:
        if not spec.modifications and spec.recipe.budget == 1:
            recipe = spec.recipe.model_dump_json(exclude=OF_A_DEPTH)
            kinds.setdefault(f"{spec.architecture} {recipe}", []).append(spec)
    added = []
    for specs in kinds.values():
        ends = {min(spec.depth for spec in specs), max(spec.depth for spec in specs)}
        if len(ends) == 2:
            for budget in sorted(set(budgets) - {1.0}):
                added += [spec.with_recipe(budget=budget) for spec in specs if spec.depth in ends]
    return tuple({spec.run_key(""): spec for spec in (*points, *added)}.values())


def _probes(source: Source, points: tuple[RunSpec, ...]) -> Probes | None:
    """Return the section, which may be a list of the probes alone."""
    values = source.values.get("probes")
    if values is None:
        return None
    probes = _section(source, ("probes",), Probes, {"measure": values} if isinstance(values, list) else values)
    nets = {str(spec.net) for spec in points if not spec.own}
    if not nets:
        problem = "probes measure layers of the families cifar and imagenet: leave 'probes' out"
        raise source.error(("probes",), problem)
    for name, wanted in probes.only.items():
        for net in wanted:
            if net not in nets:
                raise source.error(("probes", "only", name), f"this grid has no {net}{nearest(net, sorted(nets))}")
    return probes


def _section(source: Source, place: Place, model: type[Model], values: Any) -> Model:
    """Validate one part of the file."""
    try:
        return model.model_validate(source.as_mapping(place, values))
    except ValidationError as error:
        raise refusal(source, error, place, model) from None


def _override(source: Source, setting: str) -> None:
    """Put ``a.b=value`` over the file's values."""
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise GridError(f"--set {setting}: a setting looks like recipe.lr=0.1")
    try:
        parsed = read_source(f"value: {text}", f"--set {setting}")
        takes_list = keys[0] in ("grid", "probes") or ".".join(keys) in LISTS
        if isinstance(parsed.values["value"], str) and takes_list:  # `8,20` is one
            parsed = read_source(f"value: [{text}]", f"--set {setting}")
    except GridError:
        raise GridError(f"--set {setting}: '{text}' isn't a YAML value") from None
    if len(keys) == 1 and keys[0] not in TOP_KEYS and (section := _section_of(keys[0])):
        raise GridError(f"--set {setting}: unknown key '{keys[0]}' (did you mean '{section}.{setting}'?)")
    inside: Any = source.values
    for depth, key in enumerate(keys[:-1]):
        if isinstance(inside.get(key), str) and keys[depth] == "dataset":
            inside[key] = {"name": inside[key]}
        if isinstance(inside.get(key), list) and keys[depth] == "probes":
            inside[key] = {"measure": inside[key]}
        if inside.get(key) is None:
            inside[key] = {}
        inside = inside[key]
        if not isinstance(inside, dict):
            raise GridError(f"--set {setting}: '{'.'.join(keys[: depth + 1])}' holds a value, not keys")
    inside[keys[-1]] = parsed.values["value"]
    source.put(tuple(keys), parsed, f"--set {setting}")


def _section_of(key: str) -> str:
    """Return the section that has a field of this name; empty where none has."""
    if key in AXES:
        return "grid"
    return next((section for section, model in SECTIONS.items() if key in model.model_fields), "")
