"""Cells of a grid, and the state of their runs in MLflow: done, to continue, or to do."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from study.config import MODIFICATIONS, UNNORMALISED, Grid, RunSpec, Tune
from study.config.tune import EXTENDS
from study.data import Dataset, augmentation
from study.errors import StudyError
from study.launch.plan.probe_tags import has_all, probes_in
from study.nets import Complexity, count, count_any
from study.nets.own import in_a_line
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.frames import SearchResult, load_search_results
from study.track.tags import DONE
from study.train import Speed, build_spec_net, design_of
from study.tune import trial_spec, with_point

if TYPE_CHECKING:
    from study.probe.work import Work


@dataclass(frozen=True)
class DataFacts:
    """The facts about a data set that the planning of a grid needs; splits differ in their fingerprint alone."""

    fingerprint: str
    """Of the first split."""
    train_images: int
    test_images: int
    classes: int
    image_shape: tuple[int, int, int]
    skipped: int = 0
    """Files left out because they can't be used."""
    validation_images: int = 0
    fingerprints: Mapping[int, str] = field(default_factory=dict)
    """Of each split, by its seed; empty where there is only one."""

    @classmethod
    def of(cls, dataset: Dataset, fingerprints: Mapping[int, str] | None = None) -> "DataFacts":
        shape = dataset.image_shape
        return cls(
            dataset.fingerprint,
            len(dataset.train),
            len(dataset.test),
            dataset.num_classes,
            (shape[0], shape[1], shape[2]),
            len(dataset.skipped),
            len(dataset.validation) if dataset.validation is not None else 0,
            fingerprints or {},
        )

    def fingerprint_of(self, spec: RunSpec) -> str:
        """Return the fingerprint of the images that a run uses."""
        return self.fingerprints.get(spec.dataset.split_seed, self.fingerprint)

    def run_key(self, spec: RunSpec) -> str:
        """Return the hash of everything that decides a run's result."""
        return spec.run_key(self.fingerprint_of(spec))


@dataclass(frozen=True)
class Cell:
    """The runs of a grid that differ only in split and seed, their costs, and their records in MLflow.

    Costs are in multiply-adds, or in seconds once speeds were measured (see `time_cells`).
    """

    specs: tuple[RunSpec, ...]
    """A run for each split and seed, a split after the other; the rate is `tune` if it has to be searched."""
    first: RunSpec
    """One of them, on the grid's first split if it isn't: what its search trains."""
    key: str
    """Identity of the cell in MLflow: that of its runs on the first split."""
    variant: str
    """The settings that distinguish this cell from others of the same net: `batch_size=64, width=2`, or ""."""
    search_key: str
    """Identity of the learning-rate search; "" if the rate is given. Cells that differ in budget alone share one."""
    owns_search: bool
    """Whether the search is this cell's, or that of a cell with the same key before it."""
    complexity: Complexity
    run_cost: float
    """Cost of the training of a run."""
    trial_cost: float
    """Cost of a trial with one seed; 0 if the rate is given."""
    probe_costs: Mapping[tuple[int, int], float]
    """Cost of the probes of a run, by its split and seed; runs without probes have no entry."""
    point: dict[str, float] | None = None
    """The rate of its runs and the other searched fields; None until the search has ended."""
    done: tuple[StoredRun, ...] = ()
    """Runs that are results."""
    left: tuple[tuple[RunSpec, StoredRun | None], ...] = ()
    """Runs to do, with the record of an earlier attempt that can be continued."""
    speed: Speed | None = None
    """Of its runs on this machine, where known; only of cells that have work left."""

    @property
    def name(self) -> str:
        """`plain-56`, with the variant if there is one."""
        net = str(self.specs[0].net)
        return f"{net} ({self.variant})" if self.variant else net

    @property
    def kind(self) -> tuple[str, str, str]:
        """What cells share that differ only in depth: variant, architecture and family."""
        spec = self.specs[0]
        return self.variant, spec.architecture, spec.net.family

    def cost_of(self, spec: RunSpec) -> float:
        """Return the cost of one of its runs, probes included."""
        return self.run_cost + self.probe_costs.get(spec.repeat, 0.0)

    @property
    def runs_cost(self) -> float:
        return sum(self.cost_of(spec) for spec, _ in self.left)

    def search_cost(self, trainings: float) -> float:
        """Return the cost of a search with so many trainings; 0 if the rate is known."""
        return trainings * self.trial_cost if self.point is None else 0.0


