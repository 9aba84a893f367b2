"""From a grid to its runs: load the data, plan against MLflow, start workers, run, close."""

import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from study.config import Grid
from study.data import Dataset, load_dataset
from study.launch.dataset_record import record_data
from study.launch.display import Display
from study.launch.estimate.benchmark import SpeedBook
from study.launch.estimate.cost import in_seconds, speeds_of
from study.launch.executors.choose import choose_place
from study.launch.executors.limits import Hardware, Limits
from study.launch.executors.replicas import replicas_of
from study.launch.messages import RESUME
from study.launch.plan.cells import CellPlan, DataFacts, make_cells, plan_cells
from study.launch.plan.stale_runs import made_otherwise
from study.launch.scheduler.hearing import TELL_SECONDS
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.queue import Cells
from study.launch.scheduler.run_logger import Recorder
from study.launch.scheduler.scheduler import Launcher
from study.launch.scheduler.signals import stopped_by_signals
from study.launch.scheduler.worker_pool import Pool
from study.launch.summary import Summary
from study.retry import Retry, RetryTimeout
from study.track.database import StoredRun
from study.track.find import missing_files_warning
from study.track.processes import this_process
from study.track.provenance import Command
from study.track.store import RunDeletedError, Store
from study.track.tags import DONE
from study.track.uri import sqlite_uri, study_folder
from study.tune import Search, SearchStore

START_SECONDS = 20.0
"""How long MLflow or a database may be away before anything has begun."""


@dataclass(frozen=True)
class Plan:
    """A grid set against what MLflow has."""

    facts: DataFacts
    cells: list[CellPlan]
    records: list[StoredRun]

    @property
    def jobs(self) -> int:
        """How many runs and trials there can be at once, at most."""
        return sum(len(cell.left) for cell in self.cells) * (1 if all(cell.point for cell in self.cells) else 2)

    @property
    def gpus_per_run(self) -> int:
        """The most that a run still to do asks for."""
        return max((cell.cell.specs[0].recipe.gpus_per_run for cell in self.cells if cell.left), default=1)


def make_plan(grid: Grid, display: Display) -> Plan:
    """Load the data and compare the grid with MLflow; make nothing.

    Raises:
        StudyError: the data set can't be used, or MLflow can't be reached.
    """
    dataset = load_dataset(grid.points[0].dataset, progress=display.loading)
    plan = _plan(grid, dataset, display)
    _say_notes(dataset.notes, display)
    return plan


def _say_notes(notes: Iterable[str], display: Display) -> None:
    """Say how the images were split and which files aren't read: once nothing stands in the way of the study."""
    for note in notes:
        display.say(note)


