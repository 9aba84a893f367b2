"""A report of 200 runs of 500 logged steps: from a cold start to a finished page, in seconds by phase.

    python bench/report.py              (makes the study in a temporary folder first, which takes minutes)
    python bench/report.py --folder F   (keeps it in F, or takes the one that is there)
    python bench/report.py --server     (the same through a tracking server on this machine)

The study is a real one in MLflow's own database, but for the training: every run, search and trial goes through the
launcher's `RunLogger` as events, as `study run` writes them. `study report` then runs as a process of its own.
"""

import argparse
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from processes import environment_of
from rich.console import Console
from timing import timed

ROOT = Path(__file__).resolve().parents[1]
GRID = """
name: bench
dataset: digits
recipe: {{epochs: {steps}, lr: tune}}
tune: {{trials: 8}}
grid:
  architecture: [plain, residual]
  depth: [20, 32, 44, 56, 110]
  seed: {seeds}
"""
FINAL = {20: 1.3, 32: 1.5, 44: 2.6, 56: 5.8, 110: 60.0}
"""Final training error of plain nets in percent, as in the paper's Figure 6; residual nets end at a tenth of it."""


def make(folder: Path, seeds: int, steps: int) -> None:
    """Write the study to `folder`/mlflow.db as `study run` would."""
    from study.config import parse_grid
    from study.config.command import Command
    from study.data import load_dataset
    from study.launch.dataset_record import record_data
    from study.launch.display import Display
    from study.launch.plan.cells import DataFacts, plan_cells
    from study.launch.scheduler.job import CellState
    from study.launch.scheduler.run_logger import RunLogger
    from study.track.store import Store
    from study.tune import Trial, trial_spec

    text = GRID.format(steps=steps, seeds=list(range(seeds)))
    grid = parse_grid(text, "bench.yaml")
    dataset = load_dataset(grid.points[0].dataset)
    facts = DataFacts.of(dataset)
    store = Store(grid.name, f"sqlite:///{folder / 'mlflow.db'}")
    with Display(Console(stderr=True), quiet=True) as display:
        record_data(store, dataset, None, [], display)
    run_logger = RunLogger(store, grid, facts, [], Command.now("study run --grid bench.yaml", text))
    random = np.random.default_rng(0)
    for cell in plan_cells(grid, facts, []):
        state = CellState(cell, None, [])
        spec = cell.specs[0]
        state.search_run_id = run_logger.begin_search(state, None)
        for number, rate in enumerate(np.geomspace(0.001, 1, grid.tune.trials)):
            trial = Trial(number, {"lr": float(rate)})
            job = run_logger.begin_trial(state, trial_spec(spec, trial.point, grid.tune, facts.train_images), trial)
            _train(run_logger, job, facts, 20, random, folder)
        point = {"lr": 0.1}
        run_logger.end_search(state, (point, 0.1))
        for spec in cell.specs:
            _train(run_logger, run_logger.begin_run(state, spec.with_recipe(**point)), facts, steps, random, folder)
        print(f"{cell.name}: {len(cell.specs)} runs written", flush=True)


def _train(run_logger, job, facts, steps: int, random: np.random.Generator, folder: Path) -> None:  # type: ignore[no-untyped-def]
    """Pass a run's events to the logger, in batches of 100 points."""
    from study.events import Epoch, Finished, Started

    spec, per_epoch = job.spec, facts.train_images // 128
    total = steps * per_epoch
    run_logger.started(job, Started(0, total, "cpu", "fp32", ()))
    level = FINAL[spec.depth] if spec.architecture == "plain" else FINAL[spec.depth] / 10
    final = float(level * random.uniform(0.9, 1.1))
    for i in range(1, steps + 1):
        done = i / steps
        error = final + (88 - final) * np.exp(-12 * done) + random.normal(0, 0.02 * final)
        error = float(np.clip(error, 0, 100))
        rate = spec.recipe.lr * (1 if done < 0.5 else 0.1 if done < 0.75 else 0.01)
        job.add(
            Epoch(
                step=i * per_epoch, epoch=float(i), lr=rate, train_error=error, train_loss=error / 40,
                test_error=min(100.0, error + 7), test_loss=error / 40 + 0.2, validation_error=error + 6,
                validation_loss=error / 40 + 0.1, images_per_second=9000 / spec.depth, seconds=float(i), memory_mib=500,
                time=1.7e9 + i,
            )
        )  # fmt: skip
        if i % 100 == 0:
            run_logger.flush(job)
    end = Finished(total, final, final / 40, final, min(100.0, final + 7), 0.3, None, final + 6, 0.2, 60.0)
    run_logger.result(job, end, folder / "none", final / 40 if job.kind == "trial" else None)
    run_logger.close(job)


PHASES = {
    "study.cli.status.list_studies": "find the study",
    "study.track.snapshot.find_experiment": "find the study",
    "study.track.snapshot.read_runs": "read runs",
    "study.track.client.connect": "open the store",
    "study.track.frames.read_curves": "read histories",
    "study.track.datasets.datasets_of": "read data sets",
    "study.report.build.judge": "statistics",
    "study.report.searches.choices": "statistics",
    "study.report.build.draw_variant": "figures",
    "study.report.data_section.draw_data_figures": "figures",
    "study.report.build._results": "page",
    "study.report.build.write_table": "page",
    "study.report.build.render": "page",
}
"""The calls of each phase; none of them stands inside another."""


def phases(out: Path) -> None:
    """Write the report of the newest study as the command does, and print the seconds of each phase."""
    start = time.perf_counter()
    import study.cli.report as commands
    from study.track.find import newest_study

    modules = {name: importlib.import_module(name.rpartition(".")[0]) for name in PHASES}
    spent = {"import": time.perf_counter() - start}
    for name, phase in PHASES.items():
        call = name.rpartition(".")[2]
        setattr(modules[name], call, timed(getattr(modules[name], call), phase, spent))
    commands.read_and_write([newest_study()], commands.ReportOptions(out))
    spent["the rest"] = time.perf_counter() - start - sum(spent.values())
    for phase, seconds in spent.items():
        print(f"| {phase} | {seconds:.1f} |")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the address of MLflow's tracking server on the database in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "mlruns"), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def clock(uri: str, out: Path) -> None:
    """Time `study report` and `study status` as processes of their own, then the report's phases in a third."""
    environment = environment_of(ROOT, MLFLOW_TRACKING_URI=uri)
    for words in (["report", "--out", str(out)], ["status"]):
        start, before = time.perf_counter(), os.times()
        command = [sys.executable, "-m", "study", *words]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"study {words[0]}: {time.perf_counter() - start:.1f} s, of which on a core {busy:.1f} s")
    command = [sys.executable, __file__, "--phases", str(out)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith("|")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the study is kept; default a temporary folder")
    parser.add_argument("--server", action="store_true", help="read through a tracking server")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--phases", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.phases:
        phases(arguments.phases)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "mlflow.db").exists():
            start = time.perf_counter()
            make(folder, arguments.seeds, arguments.steps)
            print(f"written in {time.perf_counter() - start:.0f} s")
        if arguments.server:
            with server(folder) as address:
                clock(address, Path(temporary) / "report")
        else:
            clock(f"sqlite:///{folder / 'mlflow.db'}", Path(temporary) / "report")


if __name__ == "__main__":
    main()
