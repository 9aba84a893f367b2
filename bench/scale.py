"""A thousand workers and thousands of runs, made up, through the real launcher: what it, MLflow and the leases take.

    python bench/scale.py [--runs 10000] [--workers 1000] [--store sqlite | postgresql | server]
    python bench/scale.py --runs 1000 --store server --server-workers 2

No process is started and nothing is trained: a pool that is made up says what each run would say, on a clock that
goes on as fast as the launcher listens. Launcher, cells, leases, records and MLflow are the real ones. *Load* is
the share of a made-up second that the launcher needs to take in what happens in it: over 1 it falls behind.
PostgreSQL, and MLflow's server, are started on loopback. What a disk takes to commit is left out unless asked for
(--durable): add it for each of the calls that are counted.
"""

import argparse
import contextlib
import importlib
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial, wraps
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
from scale_pool import Clock, MadeUpPool, Workload
from scale_stores import Place, artifact_bytes, contents, opened, processor_seconds

GRID = """
name: scale
dataset: {{name: digits, train_limit: 100, test_limit: 50}}
recipe: {{iterations: {iterations}, batch_size: 16, width: 0.25}}
tune: {{storage: "{storage}"}}
grid:
  architecture: [plain, residual]
  depth: [8, 14, 20, 26, 32]
  lr: {rates}
  seed: {seeds}
"""
SEEDS, NETS = 10, 10
STAGE = 100
"""Runs in the first and in the last stretch that are compared."""
PARTS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "leases": [("lease.Leases", ("acquire", "release", "renew"))],
    "is it done already": [("run_logger.RunLogger", ("is_done",))],
    "begin": [("store.Store", ("begin", "add_dataset", "add_params", "reopen"))],
    "points": [("store.Store", ("log_points",))],
    "end": [("store.Store", ("end",))],
    "artifacts": [("store.Store", ("add_texts", "add_text", "add_file", "add_folder"))],
    "choice of the next job": [("queue.WorkQueue", ("next_job",))],
    "the bench itself": [("pool", ("poll", "assign", "free"))],
}


