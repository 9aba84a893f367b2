"""From a grid to its runs: load the data, plan against MLflow, start workers, run, close."""

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from study.config import Grid, OwnNets
from study.config.command import Command
from study.data import Dataset, load_splits
from study.errors import StudyError
from study.launch.dataset_record import record_data
from study.launch.display import Display, duration
from study.launch.estimate import SpeedCache, estimate, time_cells
from study.launch.executors.base import Hardware, Limits
from study.launch.executors.devices import Workers, choose_executor, replicas_for, share_of_card
from study.launch.messages import RESUME
from study.launch.plan.cells import Cell, DataFacts, plan_cells, shape_shown
from study.launch.plan.stale_runs import stale_run_warnings
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.queue import WorkQueue
from study.launch.scheduler.run_logger import RunLogger
from study.launch.scheduler.scheduler import REPORT_WAIT_SECONDS, Scheduler, Summary
from study.launch.scheduler.signals import stopped_by_signals
from study.launch.scheduler.worker_pool import WorkerPool
from study.nets.own import load_function
from study.nets.own_check import check_own_nets
from study.paths import check_writable
from study.retry import Retry, RetryTimeout
from study.track.database import StoredRun
from study.track.find import missing_files_warning
from study.track.processes import this_process
from study.track.store import RunDeletedError, Store
from study.track.tags import DONE
from study.track.uri import sqlite_uri, study_folder, tracking_uri
from study.tune import SearchStore

START_SECONDS = 20.0
"""Maximal wait for MLflow or a database before anything has begun."""


@dataclass(frozen=True)
class Plan:
    """A grid, compared with what MLflow has."""

    facts: DataFacts
    cells: list[Cell]
    records: list[StoredRun]
    notes: tuple[str, ...] = ()
    """How the images were split and which files aren't read; to be shown once all checks have passed."""

    @property
    def jobs(self) -> int:
        """Maximal number of runs and trials at once."""
        return sum(len(cell.left) for cell in self.cells) * (1 if all(cell.point for cell in self.cells) else 2)

    @property
    def gpus_per_run(self) -> int:
        """Maximal number of GPUs that a run still to do asks for."""
        return max((cell.specs[0].recipe.gpus_per_run for cell in self.cells if cell.left), default=1)


def make_plan(grid: Grid, display: Display) -> Plan:
    """Load the data and compare the grid with MLflow; write nothing.

    Raises:
        StudyError: the data set can't be used, or MLflow can't be reached.
    """
    plan, _ = _plan(grid, display)
    display.say(*plan.notes)
    return plan


def _plan(grid: Grid, display: Display) -> tuple[Plan, list[Dataset]]:
    for own in dict.fromkeys(spec.own for spec in grid.points if spec.own):
        load_function(own)  # its errors are found sooner than those of the images
    datasets = load_splits(grid.splits, progress=display.loading)
    fingerprints = {spec.split_seed: data.fingerprint for spec, data in zip(grid.splits, datasets, strict=True)}
    facts = DataFacts.of(datasets[0], fingerprints)
    if facts.skipped:
        display.warn(f"{facts.skipped} image files can't be used and are skipped; `study data stats` lists them")
    _check_own_nets(grid, facts)
    store = Store.find(grid.name)
    records = store.records() if store else []
    for line in [*store.left_out, missing_files_warning(grid.name, store.uri)] if store else ():
        if line:
            display.warn(line)
    cells = plan_cells(grid, facts, records)
    for line in stale_run_warnings(cells, records, fingerprints.values()):
        display.warn(line)
    notes = dict.fromkeys(note for dataset in datasets for note in dataset.notes)
    return Plan(facts, cells, records, tuple(notes)), datasets


def _check_own_nets(grid: Grid, facts: DataFacts) -> None:
    """Check each net of a grid that a function of the user's own builds, for the images that it is shown."""
    kinds: dict[tuple[OwnNets, tuple[int, int, int]], dict[int, set[bool]]] = {}
    for spec in grid.points:
        if spec.own:
            depths = kinds.setdefault((spec.own, shape_shown(spec, facts)), {})
            depths.setdefault(spec.depth, set()).add(spec.architecture == "residual")
    for (own, shape), depths in kinds.items():
        check_own_nets(own, depths, shape, facts.classes)