def _plan(grid: Grid, dataset: Dataset, display: Display) -> Plan:
    facts = DataFacts.of(dataset)
    if facts.skipped:
        display.warn(f"{facts.skipped} image files can't be used and are skipped; `study data stats` lists them")
    store = Store.find(grid.name)
    records = store.records() if store else []
    for line in [*store.left_out, missing_files_warning(grid.name, store.uri)] if store else ():
        if line:
            display.warn(line)
    plan = Plan(facts, plan_cells(make_cells(grid, facts), facts, records, grid), records)
    for line in made_otherwise(plan.cells, records, facts.fingerprint):
        display.warn(line)
    return plan


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
    """Run everything of a grid that isn't a result yet, beside any other launcher that is at work on it.

    `text` and `command` are the grid file and the command line, kept with the study, once something begins, so that it
    can be made again; with `only_search`, learning rates are found and nothing else is run.

    Raises:
        StudyError: the data, MLflow, Optuna's storage or the device can't be used.
    """
    asked = grid.points[0].dataset
    dataset = load_dataset(asked, progress=display.loading)
    plan = _plan(grid, dataset, display)
    store = Store(grid.name)
    retry = store.retry
    retry.on_wait = lambda why, seconds: _wait_a_little(display, why, seconds)
    root = study_folder(store.uri)
    checkpoints = root / "mlruns" / ".checkpoints" / grid.name
    checkpoints.mkdir(parents=True, exist_ok=True)
    storage = grid.tune.storage or sqlite_uri(root / "optuna.db")
    leases = Leases(storage, this_process(), grid.name, retry=retry)
    leases.sweep()
    _close_stale(store, plan.records, leases, checkpoints)
    if leases.acquire("data"):
        written = store.records_of(dataset.fingerprint, "dataset")  # by now: another launcher may just have done it
        record_data(store, dataset, asked.root, written, display)
        leases.release("data")
    notes = dataset.notes
    del dataset  # the workers load it themselves
    hardware = hardware or Hardware()
    apart = hardware.executor != "local" and not store.keeps_folders
    executor, force = choose_place(hardware, plan.jobs, plan.gpus_per_run, None if apart else checkpoints)
    book = SpeedBook(force, plan.facts)
    speeds, _ = speeds_of(plan.cells, book)
    timed = in_seconds(plan.cells, speeds, book, plan.facts, grid)
    recorder = Recorder(
        store, grid, plan.facts, plan.records, Command.now(command, text), threads=force.threads, apart=apart
    )
    cells = Cells(grid, timed, plan.facts, _search_opener(grid, storage, retry), leases, only_search=only_search)
    if not cells.states:
        executor.close()
        recorder.note_effect()
        return Summary(earlier=cells.done_before)
    _say_notes(notes, display)
    most = "up to " if executor.caller else ""
    display.say(
        f"workers: {most}{len(force.devices)} ({', '.join(dict.fromkeys(force.devices))}); "
        f"stop at any time with Ctrl-C and run the same command again: it goes on"
    )
    for state in cells.states:
        spec = state.plan.cell.specs[0]
        state.replicas = replicas_of(spec, force, plan.facts, speeds.get(book.key(spec)))
        state.mixes = state.replicas > 1 and not force.devices[0].startswith("cpu")
    pool = Pool(executor, force.devices, max(state.replicas for state in cells.states))
    launcher = Launcher(cells, recorder, pool, display, checkpoints, leases, limits or Limits())
    display.plan(sum((0 if only_search else cell.runs_cost) + cell.search_cost(grid.tune.trials) for cell in timed))
    retry.on_wait, retry.on_recovered = launcher.hearing.meanwhile, launcher.hearing.back

    def leave() -> None:
        display.warn("left without waiting any longer; nothing is lost: run the same command again and it goes on")
        display.close()
        pool.kill()

    with stopped_by_signals(launcher.stop, leave):
        try:
            return launcher.run()
        finally:
            pool.close()
            retry.on_wait = _wait_no_more
            with suppress(RetryTimeout):  # what stays RUNNING in MLflow is closed at the next start
                launcher.close_records()


def _wait_a_little(display: Display, why: str, seconds: float) -> None:
    """Wait for what is away before anything has begun, not for long.

    Raises:
        RetryTimeout: it stayed away.
    """
    if seconds >= START_SECONDS:
        raise RetryTimeout(f"{why}; waited {START_SECONDS:.0f} s")
    if seconds >= TELL_SECONDS:
        display.say_once(f"waiting for {why}")
    time.sleep(1.0)


def _wait_no_more(why: str, _seconds: float) -> None:
    raise RetryTimeout(why)


def _search_opener(grid: Grid, storage: str, retry: Retry) -> Callable[[str, str], Search]:
    """Return the function that opens a cell's search in Optuna's storage."""
    store = SearchStore(storage, retry)

    def open_search(name: str, key: str) -> Search:
        return store.search(f"{grid.name}/{name}/{key[:8]}", grid.tune, seed=zlib.crc32(key.encode()))

    return open_search


def _close_stale(store: Store, records: list[StoredRun], leases: Leases, checkpoints: Path) -> None:
    """Close runs that a launcher left RUNNING when it was killed: nobody holds a lease of theirs."""
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
