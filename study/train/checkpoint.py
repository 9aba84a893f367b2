"""Checkpoints on disk: written atomically, with a checksum; the previous one is kept too."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch

from study.errors import StudyError
from study.train.memory import out_of_memory

MARK = b"sha256:"
MARKED = len(MARK) + 64
"""Bytes of the comment at the end of the file: the mark and the checksum in hexadecimal digits."""
FORMAT = 2
"""Version of a checkpoint's content; increase it when that changes."""
LENGTH = 2
"""Bytes before it in which a zip archive says how long its comment is."""


@dataclass(frozen=True)
class CheckpointPlan:
    """The path of a run's checkpoint, and how often it is written."""

    path: Path
    every_seconds: float = 60.0


class DamagedCheckpoint(StudyError):
    """A file that this program didn't write: cut short, altered, or no checkpoint at all."""


class FoundCheckpoint(NamedTuple):
    """The newest intact checkpoint (None if there is none), and why newer ones were refused."""

    values: dict[str, Any] | None
    damaged: tuple[str, ...]


def previous(path: Path) -> Path:
    """Return the path of the checkpoint before the newest."""
    return path.with_stem(f"{path.stem}.previous")


def save_checkpoint(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to a new file, flush it to disk and rename it; keep the old file as `previous(path)`.

    A crash at any moment leaves at least one whole checkpoint. The file is PyTorch's, a zip archive; its comment is
    the SHA-256 of all bytes before it.

    Raises:
        OSError: the disk is full, or the folder can't be written to; the old files are unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    buffer = BytesIO()  # PyTorch can crash the process when it fills up the disk itself
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
        os.fsync(folder)  # flush the renames
    finally:
        os.close(folder)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint after comparing its checksum. Nothing but tensors and plain values is unpickled.

    Raises:
        DamagedCheckpoint: the checksum differs.
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
    except Exception as error:
        if out_of_memory(error) or isinstance(error, torch.AcceleratorError):
            raise  # of the device: the file is whole
        raise DamagedCheckpoint(f"{path} can't be read: {str(error).splitlines()[0]}") from None
    if values.pop("format", None) != FORMAT:
        raise DamagedCheckpoint(f"{path} was written by another version of this program")
    return values


def find_checkpoint(path: Path, device: torch.device) -> FoundCheckpoint:
    """Read the newest whole checkpoint of the two kept; delete damaged ones.

    Raises:
        OSError: a file can't be read.
    """
    damaged: list[str] = []
    for file in (path, previous(path)):
        try:
            return FoundCheckpoint(load_checkpoint(file, device), tuple(damaged))
        except FileNotFoundError:
            continue
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            file.unlink()  # else the next save would keep it as the previous one, in place of a whole one
    return FoundCheckpoint(None, tuple(damaged))
