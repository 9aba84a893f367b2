"""Who writes a run: a process by its system, number and start, so that others can tell whether it still lives."""

import getpass
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

PROC = Path("/proc")
BOOT = PROC / "sys/kernel/random/boot_id"
STATE, START = 0, 19
"""Fields of `/proc/PID/stat` after the command's name: fields 3 and 22 of proc(5)."""


def owner() -> str:
    """Return this process: host, system, number, and when it began (numbers of processes come round)."""
    return _owner(os.getpid())  # asked for with every run, and slow to find out


@lru_cache(maxsize=1)
def _owner(pid: int) -> str:
    return f"{socket.gethostname()}:{_system()}:{pid}:{_start('self' if BOOT.exists() else pid)}"


def is_gone(name: str) -> bool:
    """Whether an owner is known to be dead.

    Nothing is known of processes of another machine, of an earlier boot of this one, or of another PID namespace
    (another container).
    """
    _, system, pid, start = (name.split(":") + 4 * [""])[:4]
    if system != _system() or not pid.isdecimal() or not _sees_itself():
        return False
    try:
        return _start(int(pid)) != start
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return not _is_hidden(int(pid))
    except (OSError, psutil.Error):
        return False


def _system() -> str:
    """Return within what numbers of processes and their starts can be compared: a boot of a kernel, and namespaces.

    Elsewhere than on Linux it's the host.
    """
    if not BOOT.exists():
        return socket.gethostname()
    inodes = [(PROC / "self/ns" / kind).stat().st_ino for kind in ("pid", "time") if (PROC / "self/ns" / kind).exists()]
    return ".".join([BOOT.read_text(encoding="ascii").strip(), *map(str, inodes)])


def _start(pid: int | str) -> str:
    """Return when a process began, by a count that no change of the clock alters; nothing where it has ended.

    Raises:
        OSError: there is none, or it can't be seen.
        psutil.Error: the same elsewhere than on Linux.
    """
    if not BOOT.exists():
        process = psutil.Process(int(pid))
        return "" if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    fields = stat.rpartition(")")[2].split()  # a command's name may hold anything
    return "" if fields[STATE] in "ZX" else fields[START]


def _sees_itself() -> bool:
    """Whether `/proc` has the numbers of this process's namespace, not of the one that it was mounted in."""
    return not BOOT.exists() or (PROC / "self").readlink() == Path(str(os.getpid()))


def _is_hidden(pid: int) -> bool:
    """Whether a process lives that `/proc` doesn't show (`hidepid`)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # another user's
    return True


def scratch_folder(prefix: str, within: Path | None = None) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder that bears this process's name, in the system's place for them or `within` another.

    Those that dead processes left under the same prefix are deleted: who is killed can't do it.
    """
    _sweep(prefix, within or Path(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f"{prefix}{owner()}-", dir=within, ignore_cleanup_errors=True)


@lru_cache
def _sweep(prefix: str, folder: Path) -> None:
    for left in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if left.lstat().st_uid == os.getuid() and is_gone(left.name.removeprefix(prefix).rpartition("-")[0]):
                shutil.rmtree(left)


def source_tags() -> dict[str, str]:
    """Return who started a run, with what: the columns of the same name in MLflow's pages."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}
