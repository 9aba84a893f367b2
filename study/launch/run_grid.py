"""From a grid to its runs: load the data, plan against MLflow, start workers, run, close."""

import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from study.config import Grid
from study.data import Dataset, load_dataset
from study.errors import StudyError
from study.launch.cells import Cells
from study.launch.data_record import record_data
from study.launch.devices import choose_workforce
from study.launch.display import Display
from study.launch.launcher import Launcher, Summary
from study.launch.plan import CellPlan, DataFacts, make_cells, plan_cells
from study.launch.pool import Pool
from study.launch.record import Recorder
from study.track import Record, Store, describe, study_folder
from study.tune import Search, SearchStore


@dataclass(frozen=True)
class Plan:
    """A grid set against what MLflow has."""

    facts: DataFacts
    cells: list[CellPlan]
    records: list[Record]


def make_plan(grid: Grid, display: Display) -> Plan:
    """Load the data and compare the grid with MLflow; make nothing.

    Raises:
        StudyError: the data set can't be used, or MLflow can't be reached.
    """
    return _plan(grid, load_dataset(grid.points[0].dataset, progress=display.loading), display)


def _plan(grid: Grid, dataset: Dataset, display: Display) -> Plan:
    facts = DataFacts.of(dataset)
    if facts.skipped:
        display.warn(f"{facts.skipped} image files can't be used and are skipped; `study data stats` lists them")
    store = Store.find(grid.name)
    records = store.records() if store else []
    return Plan(facts, plan_cells(make_cells(grid, facts), facts, records, grid.tune), records)


def run_grid(
    grid: Grid, display: Display, *, device: str = "auto", workers: int | None = None, text: str = "", command: str = ""
) -> Summary:
    """Run everything of a grid that isn't a result yet.

    `text` and `command` are the grid file and the command line, kept with the study so that it can be made again.

    Raises:
        StudyError: the data, MLflow or the device can't be used, or another launcher runs this study.
    """
    asked = grid.points[0].dataset
    dataset = load_dataset(asked, progress=display.loading)
    plan = _plan(grid, dataset, display)
    store = Store(grid.name)
    root = study_folder(store.uri)
    checkpoints = root / "mlruns" / ".checkpoints" / grid.name
    checkpoints.mkdir(parents=True, exist_ok=True)
    with _only_launcher(checkpoints / "launcher.lock", grid.name):
        describe(
            store.client,
            store.experiment_id,
            grid=text,
            command=command,
            smallest_effect=grid.smallest_effect,
        )
        _close_stale(store, plan.records)
        record_data(store, dataset, asked.root, plan.records, display)
        del dataset  # the workers load it themselves
        cells = Cells(grid, plan.cells, plan.facts, _search_opener(grid, root))
        if not cells.states:
            return Summary(earlier=cells.done_before)
        jobs = sum(len(cell.left) for cell in plan.cells) * (1 if all(cell.rate for cell in plan.cells) else 2)
        force = choose_workforce(device, workers, jobs)
        display.say(
            f"workers: {len(force.devices)} ({', '.join(dict.fromkeys(force.devices))}); "
            f"stop at any time with Ctrl-C and run the same command again: it goes on"
        )
        pool = Pool(force.devices, force.threads)
        recorder = Recorder(store, grid, plan.facts, plan.records)
        launcher = Launcher(cells, recorder, pool, display, checkpoints)
        display.plan(sum(cell.runs_cost + cell.search_cost(grid.tune.trials) for cell in plan.cells))
        try:
            with _signals(launcher, pool):
                return launcher.run()
        finally:
            pool.close()
            launcher.close_records()


def _search_opener(grid: Grid, root: Path) -> Callable[[str, str], Search]:
    """Return the function that opens a cell's search in Optuna's database, beside MLflow's."""
    store = SearchStore(f"sqlite:///{root / 'optuna.db'}")

    def open_search(name: str, key: str) -> Search:
        return store.search(f"{grid.name}/{name}/{key[:8]}", grid.tune, seed=zlib.crc32(key.encode()))

    return open_search


def _close_stale(store: Store, records: list[Record]) -> None:
    """Mark runs that a launcher left RUNNING when it was killed: under the lock, none of this study's can be alive."""
    for record in records:
        if record.status == "RUNNING":
            store.end(record.run_id, "interrupted")


@contextmanager
def _only_launcher(path: Path, study: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyError(f"another `study run` is at work on '{study}' here; let it end, or stop it first") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _signals(launcher: Launcher, pool: Pool) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the grid cleanly; a second one leaves at once."""
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            pool.kill()
            raise KeyboardInterrupt
        asked = True
        launcher.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
