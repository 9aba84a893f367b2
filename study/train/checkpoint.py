"""Checkpoints on disk: written whole or not at all, with a checksum, and the one before kept beside."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch

from study.errors import StudyError

MARK = b"sha256:"
MARKED = len(MARK) + 64
"""Bytes of the comment at the end of the file: the mark and the checksum in hexadecimal digits."""
FORMAT = 2
"""Version of a checkpoint's content; increase it when that changes."""
LENGTH = 2
"""Bytes before it in which a zip archive says how long its comment is."""


@dataclass(frozen=True)
class CheckpointPlan:
    """Where a run keeps its checkpoint, and how often it is written."""

    path: Path
    every_seconds: float = 60.0


class DamagedCheckpoint(StudyError):
    """A file that isn't what this program wrote: cut short, altered, or no checkpoint at all."""


class FoundCheckpoint(NamedTuple):
    """The newest intact checkpoint (None if there is none), and why newer ones were refused."""

    values: dict[str, Any] | None
    damaged: tuple[str, ...]


def previous(path: Path) -> Path:
    """Return where the checkpoint before the newest lies."""
    return path.with_stem(f"{path.stem}.previous")


def save_checkpoint(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to a new file, flush it to disk and rename it; what was at `path` is kept as `previous(path)`.

    A crash at any moment leaves one whole checkpoint at least. The file is PyTorch's, a zip archive; the SHA-256 of all
    that stands before is its comment.

    Raises:
        OSError: the disk is full, or the folder can't be written to; what was there is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    buffer = BytesIO()  # PyTorch's own writing to a file that fills up the disk can end the process
    torch.save({"format": FORMAT, **values}, buffer)
    body = buffer.getbuffer()[:-LENGTH]
    try:
        with partial.open("wb") as file:
            file.write(body)
            file.write(MARKED.to_bytes(LENGTH, "little") + MARK + hashlib.sha256(body).hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            path.replace(previous(path))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the renames themselves
    finally:
        os.close(folder)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint after comparing its checksum. Nothing but tensors and plain values is unpickled.

    Raises:
        DamagedCheckpoint: it isn't.
        OSError: it can't be read.
    """
    data = path.read_bytes()
    body, comment = data[: -MARKED - LENGTH], data[-MARKED:]
    if not comment.startswith(MARK):
        raise DamagedCheckpoint(f"{path} has no checksum at its end: it was cut short, or isn't a checkpoint")
    if comment.removeprefix(MARK) != hashlib.sha256(body).hexdigest().encode():
        raise DamagedCheckpoint(f"{path} was altered: its checksum is another")
    try:
        values: dict[str, Any] = torch.load(BytesIO(data), map_location=device, weights_only=True)
    except (MemoryError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise  # of the device: the file is whole
    except Exception as error:
        raise DamagedCheckpoint(f"{path} can't be read: {str(error).splitlines()[0]}") from None
    if values.pop("format", None) != FORMAT:
        raise DamagedCheckpoint(f"{path} was written by another version of this program")
    return values


def find_checkpoint(path: Path, device: torch.device) -> FoundCheckpoint:
    """Read the newest checkpoint that is whole, of the two kept; a damaged one is removed.

    Raises:
        OSError: one can't be read.
    """
    damaged: list[str] = []
    for file in (path, previous(path)):
        try:
            return FoundCheckpoint(load_checkpoint(file, device), tuple(damaged))
        except FileNotFoundError:
            continue
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            file.unlink()  # else it would be kept as the one before the next, in place of a whole one
    return FoundCheckpoint(None, tuple(damaged))
