"""A run in a process of its own, by a hook of `tests.forks.start`."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from study.config import RunSpec
from study.data import load_dataset, place
from study.events import Epoch, Finished
from study.train import CheckpointPlan, load_checkpoint, run
from tests.forks import start

MEASURED = ("time", "seconds", "images_per_second", "memory_mib")
"""Fields of events that differ from run to run."""


def course(spec: RunSpec, path: Path, device: torch.device) -> Iterator[str]:
    """Train, with a checkpoint after every step; yield each event as a line, and one for each of the last weights."""
    for event in run(spec, place(load_dataset(spec.dataset), device), device, CheckpointPlan(path, every_seconds=0)):
        fields = vars(event) if isinstance(event, Epoch | Finished) else {}
        told = {name: value for name, value in fields.items() if name not in MEASURED}
        yield f"{type(event).__name__} {told}\n"
    for name, value in load_checkpoint(path, torch.device("cpu"))["net"].items():
        yield f"{name} {hashlib.sha256(value.numpy().tobytes()).hexdigest()}\n"


def train(text: str) -> None:
    """Print the course of a run; `text` is its device, its checkpoint's path and its specification."""
    device, path, spec = text.split(" ", 2)
    torch.set_num_threads(1)
    for line in course(RunSpec.model_validate_json(spec), Path(path), torch.device(device)):
        sys.stdout.write(line)
        sys.stdout.flush()


def begin(spec: RunSpec, path: Path, device: str = "cpu") -> "subprocess.Popen[Any]":
    """Start it in a process whose output is text of a pipe."""
    hook = f"tests.train.child:train {device} {path} {spec.model_dump_json()}"
    return start(("--version",), hook=hook, stdout=subprocess.PIPE, text=True)
