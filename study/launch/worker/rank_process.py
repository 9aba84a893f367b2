"""A process that trains a run together with a worker, as one of its ranks from 1 on, and ends with the run.

It imports no MLflow and no Optuna. Its output goes to a file, which the worker reads.
"""

import faulthandler
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from study.config import ProbePlan, RunSpec
from study.launch.worker.failure import Failure

if TYPE_CHECKING:
    from study.train import Prober

WORKER_EXIT_SECONDS = 0.5
"""Maximal seconds between the loss of the connection to the worker and the notice of its end."""


@dataclass(frozen=True)
class RankTask:
    """The task of a rank. `folder` is where the ranks of a run meet and leave files for each other."""

    spec: RunSpec
    checkpoint: Path
    device: str
    rank: int
    threads: int
    folder: Path
    probes: ProbePlan | None = None

    @classmethod
    def from_line(cls, line: bytes) -> "RankTask":
        return TypeAdapter(cls).validate_json(line)

    def to_line(self) -> bytes:
        return TypeAdapter(RankTask).dump_json(self) + b"\n"

    @property
    def name(self) -> str:
        return f"rank {self.rank} of {self.spec.recipe.gpus_per_run} ({self.device})"

    @property
    def meeting(self) -> Path:
        """File by which the ranks find each other."""
        return self.folder / "meeting"

    @property
    def ready(self) -> Path:
        """File that exists once this rank has loaded its data."""
        return self.folder / f"{self.rank}.ready"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.rank}.log"

    @property
    def failed(self) -> Path:
        """File with the `Failure` that broke this rank."""
        return self.folder / f"{self.rank}.failed"


def main() -> None:
    """Run the task read from standard input, which the worker keeps open as long as it lives."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the worker is asked to stop, and all ranks stop with it
    task = RankTask.from_line(sys.stdin.buffer.readline())
    watch = threading.Thread(target=_exit_with_worker, args=(task.folder,), daemon=True)
    watch.start()
    try:
        run_rank(task)
    except Exception as error:
        traceback.print_exc()
        _write_failure(task, error)
        watch.join(WORKER_EXIT_SECONDS)  # if the worker's death was the cause, the watcher removes the folder
        _exit(1)
    _exit(0)


def run_rank(task: RankTask) -> None:
    import torch

    from study.data import load_dataset, place
    from study.train import CheckpointPlan, joined, run, settle_cublas

    settle_cublas()
    torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    dataset = place(load_dataset(task.spec.dataset), device)
    task.ready.touch()
    with joined(task.meeting, task.rank, task.spec.recipe.gpus_per_run, device) as group:
        checkpoint = CheckpointPlan(task.checkpoint)
        for _ in run(task.spec, dataset, device, checkpoint, probe=make_prober(task.probes), group=group):
            pass  # rank 0 reports the events


def make_prober(plan: ProbePlan | None) -> "Prober":
    """Return the prober of a run, imported only if needed. Every rank has one, since all must take the same steps."""
    from study.train import no_probes

    if plan is None:
        return no_probes
    from study.probe import Prober

    return Prober(plan)


def _exit(code: int) -> None:
    """Exit at once: a regular exit takes a second, or forever while a GPU waits for other ranks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_with_worker(folder: Path) -> None:
    """Wait until the worker closes standard input or dies, then exit: without it a rank's work is useless."""
    while os.read(0, 1):  # not `sys.stdin`: its lock would be held at the exit of this process
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _write_failure(task: RankTask, error: Exception) -> None:
    partial = task.failed.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(asdict(Failure.of(task.name, error))), encoding="utf-8")
        partial.replace(task.failed)
    except OSError:
        pass  # the log has it
