"""What a grid asks for, and what of it MLflow has already: done, to continue, to do."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from study.config import MODIFICATIONS, UNNORMALISED, Grid, RunSpec, Tune
from study.data import Dataset, augmentation
from study.launch.plan.probe_tags import covers, names
from study.nets import Complexity, count
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.tags import DONE
from study.train import build_spec_net, design_of
from study.tune import trial_spec, with_point

if TYPE_CHECKING:
    from study.probe.work import Work


@dataclass(frozen=True)
class DataFacts:
    """What planning needs to know of a data set."""

    fingerprint: str
    train_images: int
    test_images: int
    classes: int
    image_shape: tuple[int, int, int]
    skipped: int = 0
    """Files left out because they can't be used."""
    validation_images: int = 0

    @classmethod
    def of(cls, dataset: Dataset) -> "DataFacts":
        """Read them off a loaded data set."""
        shape = dataset.image_shape
        return cls(
            dataset.fingerprint,
            len(dataset.train),
            len(dataset.test),
            dataset.num_classes,
            (shape[0], shape[1], shape[2]),
            len(dataset.skipped),
            len(dataset.validation) if dataset.validation is not None else 0,
        )


@dataclass(frozen=True)
class Cell:
    """A point of the grid without its seed: the runs that differ in their seed alone, and what they cost."""

    specs: tuple[RunSpec, ...]
    """One a seed; their rate is still `tune` where it has to be found."""
    variant: str
    """What tells this cell from others of the same net: `batch_size=64, width=2`, or nothing."""
    tuning_key: str
    """The search's identity; empty where the rate is given."""
    complexity: Complexity
    run_cost: float
    """Multiply-adds of a run's training, or its seconds where they were measured."""
    trial_cost: float
    """The same of a trial, all its seeds; 0 where the rate is given."""
    probe_costs: Mapping[int, float]
    """The same of the probes of a run, by its seed; of those that have any."""

    @property
    def name(self) -> str:
        """`plain-56`, with the variant where there is one."""
        net = str(self.specs[0].net)
        return f"{net} ({self.variant})" if self.variant else net

    def cost_of(self, spec: RunSpec) -> float:
        """Return what one of its runs costs, probes included."""
        return self.run_cost + self.probe_costs.get(spec.seed, 0.0)


@dataclass(frozen=True)
class CellPlan:
    """What is left of a cell."""

    cell: Cell
    point: dict[str, float] | None
    """The rate of its runs, and whatever else was searched; None where it is still to be found."""
    done: tuple[StoredRun, ...]
    """Runs that are results already."""
    left: tuple[tuple[RunSpec, StoredRun | None], ...]
    """Runs to do, with the record of an earlier attempt that can be continued."""
    tuning: StoredRun | None
    """The search's record, where it began or ended."""

    @property
    def runs_cost(self) -> float:
        """What the runs still to do cost."""
        return sum(self.cell.cost_of(spec) for spec, _ in self.left)

    def search_cost(self, trials: int) -> float:
        """Return what a search of `trials` trials costs, if the rate is still to be found; 0 otherwise."""
        return trials * self.cell.trial_cost if self.point is None else 0.0


def make_cells(grid: Grid, facts: DataFacts) -> list[Cell]:
    """Group the grid's runs into cells, in the order of the file."""
    varying = grid.varying()
    groups: dict[str, list[RunSpec]] = {}
    for spec in grid.runs():
        groups.setdefault(spec.cell_key(facts.fingerprint), []).append(spec)
    sizes: dict[tuple[object, ...], Complexity] = {}
    cells = []
    for specs in groups.values():
        spec = specs[0]
        size_key = (spec.net, spec.shortcut, spec.recipe.width, spec.recipe.augment, design_of(spec))
        if size_key not in sizes:
            sizes[size_key] = _complexity(spec, facts)
        tunes = spec.recipe.lr == "tune"
        trial = trial_spec(spec, {"lr": 1.0}, grid.tune, facts.train_images)  # what it costs doesn't depend on its rate
        cells.append(
            Cell(
                specs=tuple(specs),
                variant=_variant(spec, varying),
                tuning_key=tuning_key(spec, grid.tune, facts.fingerprint) if tunes else "",
                complexity=sizes[size_key],
                run_cost=training_cost(spec, sizes[size_key], facts),
                trial_cost=grid.tune.seeds * training_cost(trial, sizes[size_key], facts) if tunes else 0.0,
                probe_costs=_probe_costs(grid, specs, sizes[size_key], facts),
            )
        )
    return cells