class Timers:
    """Seconds by what they are spent on; what is called within another counts there alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inside: list[float] = []

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return `call`, timed."""

        @wraps(call)
        def within(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            self._inside.append(0.0)
            try:
                return call(*given, **named)
            finally:
                took = time.perf_counter() - began
                self.seconds[part] += took - self._inside.pop()
                self.calls[part] += 1
                if self._inside:
                    self._inside[-1] += took

        return within

    def iterated(self, part: str, call: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return a generator function whose steps are timed."""
        step = self.timed(part, lambda going: next(going, self))

        @wraps(call)
        def within(*given: Any, **named: Any) -> Iterator[Any]:
            going = call(*given, **named)
            while (found := step(going)) is not self:
                yield found

        return within

    def watch(self) -> None:
        """Time the program's parts from now on."""
        from study.launch.scheduler import lease, queue, run_logger
        from study.track import store

        classes = {
            "lease": lease.Leases,
            "run_logger": run_logger.RunLogger,
            "store": store.Store,
            "queue": queue.WorkQueue,
            "pool": MadeUpPool,
        }
        for part, places in PARTS.items():
            for place, names in places:
                owner: Any = classes[place.partition(".")[0]]
                for name in names:
                    wrap = self.iterated if name == "poll" else self.timed
                    setattr(owner, name, wrap(part, getattr(owner, name)))


class Watched:
    """The program's course: when each run was taken in, what the launcher used by then."""

    def __init__(self) -> None:
        self.began = 0.0
        self.ends: list[tuple[float, float]] = []
        """Seconds by the wall and of the processor."""
        self.memory_mib: list[float] = []
        self._process = psutil.Process()

    def start(self) -> None:
        """Begin: the first run is about to be given out."""
        self.began = time.perf_counter()
        self.memory_mib.append(self._process.memory_info().rss / 2**20)

    def ended(self) -> None:
        """Note that another run was taken in."""
        self.ends.append((time.perf_counter(), time.process_time()))
        if len(self.ends) % STAGE == 0:
            self.memory_mib.append(self._process.memory_info().rss / 2**20)

    def stretch(self, first: int, last: int) -> tuple[float, float]:
        """Return milliseconds a run, by the wall and of the processor, between two runs' ends."""
        (wall, processor), (wall_late, processor_late) = self.ends[first], self.ends[last]
        return 1000 * (wall_late - wall) / (last - first), 1000 * (processor_late - processor) / (last - first)


def grid_text(runs: int, storage: str) -> str:
    """Return a grid of so many runs, a multiple of a hundred: ten nets, ten seeds, as many rates as it takes."""
    rates = [round(0.001 * (number + 1), 4) for number in range(runs // (SEEDS * NETS))]
    return GRID.format(storage=storage, iterations=64000, rates=rates, seeds=list(range(SEEDS)))


def simulate(place: Place, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run the grid, and return the figures."""
    os.environ["MLFLOW_TRACKING_URI"] = place.tracking
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["STUDY_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    from rich.console import Console

    from study.config import parse_grid
    from study.launch.display import Display
    from study.launch.executors.base import Hardware
    from study.launch.scheduler import job

    clock, timers, watched = Clock(), Timers(), Watched()
    work = Workload(given.points, given.run_seconds, given.checkpoint_mib, given.checkpoint_seconds)
    template = folder / "checkpoint.pt"
    template.write_bytes(os.urandom(int(work.checkpoint_mib * 2**20)))
    pools: list[MadeUpPool] = []

    class CountedPool(MadeUpPool):
        def release(self, task: str) -> None:
            super().release(task)
            watched.ended()

    def make_pool(_executor: Any, devices: list[Any], *_: Any) -> MadeUpPool:
        pools.append(CountedPool(len(devices), work, clock, template))
        watched.start()
        return pools[-1]

    program: Any = importlib.import_module("study.launch.run_grid")
    program.WorkerPool = make_pool  # the one seam between the program and what is made up, but for the clock
    program.Leases = partial(program.Leases, clock=clock)
    vars(job)["time"] = clock
    grid = parse_grid(grid_text(given.runs, place.storage), "scale")
    timers.watch()
    began, serving = time.perf_counter(), processor_seconds(place.server)
    with Display(Console(file=StringIO()), quiet=True) as display:
        program.run_grid(grid, display, hardware=Hardware("cpu", given.workers, 1))
    seconds = time.perf_counter() - watched.began
    serving = processor_seconds(place.server) - serving
    made_up = clock.now - Clock().now
    found = contents(place)
    runs, points = len(watched.ends), pools[0].points
    steady = max(1, runs - min(given.workers, runs - 2) - 1)
    part = min(STAGE, steady)
    first, last = watched.stretch(0, part), watched.stretch(steady - part, steady)
    known = sum(timers.seconds.values())
    return {
        "runs": runs,
        "runs finished in MLflow": found.finished,
        "seconds before the first run": watched.began - began,
        "seconds": seconds,
        "made-up seconds": made_up,
        "load": seconds / made_up,
        "ms a run": 1000 * seconds / runs,
        "ms a run, first hundred": first[0],
        "ms a run, last hundred": last[0],
        "ms of a processor a run, first hundred": first[1],
        "ms of a processor a run, last hundred": last[1],
        "ms of a server's processor a run": 1000 * serving / runs,
        "runs a second": runs / seconds,
        "points a second": points / seconds,
        "metric values a second": found.metric_values / seconds,
        "metric values": found.metric_values,
        "database, bytes a run": found.database_bytes / runs,
        "database, bytes a metric value": found.database_bytes / max(1, found.metric_values),
        "artifacts, bytes a run": artifact_bytes(folder) / runs,
        "launcher, MiB at the first run": watched.memory_mib[0],
        "launcher, MiB at the last run": watched.memory_mib[-1],
        **{f"ms a run: {part}": 1000 * timers.seconds[part] / runs for part in PARTS},
        "ms a run: the launcher's own": 1000 * (seconds - known) / runs,
        **{f"calls a run: {part}": timers.calls[part] / runs for part in PARTS},
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10000, help="a multiple of 100")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument(
        "--points", type=int, default=164, help="of a run's curves; the paper's CIFAR-10 recipe has 164"
    )
    parser.add_argument("--run-seconds", type=float, default=600, help="that a run takes, on the made-up clock")
    parser.add_argument("--checkpoint-mib", type=float, default=0.25)
    parser.add_argument("--checkpoint-seconds", type=float, default=20)
    parser.add_argument("--store", choices=["sqlite", "postgresql", "server"], default="sqlite")
    parser.add_argument("--server-workers", type=int, default=2, help="processes of MLflow's server")
    parser.add_argument("--durable", action="store_true", help="PostgreSQL waits for the disk at each commit")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="scale-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        with opened(given.store, folder, given.server_workers, durable=given.durable) as place:
            found = simulate(place, folder, given)
        os.chdir(before)
    for what, value in found.items():
        print(f"| {what} | {value:,} |" if isinstance(value, int) else f"| {what} | {value:,.2f} |")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
