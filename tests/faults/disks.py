"""A small disk of a test's own, which can be filled up and made read-only."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from study.launch import run_grid


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """Yield the folder of a file system in memory, of this size; skip the test where none can be mounted."""
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        words = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder]
        try:
            subprocess.run(words, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a file system can't be mounted here: that takes root")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def give_up_soon(_: str) -> None:
    """Let this process wait a second for databases when it starts, not twenty."""
    run_grid.START_SECONDS = 1.0


def fill(disk: Path) -> Path:
    """Leave no room on a disk, or again where some was freed; return the file that takes it."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def make_read_only(disk: Path, *, on: bool) -> None:
    """Let nothing be written to a disk, or let it be again; nothing may have a file open there for writing."""
    subprocess.run(["mount", "-o", f"remount,{'ro' if on else 'rw'}", os.fspath(disk)], check=True)