def plan_cells(cells: Iterable[Cell], facts: DataFacts, records: Iterable[StoredRun], grid: Grid) -> list[CellPlan]:
    """Compare the cells with what MLflow knows, the newest first. Nothing that is a result is done again.

    A run that lacks a probe which the grid asks for is no result.
    """
    runs: dict[str, StoredRun] = {}
    tunings: dict[str, StoredRun] = {}
    for record in records:
        known = runs if record.kind == "run" else tunings if record.kind == "tuning" else None
        if known is not None and _rank(record) > _rank(known.get(record.key)):
            known[record.key] = record
    return [_plan_cell(cell, facts, runs, tunings, grid) for cell in cells]


def _rank(record: StoredRun | None) -> tuple[bool, bool, int]:
    """Order the records of one key: results before others, then by the probes that were made."""
    if record is None:
        return False, False, 0
    return True, record.outcome in DONE, len(names(record.tags))


def _plan_cell(
    cell: Cell, facts: DataFacts, runs: dict[str, StoredRun], tunings: dict[str, StoredRun], grid: Grid
) -> CellPlan:
    lr = cell.specs[0].recipe.lr
    tuning = tunings.get(cell.tuning_key) if cell.tuning_key else None
    point = found_point(tuning, grid.tune) if lr == "tune" else {"lr": float(lr)}
    if point is None:
        return CellPlan(cell, None, (), tuple((spec, None) for spec in cell.specs), tuning)
    done, left = [], []
    for spec in (with_point(spec, point) for spec in cell.specs):
        record = runs.get(spec.run_key(facts.fingerprint))
        if record is not None and record.outcome in DONE and covers(names(record.tags), grid.probes_of(spec)):
            done.append(record)
        else:
            left.append((spec, record))
    return CellPlan(cell, point, tuple(done), tuple(left), tuning)


def found_point(tuning: StoredRun | None, tune: Tune) -> dict[str, float] | None:
    """Return what an ended search found, or None: no search, an unfinished one, or one that may go on now.

    One goes on where more trials are asked for, or where its best rate is the last one tried and it may widen further.
    """
    if tuning is None or tuning.outcome != "finished":
        return None
    widened = int(tuning.tags.get(tag.WIDENED, 0))
    if int(tuning.tags.get(tag.TRIAL, 0)) - widened < tune.trials:
        return None
    if tuning.tags.get(tag.EDGE) and widened < tune.widen:
        return None
    point: dict[str, float] = json.loads(tuning.tags[tag.CHOSEN])
    return point


def tuning_key(spec: RunSpec, tune: Tune, fingerprint: str) -> str:
    """Return the hash of a cell's search. More trials continue a search, so their number isn't part of it."""
    settings = tune.model_dump(mode="json", exclude={"trials", "shared", "widen", "storage"})
    text = json.dumps([spec.cell_key(fingerprint), settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def training_cost(spec: RunSpec, complexity: Complexity, facts: DataFacts) -> float:
    """Return the multiply-adds of a training: forward, and twice as many backward."""
    iterations = spec.recipe.total_iterations(facts.train_images)
    return 3.0 * complexity.multiply_adds * iterations * min(spec.recipe.batch_size, facts.train_images)


def probe_work(grid: Grid, specs: Iterable[RunSpec], facts: DataFacts) -> "dict[int, Work]":
    """Return what the probes of runs compute, by the runs' seeds; those without any have no entry."""
    plans = {spec.seed: (plan, spec) for spec in specs if (plan := grid.probes_of(spec)) is not None}
    if not plans:
        return {}
    from study.probe.work import count_work  # all of the probes, which few grids have

    return {seed: count_work(plan, spec, facts.train_images) for seed, (plan, spec) in plans.items()}


def _probe_costs(grid: Grid, specs: list[RunSpec], complexity: Complexity, facts: DataFacts) -> dict[int, float]:
    step = 3.0 * min(specs[0].recipe.batch_size, facts.train_images)
    return {
        seed: complexity.multiply_adds * (work.images + step * work.steps)
        for seed, work in probe_work(grid, specs, facts).items()
    }


def _complexity(spec: RunSpec, facts: DataFacts) -> Complexity:
    with torch.device("meta"):
        net = build_spec_net(spec, facts.classes, facts.image_shape[0])
    channels, height, width = facts.image_shape
    side = augmentation(spec.recipe.augment).side  # a crop costs what it is, not what the whole image would
    return count(net, (channels, side(height), side(width)))


def _variant(spec: RunSpec, varying: list[str]) -> str:
    """Say what tells a cell from others of its net: a shortcut of residual ones alone, of remedies those it has.

    Of SkipInit and Fixup it goes without saying that they have no batch norm.
    """
    recipe = spec.identity()["recipe"]
    usual = set(MODIFICATIONS) - spec.modifications.keys()
    implied = {"batch_norm"} if recipe["scaling"] in UNNORMALISED else set()
    fields = [field for field in varying if field != "shortcut" or spec.architecture == "residual"]
    fields = [field for field in fields if field not in usual | implied]
    return ", ".join(f"{field}={_shown(recipe[field])}" for field in fields)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