def make_cells(grid: Grid, facts: DataFacts) -> list[Cell]:
    """Group the grid's runs into cells, in the order of the file, without their state in MLflow."""
    varying = grid.varying()
    groups: dict[str, list[RunSpec]] = {}
    for spec in grid.runs():
        groups.setdefault(spec.on_split(grid.dataset.split_seed).cell_key(facts.fingerprint), []).append(spec)
    complexities: dict[tuple[object, ...], Complexity] = {}
    cells: list[Cell] = []
    for cell_key, runs in groups.items():
        specs = sorted(runs, key=lambda run: run.dataset.split_seed)  # a worker seldom loads another split
        spec = specs[0].on_split(grid.dataset.split_seed)
        net_key = (spec.net, spec.shortcut, spec.recipe.width, spec.recipe.augment, design_of(spec))
        if net_key not in complexities:
            complexities[net_key] = _complexity(spec, facts)
        complexity = complexities[net_key]
        tunes = spec.recipe.lr == "tune"
        key = search_key(spec, grid.tune, facts.fingerprint) if tunes else ""
        owns_search = tunes and key not in {cell.search_key for cell in cells}
        trial = trial_spec(spec, {"lr": 1.0}, grid.tune, facts.train_images)  # its cost doesn't depend on its rate
        cells.append(
            Cell(
                specs=tuple(specs),
                first=spec,
                key=cell_key,
                variant=_variant(spec, varying),
                search_key=key,
                owns_search=owns_search,
                complexity=complexity,
                run_cost=training_cost(spec, complexity, facts),
                trial_cost=training_cost(trial, complexity, facts) if owns_search else 0.0,
                probe_costs=_probe_costs(grid, specs, complexity, facts),
            )
        )
    return cells


def plan_cells(grid: Grid, facts: DataFacts, records: Iterable[StoredRun]) -> list[Cell]:
    """Return the grid's cells with the runs done and left, from the study's records in MLflow, newest first.

    Results are never repeated; a run without a probe that the grid asks for isn't a result.
    """
    runs: dict[str, StoredRun] = {}
    searches: dict[str, StoredRun] = {}
    for record in records:
        known = runs if record.kind == "run" else searches if record.kind == "tuning" else None
        if known is not None and _rank(record) > _rank(known.get(record.key)):
            known[record.key] = record
    return [_with_records(cell, facts, runs, searches, grid) for cell in make_cells(grid, facts)]


def _rank(record: StoredRun | None) -> tuple[bool, bool, int]:
    """Order the records of one key: results before others, then by the number of probes."""
    if record is None:
        return False, False, 0
    return True, record.outcome in DONE, len(probes_in(record.tags))


def _with_records(
    cell: Cell, facts: DataFacts, runs: dict[str, StoredRun], searches: dict[str, StoredRun], grid: Grid
) -> Cell:
    lr = cell.specs[0].recipe.lr
    search = searches.get(cell.search_key) if cell.search_key else None
    point = found_point(search, grid.tune) if lr == "tune" else {"lr": float(lr)}
    if point is None:
        return replace(cell, point=None, done=(), left=tuple((spec, None) for spec in cell.specs))
    done, left = [], []
    for spec in (with_point(spec, point) for spec in cell.specs):
        record = runs.get(facts.run_key(spec))
        is_result = record is not None and record.outcome in DONE
        if record is not None and is_result and has_all(probes_in(record.tags), grid.probes_of(spec)):
            done.append(record)
        else:
            left.append((spec, record))
    return replace(cell, point=point, done=tuple(done), left=tuple(left))


def found_point(search: StoredRun | None, tune: Tune) -> dict[str, float] | None:
    """Return the point that a search found; None if there is no search, or it is unfinished or to be continued.

    A search is continued if the grid asks for more trials, or if its best rate is an outermost one and it may widen;
    not if more further seeds of the best are all that is new.
    """
    if search is None or search.outcome != "finished":
        return None
    widened, confirmed = (int(search.tags.get(name, 0)) for name in (tag.WIDENED, tag.CONFIRMED))
    if int(search.tags.get(tag.TRIAL, 0)) - widened - confirmed < tune.trials:
        return None
    if search.tags.get(tag.EDGE) and widened < tune.widen:
        return None
    point: dict[str, float] = json.loads(search.tags[tag.CHOSEN])
    return point


