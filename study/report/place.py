"""Where a report goes: a folder that is built beside its place and swapped in whole."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from study.errors import StudyError

MARKS = ("index.html", "verdict.json")
"""Files by which a folder is known as a report, and may be replaced by a newer one."""
PARTS = (*MARKS, "figures", "tables")


@contextmanager
def swapped_in(out: Path) -> Iterator[Path]:
    """Yield a new, empty folder that takes the place of `out` once the block has ended well.

    A report is there whole or not at all. An older one is replaced; other files beside it are kept.

    Raises:
        StudyError: `out` holds something that isn't a report.
    """
    _check(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f".{out.name}.new-{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        with _uninterrupted():
            _swap(new, out)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _check(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StudyError(f"{out} is a file: give a folder for the report")
    if out.is_dir() and any(out.iterdir()) and not all((out / name).is_file() for name in MARKS):
        raise StudyError(f"{out} holds other files than a report: give a new or empty folder")


def _swap(new: Path, out: Path) -> None:
    """Put `new` in the place of `out`, with what else lies in `out`."""
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    if not out.exists():
        new.rename(out)
        return
    out.rename(old)
    try:
        new.rename(out)
    except OSError:
        old.rename(out)
        raise
    for entry in old.iterdir():
        if entry.name not in PARTS:
            entry.rename(out / entry.name)
    shutil.rmtree(old)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block ends: in the middle of a swap neither report has its place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    ends = (signal.SIGINT, signal.SIGTERM)
    before = {end: signal.signal(end, lambda number, frame: held.append((number, frame))) for end in ends}
    try:
        yield
    finally:
        for end, handler in before.items():
            signal.signal(end, handler)
    if held and callable(handler := before[signal.Signals(held[0][0])]):
        handler(*held[0])
