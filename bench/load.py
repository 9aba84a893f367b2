"""A grid of thousands of tiny runs through the real program: what is lost, what grows, what slows down.

    python bench/load.py [--runs 2000] [--workers 8] [--store sqlite | postgresql] [--address postgresql+psycopg2://...]
    python bench/load.py --runs 300 --folder F --json F/load.json     (keeps the study and the figures)

`study run` is a process of its own, watched every second. When it has ended, all that it logged is counted in MLflow's
own tables against what the grid asks for, and what is missing, too much or different is named; the exit code is then 1.
PostgreSQL holds MLflow's tables and the leases; it is started on loopback, unless `--address` names an empty database.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from load_count import Counted, count_all
from processes import environment_of
from sqlalchemy import create_engine, text

ROOT = Path(__file__).resolve().parents[1]
GRID = """
name: load
dataset: {{name: digits, train_limit: 100, test_limit: 50}}
recipe: {{iterations: 10, evaluate_every: 1, batch_size: 16, width: 0.25}}
tune: {{storage: {storage}}}
grid:
  architecture: [plain, residual]
  depth: 8
  seed: {seeds}
"""
STAGE = 100
"""Runs in the first and in the last stretch that are compared."""


class Sample(NamedTuple):
    """What the program used at a moment (seconds since 1970): memory in MiB, the launcher's processor seconds."""

    at: float
    launcher: float
    workers: float
    processor: float


class Watch(threading.Thread):
    """Samples a process and its children every second until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.samples: list[Sample] = []

    def run(self) -> None:
        while True:
            try:
                workers = sum(_rss(child) for child in self._process.children(recursive=True))
                used = self._process.cpu_times()
                self.samples.append(Sample(time.time(), _rss(self._process), workers, used.user + used.system))
            except psutil.Error:
                return
            time.sleep(1)

    def at(self, moment: float) -> Sample:
        """Return the last sample before a moment."""
        return max((one for one in self.samples if one.at <= moment), default=self.samples[0])


def _rss(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


@contextmanager
def database(store: str, address: str | None, folder: Path) -> Iterator[str]:
    """Yield the address that MLflow's tables lie at."""
    if store == "sqlite":
        yield f"sqlite:///{folder / 'mlflow.db'}"
    elif address is not None:
        yield address
    else:
        sys.path.insert(0, str(ROOT))  # the tests know how to start a server
        from tests.postgres import postgres

        with postgres(durable=True) as started:
            yield started


def study(folder: Path, uri: str, *words: str) -> subprocess.Popen[str]:
    """Start the program in a folder; what it says goes to a file there."""
    environment = environment_of(ROOT, STUDY_CACHE=str(folder / "cache"), MLFLOW_TRACKING_URI=uri)
    with (folder / f"{words[0]}.txt").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "study", *words], text=True, stdout=said, stderr=subprocess.STDOUT,
            cwd=folder, env=environment,
        )  # fmt: skip


def clocked(folder: Path, uri: str, word: str, limit: float) -> float | None:
    """Return the seconds of a command on the study; None where it takes longer than `limit`, or fails."""
    began = time.perf_counter()
    process = study(folder, uri, word)
    try:
        done = process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        done = False
    return time.perf_counter() - began if done else None


def figures(watch: Watch, counted: Counted) -> dict[str, float]:
    """Set the samples against the runs' ends: speed, processor time and memory, early and late."""
    ends = counted.ends
    part = min(STAGE, len(ends) // 2)
    first, last = watch.at(ends[part - 1]), watch.at(ends[-1])
    begun, late = watch.at(ends[0]), watch.at(ends[-part])
    stretches = [ends[i : i + part + 1] for i in range(0, len(ends) - part, part)]
    return {
        "runs a second, first": (part - 1) / (ends[part - 1] - ends[0]),
        "runs a second, last": (part - 1) / (ends[-1] - ends[-part]),
        "runs a second, slowest stretch": min(part / (some[-1] - some[0]) for some in stretches),
        "runs a second, all": (len(ends) - 1) / (ends[-1] - ends[0]),
        "launcher, MiB after the first": first.launcher,
        "launcher, MiB half-way": watch.at(ends[len(ends) // 2]).launcher,
        "launcher, MiB at the end": last.launcher,
        "workers, MiB after the first": first.workers,
        "workers, MiB at the end": late.workers,
        "launcher's processor, ms a run, first": 1000 * (first.processor - begun.processor) / (part - 1),
        "launcher's processor, ms a run, last": 1000 * (last.processor - late.processor) / (part - 1),
        "launcher's processor, ms a run, all": 1000 * (last.processor - begun.processor) / (len(ends) - 1),
    }


def size(uri: str, folder: Path) -> float:
    """Return how many MiB the database takes."""
    if uri.startswith("sqlite"):
        return sum(file.stat().st_size for file in folder.glob("mlflow.db*")) / 2**20
    engine = create_engine(uri)
    with engine.connect() as connection:
        return float(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()) / 2**20


def load(folder: Path, uri: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run the grid, count what it left, and return all figures; what is wrong stands under `wrong`."""
    storage = f"'{uri}'" if not uri.startswith("sqlite") else "null"
    grid = GRID.format(storage=storage, seeds=list(range(given.runs // 2)))
    (folder / "load.yaml").write_text(grid)
    began = time.perf_counter()
    process = study(folder, uri, "run", "--grid", "load.yaml", "--workers", str(given.workers))
    watch = Watch(process.pid)
    watch.start()
    try:
        code = process.wait()
    finally:
        process.terminate()
    seconds = time.perf_counter() - began
    if code:
        said = (folder / "run.txt").read_text()[-3000:]
        raise SystemExit(f"study run ended with exit code {code}:\n{said}")
    counted = count_all(uri, folder, grid)
    found: dict[str, Any] = {"runs": len(counted.ends), "seconds, start to end": seconds}
    found |= figures(watch, counted)
    found |= {"database, MiB": size(uri, folder), "metric values": counted.values, "metric values asked": counted.asked}
    found |= {f"study {word}, seconds": clocked(folder, uri, word, 600) for word in ("status", "report")}
    return found | {"wrong": counted.wrong, "samples": watch.samples}


def show(found: dict[str, Any]) -> None:
    """Print the table, and what is wrong."""
    for what, value in found.items():
        if what not in ("wrong", "samples"):
            shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
            print(f"| {what} | {shown} |")
    wrong = found["wrong"]
    print(f"{len(wrong)} things are wrong" if wrong else "nothing is lost: runs, metrics, parameters, tags, artifacts")
    for line in wrong[:20]:
        print(f"  {line}")


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--address", help="an empty PostgreSQL database; default a server of its own")
    parser.add_argument("--folder", type=Path, help="where the study is kept; default a temporary folder")
    parser.add_argument("--json", type=Path, help="write all figures, and the sample of every second, to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with database(given.store, given.address, folder) as uri:
            found = load(folder, uri, given)
        if given.json:
            given.json.write_text(json.dumps(found, indent=1))
    show(found)
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
