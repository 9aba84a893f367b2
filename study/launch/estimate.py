"""Estimate what a grid costs on this machine, in time, memory and disk, from speeds that its workers measure."""

import hashlib
import heapq
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from filelock import FileLock

from study.config import Grid, RunSpec, Tune
from study.data.source import Progress
from study.errors import StudyError
from study.launch.environment import environment
from study.launch.executors.devices import Workers, replicas_for, share_of_card
from study.launch.executors.local import LocalExecutor
from study.launch.messages import BenchmarkResult, BenchmarkTask
from study.launch.plan.cells import Cell, DataFacts, probe_work
from study.launch.scheduler.worker_pool import WorkerDied, WorkerPool
from study.launch.worker.failure import Failure
from study.paths import cache_folder
from study.train import Speed
from study.tune import trial_spec

SAME_SPEED = frozenset(
    "lr epochs iterations momentum nesterov weight_decay schedule milestones gamma "
    "warmup warmup_factor warmup_shape evaluate_every test_views initialisation".split()
)
"""Fields of a recipe that don't change the time of a step."""


class SpeedCache:
    """A cache of speeds; the key holds the net, images, recipe, hardware and number of runs at once."""

    def __init__(self, workers: Workers, facts: DataFacts) -> None:
        hardware = environment()
        self._context = [
            *(hardware.get(key, "") for key in ("torch", "system", "processor", "gpu")),
            *(sorted(workers.names), workers.threads, workers.replicas, facts.image_shape, facts.classes),
        ]
        self._path = cache_folder("speed.json")
        self._workers = workers
        self._facts = facts

    def known(self) -> dict[str, Speed]:
        """Return all speeds by key; none if the file is missing or damaged."""
        try:
            cached = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): Speed(**values) for key, values in cached.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def key(self, spec: RunSpec) -> str:
        """Return the key of a run's speed, the same for runs that differ only in rate, seed and length."""
        recipe = {field: value for field, value in spec.identity()["recipe"].items() if field not in SAME_SPEED}
        text = json.dumps([str(spec.net), recipe, self._context], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def measure(self, specs: Mapping[str, RunSpec], progress: Callable[[str, float], None]) -> dict[str, Speed]:
        """Measure the speeds of these runs, given by key, and cache them.

        All workers measure every net at the same time, so that they slow each other down as in training. Where that
        takes more memory than a GPU has, fewer go on. A GPU's room is what its last worker found: then all of them
        have begun, and hold nothing but their images.

        Raises:
            StudyError: a net can't be trained here.
        """
        tasks = {
            f"{key} {i}": BenchmarkTask(f"{key} {i}", spec, replicas_for(spec, self._workers, self._facts))
            for key, spec in specs.items()
            for i in range(len(self._workers.devices))
        }
        waiting = list(tasks.values())
        measured: dict[str, list[Speed]] = {key: [] for key in specs}
        rooms: dict[str, float] = {}
        total, finished, begun = len(waiting), 0, False
        pool = WorkerPool(LocalExecutor(self._workers.threads, self._workers.per_card), self._workers.devices)
        try:
            while finished < total:
                begun = begun or pool.free() == len(pool)
                while begun and waiting and pool.free():
                    pool.assign(waiting.pop(0))
                for message in pool.poll(timeout=1.0):
                    if isinstance(message, Failure):
                        if not (message.out_of_memory and pool.reduce_load(message.task, joined=False)):
                            raise StudyError(f"the speed of a net can't be measured: {message.cause}")
                        pool.release(message.task)
                        waiting.append(tasks[message.task])
                    if isinstance(message, WorkerDied):
                        raise StudyError("the speed of a net can't be measured: a worker died (out of memory?)")
                    if isinstance(message, BenchmarkResult):
                        pool.release(message.task)
                        measured[message.task.partition(" ")[0]].append(message.speed)
                        rooms[message.device] = message.speed.room
                        finished += 1
                        progress("measuring speeds", finished / total)
        finally:
            pool.kill()
        speeds = {key: _combined(values, min(rooms.values())) for key, values in measured.items()}
        self.save(speeds)
        return speeds

    def save(self, speeds: Mapping[str, Speed]) -> None:
        """Add speeds to the cache; a disk that refuses them is no error."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                cached = {**self.known(), **speeds}
                partial = self._path.with_suffix(".partial")
                partial.write_text(json.dumps({key: asdict(speed) for key, speed in cached.items()}))
                partial.replace(self._path)
        except OSError:
            pass  # they will be measured again


def _combined(speeds: list[Speed], room: float) -> Speed:
    """Combine measurements: the mean times and the largest memory use, where a GPU has so much room."""
    times = ("step", "joined", "image", "exact", "start")
    means = {field: statistics.fmean(getattr(speed, field) for speed in speeds) for field in times}
    memory = {field: max(getattr(speed, field) for speed in speeds) for field in ("memory", "gpu")}
    return Speed(**means, **memory, room=room)


WORKER_SECONDS = 2.0
"""Time from the start of a worker until it is ready."""
RUN_SECONDS = 0.15
"""Time of the launcher for a run or trial: its records in MLflow, and the search's next rate."""
LAUNCHER_MIB = 900.0
POINT_BYTES = 10 * 310
"""Size of a point of a curve in MLflow's database: ten values."""
RUN_BYTES = 60_000
"""Size of the records of a run or trial, without points and weights."""
PRUNED = 0.86
"""Share of a search's training that is left if the median stops trials (bench/README.md, learning-rate searches)."""


@dataclass(frozen=True)
class Estimate:
    """The cost of what is left of a grid: times in seconds, memory in MiB, disk in bytes."""

    seconds: float
    memory: float
    gpu: float
    """Of the runs at once on a GPU; 0 on a CPU."""
    disk: float
    cells: tuple[float, ...]
    """Worker seconds of each cell."""


def run_seconds(spec: RunSpec, speed: Speed, facts: DataFacts, *, joined: bool) -> float:
    """Return the seconds of a whole run, evaluations included; its share of them if it's `joined` with others."""
    recipe = spec.recipe
    steps = recipe.total_iterations(facts.train_images)
    every = recipe.evaluate_every or recipe.iterations_per_epoch(facts.train_images)
    between = -(-steps // every) * (facts.test_images + facts.validation_images)
    views = {"center": 0, "ten-crop": 10, "multi-scale": 5}[recipe.test_views]
    end = facts.train_images * (1 if recipe.augment == "none" else 2) + facts.validation_images
    end += facts.test_images * (1 + views)
    return speed.start + steps * (speed.joined if joined else speed.step) + (between + end) * speed.image + RUN_SECONDS


def time_cells(
    cells: Sequence[Cell], cache: SpeedCache, facts: DataFacts, grid: Grid, progress: Progress | None = None
) -> list[Cell]:
    """Return the cells with the speeds of those that have work left, and with costs in seconds if all are known.

    With `progress`, measure the unknown speeds; it is called meanwhile.
    """
    specs = {cache.key(cell.specs[0]): cell.specs[0].with_recipe(lr=0.01) for cell in cells if cell.left}
    speeds = cache.known()
    unknown = {key: spec for key, spec in specs.items() if key not in speeds}
    if unknown and progress is not None:
        speeds |= cache.measure(unknown, progress)
    timed = [replace(cell, speed=speeds.get(cache.key(cell.specs[0])) if cell.left else None) for cell in cells]
    if any(cell.left and cell.speed is None for cell in timed):
        return timed
    return [_in_seconds(cell, cell.speed, facts, grid) if cell.speed is not None else cell for cell in timed]


def _in_seconds(cell: Cell, speed: Speed, facts: DataFacts, grid: Grid) -> Cell:
    """Return a cell with costs in seconds; a trial's cost is the mean of trials run together and trials run alone."""
    spec, tune = cell.specs[0], grid.tune
    work = probe_work(grid, cell.specs, facts)
    probes = {repeat: probe.images * speed.exact + probe.steps * speed.step for repeat, probe in work.items()}
    run = run_seconds(spec, speed, facts, joined=len(cell.specs) > 1 or speed.gpu > 0)  # any nets share a GPU
    cell = replace(cell, run_cost=run, probe_costs=probes)
    if not cell.owns_search:
        return cell
    shorter = trial_spec(spec, {"lr": 1.0}, tune, facts.train_images)
    together, alone = (run_seconds(shorter, speed, facts, joined=joined) for joined in (True, False))
    share = 1.0 if tune.seeds > 1 else min(1.0, tune.shared_trials / tune.trials)
    return replace(cell, trial_cost=share * together + (1 - share) * alone)


def estimate(cells: Sequence[Cell], facts: DataFacts, tune: Tune, workers: Workers) -> Estimate:
    """Estimate what is left of cells whose costs are in seconds."""
    left = [cell for cell in cells if cell.left]
    share = PRUNED if tune.pruner == "median" else 0.5 if tune.pruner == "halving" else 1.0
    trainings = share * tune.trials * tune.seeds + tune.further_seeds
    searches = [cell.search_cost(trainings) if cell.left else 0.0 for cell in cells]
    count = len(workers.devices)
    runs = [cell.cost_of(spec) for cell in cells for spec, _ in cell.left]
    finish = _finish(searches, runs, count) + (WORKER_SECONDS if left else 0.0)
    needed = [(cell.specs[0], cell.speed) for cell in left if cell.speed is not None]
    memory = max((speed.memory for _, speed in needed), default=0.0)
    shares = [(speed.gpu, share_of_card(spec, workers, facts, speed)) for spec, speed in needed if speed.gpu]
    gpu = max((memory / share for memory, share in shares), default=0.0)
    disk = sum(_bytes(cell, facts, tune) for cell in left)
    seconds = tuple(search + cell.runs_cost for search, cell in zip(searches, cells, strict=True))
    return Estimate(finish, LAUNCHER_MIB + count * memory, gpu, disk, seconds)


def _finish(searches: Sequence[float], runs: Sequence[float], workers: int) -> float:
    """Return the seconds until the last worker is done, from the seconds of each search and run.

    Searches are shared evenly; then each run goes to the first free worker, the longest first.
    """
    free = [0.0] * workers
    for seconds in sorted(runs, reverse=True):
        heapq.heapreplace(free, free[0] + seconds)
    return sum(searches) / workers + max(free)


def _bytes(cell: Cell, facts: DataFacts, tune: Tune) -> float:
    """Return the disk space of a cell's runs and trials: points, and the weights and momentum of its runs."""
    spec = cell.specs[0]
    every = spec.recipe.evaluate_every or spec.recipe.iterations_per_epoch(facts.train_images)
    points = -(-spec.recipe.total_iterations(facts.train_images) // every) * POINT_BYTES
    trials = tune.trainings if cell.point is None and cell.owns_search else 0
    weights = 8 * cell.complexity.parameters
    return len(cell.left) * (points + RUN_BYTES + weights) + trials * (points * tune.fraction + RUN_BYTES)
