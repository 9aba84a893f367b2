"""Checkpoints on disk: written whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class CheckpointPlan:
    """Where a run keeps its checkpoint, and how often it is written."""

    path: Path
    every_seconds: float = 60.0


def save_checkpoint(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to a new file, flush it to disk and rename it: a crash leaves the old file or the new one whole.

    Raises:
        OSError: the disk is full, or the folder can't be written to; `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(dict(values), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read a checkpoint, or return None where there is none. Nothing but tensors and plain values is unpickled."""
    if not path.exists():
        return None
    values: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return values