def run_grid(
    grid: Grid,
    display: Display,
    *,
    hardware: Hardware | None = None,
    limits: Limits | None = None,
    text: str = "",
    command: str = "",
    only_search: bool = False,
) -> Summary:
    """Run everything of a grid that isn't a result yet, beside any other launcher that works on it.

    Args:
        grid: what to run.
        display: shows the progress.
        hardware: what to run on; by default what this machine has.
        limits: of retries and times.
        text: the grid file, stored with the study once something begins, so that it can be repeated.
        command: the command line, stored with it.
        only_search: find the learning rates, and run nothing else.

    Raises:
        StudyError: the data, MLflow, Optuna's storage, the device or the study's folder can't be used.
    """
    check_writable(study_folder(tracking_uri()))
    plan, datasets = _plan(grid, display)
    store = Store(grid.name)
    retry = store.retry
    retry.on_wait = lambda why, seconds: _wait_at_start(display, why, seconds)
    root = study_folder(store.uri)
    checkpoints = root / "mlruns" / ".checkpoints" / grid.name
    checkpoints.mkdir(parents=True, exist_ok=True)
    storage = grid.tune.storage or sqlite_uri(root / "optuna.db")
    leases = Leases(storage, this_process(), grid.name, retry=retry)
    leases.sweep()
    _close_stale(store, plan.records, leases, checkpoints)
    _record_data(store, datasets, grid.dataset.root, leases, display)
    del datasets  # the workers load them themselves
    hardware = hardware or Hardware()
    apart = hardware.executor != "local" and not store.keeps_folders
    executor, workers = choose_executor(hardware, plan.jobs, plan.gpus_per_run, None if apart else checkpoints)
    cells = _timed_cells(grid, plan, workers, display, measure=workers.per_card > 1 and hardware.executor == "local")
    run_logger = RunLogger(
        store, grid, plan.facts, plan.records, Command.now(command, text), threads=workers.threads, apart=apart
    )
    searches = SearchStore(storage, retry)
    queue = WorkQueue(grid, cells, plan.facts, searches, leases, run_logger, only_search=only_search)
    states = queue.unfinished()
    if not states:
        executor.close()
        run_logger.store_protocol()
        return Summary(earlier=queue.done_before)
    display.say(*plan.notes)
    known = not only_search and all(cell.speed is not None for cell in cells if cell.left)
    seconds = estimate(cells, plan.facts, grid.tune, workers).seconds if known else None
    _show_workers(workers, display, seconds, at_most=executor.accept is not None)
    for state in states:
        of_cell = state.cell.specs[0], workers, plan.facts, state.cell.speed
        state.replicas, state.share = replicas_for(*of_cell), share_of_card(*of_cell)
        state.mixes = state.replicas > 1 and workers.devices[0][0] != "cpu"
    pool = WorkerPool(executor, workers.devices, max(state.replicas for state in states), workers.per_card)
    scheduler = Scheduler(queue, run_logger, pool, display, checkpoints, leases, limits or Limits())
    display.plan(sum((0 if only_search else cell.runs_cost) + cell.search_cost(grid.tune.trainings) for cell in cells))
    return _run(scheduler, pool, retry, display)


def _timed_cells(grid: Grid, plan: Plan, workers: Workers, display: Display, *, measure: bool) -> list[Cell]:
    """Return the cells with the speeds that are known; with `measure`, measure the others.

    Workers that share a GPU must know what runs take of its memory; one that has it alone notices when it is full.
    """
    cache = SpeedCache(workers, plan.facts)
    if measure:
        try:
            return time_cells(plan.cells, cache, plan.facts, grid, display.loading)
        except StudyError as error:
            display.warn(f"{error}; runs begin without, and fewer are at once where memory runs out")
    return time_cells(plan.cells, cache, plan.facts, grid)


def _run(scheduler: Scheduler, pool: WorkerPool, retry: Retry, display: Display) -> Summary:
    """Run the scheduler until it is done or stopped by signals; leave nothing RUNNING in MLflow."""
    retry.on_wait, retry.on_recovered = scheduler.on_wait, scheduler.on_recovered

    def abort() -> None:
        display.warn("left without waiting any longer; nothing is lost: run the same command again and it goes on")
        display.close()
        pool.kill()

    with stopped_by_signals(scheduler.stop, abort):
        try:
            return scheduler.run()
        finally:
            pool.close()
            retry.on_wait = _give_up
            with suppress(RetryTimeout):  # what stays RUNNING in MLflow is closed at the next start
                scheduler.close_records()


def _show_workers(workers: Workers, display: Display, seconds: float | None, *, at_most: bool) -> None:
    """Say what works on the grid, and for how long, where the nets' speeds were measured before."""
    count = f"up to {len(workers.devices)}" if at_most else str(len(workers.devices))
    time_left = "" if seconds is None else f", about {duration(seconds)}"
    display.say(
        f"workers: {count} ({', '.join(dict.fromkeys(workers.names))}){time_left}; "
        f"stop at any time with Ctrl-C and run the same command again: it goes on"
    )


def _wait_at_start(display: Display, why: str, seconds: float) -> None:
    """Wait a short while for an unavailable resource before anything has begun, then raise RetryTimeout."""
    if seconds >= START_SECONDS:
        raise RetryTimeout(f"{why}; waited {START_SECONDS:.0f} s")
    if seconds >= REPORT_WAIT_SECONDS:
        display.say_once(f"waiting for {why}")
    time.sleep(1.0)


def _give_up(why: str, _seconds: float) -> None:
    raise RetryTimeout(why)


def _record_data(store: Store, datasets: Iterable[Dataset], root: str | None, leases: Leases, display: Display) -> None:
    if leases.acquire("data"):
        for dataset in datasets:
            records = store.records_of(dataset.fingerprint, "dataset")  # another launcher may have written it just now
            record_data(store, dataset, root, records, display)
        leases.release("data")


def _close_stale(store: Store, records: list[StoredRun], leases: Leases, checkpoints: Path) -> None:
    """Close runs that a killed launcher left RUNNING: those whose lease has no holder."""
    for record in records:
        search = record.key.partition("-")[0]  # a trial's key begins with that of its search
        lease = {"run": f"run {record.key}", "dataset": "data"}.get(record.kind, f"search {search}")
        if record.status != "RUNNING" or not leases.acquire(lease):
            continue
        with suppress(RunDeletedError):
            if store.settle(record.run_id) in DONE and record.kind in ("run", "trial"):
                shutil.rmtree(checkpoints / f"{record.kind}-{record.key}", ignore_errors=True)
                if not store.keeps_folders:
                    store.remove_folder(record.run_id, RESUME)
        leases.release(lease)
