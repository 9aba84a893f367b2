"""Where a report goes: a folder that is built beside its place and swapped in whole."""

import ctypes
import errno
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from study.errors import StudyError

MARKS = ("index.html", "verdict.json")
"""Files by which a folder is known as a report, and may be replaced by a newer one."""
PARTS = (*MARKS, "figures", "tables")
LOCK_SECONDS = 600.0
"""How long another process that writes the same report is waited for."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux: paths are taken from the working folder; two paths change places in one step."""
NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a kernel or file system says that can't exchange paths."""


@contextmanager
def swapped_in(out: Path) -> Iterator[Path]:
    """Yield a new, empty folder that takes the place of `out` once the block has ended well.

    Write the whole report or nothing. Replace an older report; leave other files beside it alone. What a process
    that was killed left halfway is put right first.

    Raises:
        StudyError: `out` holds something that isn't a report, is a disk of its own, or another process writes there.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        _recover(out)
        _check(out)
        new = out.with_name(f".{out.name}.new-{os.getpid()}")
        new.mkdir()
        try:
            yield new
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        with _uninterrupted():
            _swap(new, out)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    lock = out.with_name(f".{out.name}.lock")
    try:
        with FileLock(lock, timeout=LOCK_SECONDS):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
    except Timeout:
        raise StudyError(f"another process writes the report {out}: wait for its end, or give another folder") from None


def _check(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StudyError(f"{out} is a file: give a folder for the report")
    if out.is_mount():
        raise StudyError(f"{out} is a disk of its own, which can't be swapped: give a folder in it, {out / 'report'}")
    if out.is_dir() and any(out.iterdir()) and not all((out / name).is_file() for name in MARKS):
        raise StudyError(f"{out} holds other files than a report: give a new or empty folder")


def _recover(out: Path) -> None:
    """Put right what a process that was killed left beside `out`: its older report, or other files that lay in it."""
    ours = re.compile(rf"\.{re.escape(out.name)}\.(new|old)-\d+")
    left = [path for path in out.parent.iterdir() if ours.fullmatch(path.name)]
    for path in sorted(left, key=lambda path: (".old-" not in path.name, -path.stat().st_mtime)):
        if not out.exists() and (".old-" in path.name or _others(path)):
            path.rename(out)
        else:
            _empty(path, out)


def _swap(new: Path, out: Path) -> None:
    """Put `new` in the place of `out`, with what else lies in `out`."""
    if not out.exists():
        new.rename(out)
        return
    old = new
    if not _exchange(new, out):
        old = out.with_name(f".{out.name}.old-{os.getpid()}")
        out.rename(old)
        try:
            new.rename(out)
        except OSError:
            old.rename(out)
            raise
    _empty(old, out)


def _empty(old: Path, out: Path) -> None:
    """Delete an older report, or half of one; what else lies there goes to `out`, beside what has its name there."""
    for entry in _others(old):
        entry.rename(_free(out / entry.name))
    for name in PARTS:
        part = old / name
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
    with suppress(OSError):  # a file that was put there just now stays there until the next report
        old.rmdir()


def _others(folder: Path) -> list[Path]:
    """Return what lies in a report's folder and isn't part of the report."""
    return [entry for entry in folder.iterdir() if entry.name not in PARTS]


def _free(path: Path) -> Path:
    """Return a path at which nothing is: `path`, or else one with a number behind its name."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(2))
    return next(free for free in chain([path], numbered) if not os.path.lexists(free))


def _exchange(a: Path, b: Path) -> bool:
    """Let two paths change places in one step; return False where this system or disk has no such step.

    Raises:
        OSError: it has, and refuses.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or a C library from before 2018
        return False
    if call(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(b))


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