def with_rates_from(grid: Grid, study: str) -> Grid:
    """Return the grid with the learning rates that another study found, instead of searches of its own.

    A net is matched by its name, shortcut and width, and one of the user's own by its function too.

    Raises:
        StudyError: no such study, a net that it didn't tune, several searches of a net with different results, or a
            grid that asks for no rate.
    """
    if not any(spec.recipe.lr == "tune" for spec in grid.points):
        raise StudyError(
            f"--lr-from {study}: no net of the grid has 'lr: tune', so no learning rate is taken; set it, or leave "
            "--lr-from out"
        )
    results = load_search_results(study)
    points = tuple(
        with_point(spec, _point_from(study, results, spec)) if spec.recipe.lr == "tune" else spec
        for spec in grid.points
    )
    return grid.model_copy(update={"points": points})


def _point_from(study: str, results: list[SearchResult], spec: RunSpec) -> dict[str, float]:
    net, own = str(spec.net), spec.own.family if spec.own else ""
    wanted = (net, spec.shortcut, spec.recipe.width, own)
    matching = [search for search in results if (search.net, search.shortcut, search.width, search.own) == wanted]
    if not matching:
        known = ", ".join(sorted({_built_by(search.net, search.own) for search in results})) or "none"
        raise StudyError(f"study '{study}' has no learning rate for {_built_by(net, own)}: it has tuned {known}")
    if any(search.point != matching[0].point for search in matching):
        rates = ", ".join(
            f"{search.point['lr']:g}{f' ({search.variant})' if search.variant else ''}" for search in matching
        )
        raise StudyError(f"study '{study}' has several learning rates for {net}: {rates}; set recipe.lr by hand")
    return matching[0].point


def _built_by(net: str, own: str) -> str:
    return f"{net} by {own}" if own else net


def search_key(spec: RunSpec, tune: Tune, fingerprint: str) -> str:
    """Return the hash of a search. More trials or seeds continue a search, so their numbers aren't part of it."""
    settings = tune.model_dump(mode="json", exclude=set(EXTENDS))
    text = json.dumps([spec.with_recipe(budget=1.0).cell_key(fingerprint), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def training_cost(spec: RunSpec, complexity: Complexity, facts: DataFacts) -> float:
    """Return the multiply-adds of a training; a backward pass takes twice those of a forward pass."""
    iterations = spec.recipe.total_iterations(facts.train_images)
    return 3.0 * complexity.multiply_adds * iterations * min(spec.recipe.batch_size, facts.train_images)


def probe_work(grid: Grid, specs: Iterable[RunSpec], facts: DataFacts) -> "dict[tuple[int, int], Work]":
    """Return the work of the probes of runs, by split and seed; runs without probes have no entry."""
    plans = {spec.repeat: (plan, spec) for spec in specs if (plan := grid.probes_of(spec)) is not None}
    if not plans:
        return {}
    from study.probe.work import count_work  # loads all probes, which few grids have

    return {repeat: count_work(plan, spec, facts.train_images) for repeat, (plan, spec) in plans.items()}


def _probe_costs(
    grid: Grid, specs: list[RunSpec], complexity: Complexity, facts: DataFacts
) -> dict[tuple[int, int], float]:
    step = 3.0 * min(specs[0].recipe.batch_size, facts.train_images)
    return {
        repeat: complexity.multiply_adds * (work.images + step * work.steps)
        for repeat, work in probe_work(grid, specs, facts).items()
    }


def _complexity(spec: RunSpec, facts: DataFacts) -> Complexity:
    shown = shape_shown(spec, facts)
    if spec.own:
        with in_a_line(spec.own, f"in counting the operations of {spec.net}"):
            return count_any(build_spec_net(spec, facts.classes, shown[0]), shown)
    with torch.device("meta"):
        net = build_spec_net(spec, facts.classes, shown[0])
    return count(net, shown)


def shape_shown(spec: RunSpec, facts: DataFacts) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of what a run's net is shown: crops, or whole images."""
    channels, height, width = facts.image_shape
    side = augmentation(spec.recipe.augment).side
    return channels, side(height), side(width)


def _variant(spec: RunSpec, varying: list[str]) -> str:
    """Name the settings that distinguish a cell from others of its net: shortcuts of residual nets, and its remedies.

    SkipInit and Fixup imply that there is no batch norm.
    """
    recipe = spec.identity()["recipe"]
    absent = set(MODIFICATIONS) - spec.modifications.keys()
    implied = {"batch_norm"} if recipe["scaling"] in UNNORMALISED else set()
    fields = [field for field in varying if field != "shortcut" or spec.architecture == "residual"]
    fields = [field for field in fields if field not in absent | implied and (field, recipe[field]) != ("budget", 1.0)]
    return ", ".join(f"{field}={_shown(recipe[field])}" for field in fields)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
