"""What a grid will cost on this machine: time, memory and disk, from measured speeds."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from study.config import Grid, RunSpec, Tune
from study.launch.estimate.benchmark import SpeedBook
from study.launch.executors.devices import Workforce
from study.launch.executors.replicas import replicas_of
from study.launch.plan.cells import Cell, CellPlan, DataFacts, probe_work
from study.train import Speed
from study.tune import trial_spec

WORKER_SECONDS = 2.0
"""From a worker's start to its readiness."""
RUN_SECONDS = 0.15
"""Of the launcher for a run or trial: MLflow's records of it, and the search's next rate."""
LAUNCHER_MIB = 900.0
POINT_BYTES = 10 * 310
"""Of a point of the curves in MLflow's database: ten values."""
RUN_BYTES = 60_000
"""Of a run or trial, without its points and weights."""
PRUNED = 0.86
"""Of a search's training that is done where the median stops trials (bench/README.md, learning-rate searches)."""


@dataclass(frozen=True)
class Estimate:
    """What is left of a grid; times in seconds, memory in MiB, disk in bytes."""

    seconds: float
    memory: float
    gpu: float
    """Of the GPU of a worker; 0 on a CPU."""
    disk: float
    cells: tuple[float, ...]
    """Worker seconds of each cell of the plan."""

    @property
    def worker_seconds(self) -> float:
        """Of all workers together."""
        return sum(self.cells)


def speeds_of(plans: Sequence[CellPlan], book: SpeedBook) -> tuple[dict[str, Speed], dict[str, RunSpec]]:
    """Return the speeds that are known of the cells with something left, and a run of each that isn't, both by key."""
    asked = {book.key(plan.cell.specs[0]): plan.cell.specs[0] for plan in plans if plan.left}
    known = {key: speed for key, speed in book.known().items() if key in asked}
    return known, {key: spec.with_recipe(lr=0.01) for key, spec in asked.items() if key not in known}


def run_seconds(spec: RunSpec, speed: Speed, facts: DataFacts, *, joined: bool) -> float:
    """Return the time of a whole run, or its share where others train with it: its steps and evaluations."""
    recipe = spec.recipe
    steps = recipe.total_iterations(facts.train_images)
    every = recipe.evaluate_every or recipe.iterations_per_epoch(facts.train_images)
    between = -(-steps // every) * (facts.test_images + facts.validation_images)
    views = {"center": 0, "ten-crop": 10, "multi-scale": 5}[recipe.test_views]
    end = facts.train_images * (1 if recipe.augment == "none" else 2) + facts.validation_images
    end += facts.test_images * (1 + views)
    return speed.start + steps * (speed.joined if joined else speed.step) + (between + end) * speed.image + RUN_SECONDS


def in_seconds(plans: Sequence[CellPlan], speeds: Mapping[str, Speed], book: SpeedBook, facts: DataFacts,
               grid: Grid) -> list[CellPlan]:  # fmt: skip
    """Return the plans with costs in seconds, where the speed of every net with something left is known."""
    if any(plan.left and book.key(plan.cell.specs[0]) not in speeds for plan in plans):
        return list(plans)
    return [
        replace(plan, cell=_timed(plan.cell, speeds[book.key(plan.cell.specs[0])], facts, grid)) if plan.left else plan
        for plan in plans
    ]


def _timed(cell: Cell, speed: Speed, facts: DataFacts, grid: Grid) -> Cell:
    """Return a cell with its costs in seconds; a trial's is the mean of those that run together and those alone."""
    spec, tune = cell.specs[0], grid.tune
    work = probe_work(grid, cell.specs, facts)
    probes = {seed: one.images * speed.exact + one.steps * speed.step for seed, one in work.items()}
    run = run_seconds(spec, speed, facts, joined=len(cell.specs) > 1 or speed.gpu > 0)  # there any nets go together
    cell = replace(cell, run_cost=run, probe_costs=probes)
    if not cell.tuning_key:
        return cell
    shorter = trial_spec(spec, {"lr": 1.0}, tune, facts.train_images)
    together, alone = (run_seconds(shorter, speed, facts, joined=joined) for joined in (True, False))
    part = 1.0 if tune.seeds > 1 else min(1.0, tune.shared_trials / tune.trials)
    return replace(cell, trial_cost=tune.seeds * (part * together + (1 - part) * alone))


def estimate(plans: Sequence[CellPlan], speeds: Mapping[str, Speed], book: SpeedBook, facts: DataFacts, tune: Tune,
             force: Workforce) -> Estimate:  # fmt: skip
    """Return what is left of a grid whose plans have their costs in seconds."""
    left = [plan for plan in plans if plan.left]
    part = PRUNED if tune.pruner == "median" else 0.5 if tune.pruner == "halving" else 1.0
    cells, chains = [], []
    for plan in plans:
        search = part * plan.search_cost(tune.trials) if plan.left else 0.0
        cells.append(search + plan.runs_cost)
        chains.append((search, [plan.cell.cost_of(spec) for spec, _ in plan.left]))
    workers = len(force.devices)
    finish = _finish(chains, workers) + (WORKER_SECONDS if left else 0.0)
    needed = [(plan.cell.specs[0], speeds[book.key(plan.cell.specs[0])]) for plan in left]
    memory = max((speed.memory for _, speed in needed), default=0.0)
    gpu = max((replicas_of(spec, force, facts, speed) * speed.gpu for spec, speed in needed), default=0.0)
    disk = sum(_bytes(plan, facts, tune) for plan in left)
    return Estimate(finish, LAUNCHER_MIB + workers * memory, gpu, disk, tuple(cells))


def _finish(chains: Sequence[tuple[float, list[float]]], workers: int) -> float:
    """Return when the last of `workers` is done: the most expensive cell first, each run to the first that is free.

    A chain is the seconds of a cell's search, and of its runs. A search is shared out evenly.
    """
    free = [0.0] * workers
    search = sum(chain[0] for chain in chains) / workers
    for seconds in sorted((run for _, runs in chains for run in runs), reverse=True):
        heapq.heapreplace(free, free[0] + seconds)
    return search + max(free)


def _bytes(plan: CellPlan, facts: DataFacts, tune: Tune) -> float:
    """Return what a cell's runs and trials will leave on disk: points, and the weights and momentum of its runs."""
    spec = plan.cell.specs[0]
    every = spec.recipe.evaluate_every or spec.recipe.iterations_per_epoch(facts.train_images)
    points = -(-spec.recipe.total_iterations(facts.train_images) // every) * POINT_BYTES
    trials = tune.trials * tune.seeds if plan.point is None else 0
    weights = 8 * plan.cell.complexity.parameters
    return len(plan.left) * (points + RUN_BYTES + weights) + trials * (points * tune.fraction + RUN_BYTES)
