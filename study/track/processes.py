"""Name a process by machine, number and start, so that others can tell whether it is alive; its temporary folders."""

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


def this_process() -> str:
    """Return the name of this process: host, system, number and start (numbers are reused)."""
    return _name(os.getpid())  # cached: needed for every run, and slow


@lru_cache(maxsize=1)
def _name(pid: int) -> str:
    return f"{socket.gethostname()}:{_system()}:{pid}:{_start('self' if BOOT.exists() else pid)}"


def is_dead(name: str) -> bool:
    """Whether the process of this name is known to be dead.

    The state of processes of another machine, of an earlier boot of this one, or of another PID namespace (another
    container) is unknown.
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
    """Return the scope in which process numbers and starts can be compared: a boot of a kernel, and namespaces.

    On other systems than Linux it is the host.
    """
    if not BOOT.exists():
        return socket.gethostname()
    inodes = [(PROC / "self/ns" / kind).stat().st_ino for kind in ("pid", "time") if (PROC / "self/ns" / kind).exists()]
    return ".".join([BOOT.read_text(encoding="ascii").strip(), *map(str, inodes)])


def _start(pid: int | str) -> str:
    """Return when a process began, by a counter that clock changes don't affect; "" if it has ended.

    Raises:
        OSError: there is none, or it can't be seen.
        psutil.Error: the same on other systems than Linux.
    """
    if not BOOT.exists():
        process = psutil.Process(int(pid))
        return "" if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    fields = stat.rpartition(")")[2].split()  # a command's name may hold anything
    return "" if fields[STATE] in "ZX" else fields[START]


def _sees_itself() -> bool:
    """Whether `/proc` shows the numbers of this process's namespace, not of the one that it was mounted in."""
    return not BOOT.exists() or (PROC / "self").readlink() == Path(str(os.getpid()))


def _is_hidden(pid: int) -> bool:
    """Whether a process is alive that `/proc` doesn't show (`hidepid`)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # a process of another user
    return True


def scratch_folder(prefix: str, within: Path | None = None) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder named after this process, in the system's place for them or `within` another.

    Delete folders with the same prefix of dead processes: a killed process can't do it itself.
    """
    _delete_leftovers(prefix, within or Path(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f"{prefix}{this_process()}-", dir=within, ignore_cleanup_errors=True)


@lru_cache
def _delete_leftovers(prefix: str, folder: Path) -> None:
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid() and is_dead(path.name.removeprefix(prefix).rpartition("-")[0]):
                shutil.rmtree(path)
