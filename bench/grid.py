"""A whole grid: its estimate against its true time, what the launcher costs, and another version's time, in one call.

    python bench/grid.py [--grid digits] [--set KEY=VALUE ...] [--before TREE]

`TREE` is a checkout of another version, which runs the same grid first. Each has a folder of its own, so that all is
done anew. The launcher's time is in seconds of a processor, of its own thread; children's is that of all workers.
"""

import argparse
import contextlib
import io
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from processes import environment_of
from timing import timed

ROOT = Path(__file__).resolve().parents[1]


def study(tree: Path, folder: str, *words: str) -> tuple[float, str]:
    """Run the program of a tree in a folder; return seconds and all that it printed."""
    environment = environment_of(tree, STUDY_CACHE=f"{folder}/cache")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "study", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr[-2000:]}")
    return time.perf_counter() - began, done.stdout + done.stderr


def watched(owner: type, spent: dict[str, float]) -> None:
    """Add the processor seconds of each public method of a class to `spent`."""
    for name, method in list(vars(owner).items()):
        if not name.startswith("_") and callable(method) and not isinstance(method, classmethod):
            setattr(owner, name, timed(method, f"{owner.__name__}.{name}", spent, time.thread_time))


def launch(folder: str, grid: str, changes: tuple[str, ...]) -> None:
    """Run a grid in this process with its launcher watched, and print what it cost."""
    from rich.console import Console

    from study.config import load_grid
    from study.launch.display import Display
    from study.launch.run_grid import run_grid
    from study.track.store import Store
    from study.tune import Search

    os.chdir(folder)
    before = _children()
    logging: dict[str, float] = {}
    searching: dict[str, float] = {}
    watched(Store, logging)
    watched(Search, searching)
    held: list[float] = []
    end = Store.end

    def noted(*given: Any, **named: Any) -> None:
        end(*given, **named)
        held.append(psutil.Process().memory_info().rss / 2**20)

    Store.end = noted  # type: ignore[method-assign]
    with contextlib.redirect_stderr(io.StringIO()), Display(Console(file=io.StringIO()), quiet=True) as display:
        began = time.perf_counter()
        summary = run_grid(load_grid(grid, changes), display)
        seconds = time.perf_counter() - began
    children = _children() - before
    runs = f"{summary.finished + summary.diverged} runs, {summary.trials} trials"
    print(f"run grid alone: {seconds:.0f} s; {runs}; workers {children:.0f} s of a processor")
    tenth, half = held[len(held) // 10], held[len(held) // 2]
    print(
        f"  launcher, MiB: {tenth:.0f} after a tenth of the runs and trials, {half:.0f} half-way, {held[-1]:.0f} last"
    )
    for what, spent in (("MLflow", logging), ("searches", searching)):
        print(f"  {what}: {sum(spent.values()):.1f} s, {sum(spent.values()) / children:.2%} of the workers' time")


def _children() -> float:
    """Return the processor seconds of all that this process has started, forks of the server of workers among it."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return usage.ru_utime + usage.ru_stime + sum(sum(times[:4]) for times in alive)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", default="digits")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--before", type=Path, help="a checkout of another version")
    given = parser.parse_args()
    words = ["--grid", given.grid, *(word for change in given.set for word in ("--set", change))]
    seconds = {}
    for name, tree in (("before", given.before), ("now", ROOT)):
        if tree is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            if name == "now":
                _, said = study(tree, folder, "run", *words, "--dry-run")
                print(next((line for line in said.splitlines() if line.startswith("about")), said), flush=True)
            seconds[name], said = study(tree, folder, "run", *words)
            counts = re.search(r"^\d+ runs and .*", said, re.MULTILINE)
            print(f"{name}: {seconds[name]:.0f} s as a process ({counts[0] if counts else ''})", flush=True)
            if name == "now":
                print(f"  status: {study(tree, folder, 'status')[0]:.2f} s")
    if len(seconds) == 2:
        print(f"ratio: {seconds['before'] / seconds['now']:.2f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        launch(folder, given.grid, tuple(given.set))


if __name__ == "__main__":
    main()
