"""Planning a grid of 1,000 runs against a database of 10,000: seconds by part, beside MLflow's own search of its runs.

    python bench/plan.py [--runs 10000]

The database is MLflow's, with runs, parameters, tags and last metrics as `study run` leaves them: one is written by the
launcher's recorder, the others are its copies with keys of their own, and a tenth of the grid's runs are among them.
"""

import argparse
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from rich.console import Console

GRID = """
name: plan
dataset: digits
recipe: {epochs: 4}
grid:
  architecture: [plain, residual]
  depth: [8, 14, 20, 26, 32]
  lr: [0.01, 0.02, 0.05, 0.1, 0.2]
  seed: [%s]
"""


@contextmanager
def timed(what: str, found: dict[str, float]) -> Iterator[None]:
    """Add the seconds of a block."""
    began = time.perf_counter()
    yield
    found[what] = time.perf_counter() - began


def copy(path: Path, run: str, keys: list[str]) -> None:
    """Write a run's rows again, once for each key."""
    tables = {"tags": "run_uuid", "params": "run_uuid", "latest_metrics": "run_uuid", "runs": "run_uuid"}
    with closing(sqlite3.connect(path)) as database:
        ids = [(uuid.uuid4().hex, key) for key in keys]
        database.execute("CREATE TEMP TABLE new (id TEXT, key TEXT)")
        database.executemany("INSERT INTO new VALUES (?, ?)", ids)
        for table, column in tables.items():
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            chosen = ", ".join("new.id" if name == column else f"{table}.{name}" for name in names)
            database.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM {table}, new WHERE {column} = ?", (run,)
            )
        database.execute(
            "UPDATE tags SET value = (SELECT key FROM new WHERE id = run_uuid)"
            " WHERE key = 'study.run_key' AND run_uuid IN (SELECT id FROM new)"
        )
        database.commit()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    given = parser.parse_args()

    from study.config import parse_grid
    from study.data import load_dataset
    from study.events import Finished
    from study.launch.plan.cells import DataFacts, make_cells, plan_cells
    from study.launch.scheduler.job import CellState
    from study.launch.scheduler.run_logger import Recorder
    from study.nets import build_net, count
    from study.track.find import search_runs
    from study.track.snapshot import take_snapshot
    from study.track.store import Store

    found: dict[str, float] = {}
    with torch.device("meta"):
        count(build_net("plain-8", 10), (3, 8, 8))  # what the first count imports is no planning
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        store = Store("plan", f"sqlite:///{path}")
        with timed("parse the grid", found):
            grid = parse_grid(GRID % ", ".join(map(str, range(20))), "bench")
        facts = DataFacts.of(load_dataset("digits"))
        with timed("its cells, sizes counted", found):
            cells = make_cells(grid, facts)
        recorder = Recorder(store, grid, facts, [])
        state = CellState(plan_cells(cells, facts, [], grid)[0], {"lr": 0.01}, [])
        job = recorder.begin_run(state, cells[0].specs[0])
        recorder.result(job, Finished(10, 1.0, 0.1, 1.0, 2.0, 0.2, None, 2.0, 0.2, 60.0), Path(folder) / "none")
        recorder.close(job)
        known = [spec.run_key(facts.fingerprint) for spec in grid.runs()[10::10]]
        copy(path, job.run_id, known + [uuid.uuid4().hex[:20] for _ in range(given.runs - len(known) - 1)])
        with timed("read the database", found):
            records = store.records()
        with timed("compare", found):
            plans = plan_cells(cells, facts, records, grid)
        whole = sum(found.values())
        with timed("read it by MLflow's client", found):
            search_runs(store.client, store.experiment_id)
        with timed("read it for `study status`", found):
            take_snapshot("plan", store.uri)
        done = sum(len(plan.done) for plan in plans)
        Console().print(f"{len(grid.runs())} runs, {done} of them done, {len(records):,} in the database")
        for what, seconds in found.items():
            Console().print(f"| {what} | {seconds:.2f} |")
        Console().print(f"| planning: the first four | {whole:.2f} |")


if __name__ == "__main__":
    main()
