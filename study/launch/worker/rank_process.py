"""A process that does a run together with a worker, as one of its ranks from 1 on, and ends with it.

It imports no MLflow and no Optuna. What it prints goes to a file, from which the worker takes it.
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

from pydantic import TypeAdapter

from study.config import ProbePlan, RunSpec
from study.launch.worker.failure import out_of_memory
from study.launch.worker.probes import prober

GONE_SECONDS = 0.5
"""How much later than the loss of a connection the worker's end may be noticed."""


@dataclass(frozen=True)
class Part:
    """What a rank is to do."""

    spec: RunSpec
    checkpoint: Path
    device: str
    rank: int
    threads: int
    folder: Path
    """Where the ranks of a run meet, and leave word."""
    probes: ProbePlan | None = None

    @classmethod
    def read(cls, line: bytes) -> "Part":
        """Return what `line` says."""
        return TypeAdapter(cls).validate_json(line)

    def line(self) -> bytes:
        """Return this as a line."""
        return TypeAdapter(Part).dump_json(self) + b"\n"

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return f"rank {self.rank} of {self.spec.recipe.gpus_per_run} ({self.device})"

    @property
    def meeting(self) -> Path:
        """The file at which the ranks meet."""
        return self.folder / "meeting"

    @property
    def ready(self) -> Path:
        """The file that says that this rank is ready to meet the others."""
        return self.folder / f"{self.rank}.ready"

    @property
    def log(self) -> Path:
        """The file with all that this rank prints."""
        return self.folder / f"{self.rank}.log"

    @property
    def broken(self) -> Path:
        """The file that says what broke this rank."""
        return self.folder / f"{self.rank}.broken"


@dataclass(frozen=True)
class Broken:
    """What broke a rank: the cause in a line, and what kind of cause it was, as in `Failed`."""

    cause: str
    out_of_memory: bool
    passing: bool


def main() -> None:
    """Do the part that is read from the standard input, which the worker holds open for as long as it lives."""
    faulthandler.enable()
    for word in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(word, signal.SIG_IGN)  # the worker is told when to stop, and all ranks stop with it
    part = Part.read(sys.stdin.buffer.readline())
    watch = threading.Thread(target=_end_with_worker, args=(part.folder,), daemon=True)
    watch.start()
    try:
        follow(part)
    except Exception as error:
        traceback.print_exc()
        _tell(part, error)
        watch.join(GONE_SECONDS)  # where the worker's death broke it, the worker's folder is to be removed
        _end(1)
    _end(0)


def follow(part: Part) -> None:
    """Go through a run as one of its ranks."""
    import torch

    from study.data import load_dataset, place
    from study.train import CheckpointPlan, joined, run, settle_cublas

    settle_cublas()
    torch.set_num_threads(part.threads)
    device = torch.device(part.device)
    dataset = place(load_dataset(part.spec.dataset), device)
    part.ready.touch()
    with joined(part.meeting, part.rank, part.spec.recipe.gpus_per_run, device) as group:
        checkpoint = CheckpointPlan(part.checkpoint)
        for _ in run(part.spec, dataset, device, checkpoint, probe=prober(part.probes), group=group):
            pass  # rank 0 says what happens


def _end(code: int) -> None:
    """End at once: an interpreter's own end takes a second, or for ever where a GPU waits for other ranks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_worker(folder: Path) -> None:
    """Wait until the worker lets go of this process, or dies: nothing that a rank computes is of use without it."""
    while os.read(0, 1):  # not through `sys.stdin`, whose lock would be held when this process ends by itself
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _tell(part: Part, error: Exception) -> None:
    cause = f"{type(error).__name__}: {error}".splitlines()[0]
    told = Broken(cause, out_of_memory(error), isinstance(error, OSError))
    partial = part.broken.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(asdict(told)), encoding="utf-8")
        partial.replace(part.broken)
    except OSError:
        pass  # it is in the log
