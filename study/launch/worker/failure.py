"""Why a task or a rank failed, and whether the machine is the cause."""

import signal
import traceback
from dataclasses import dataclass
from pathlib import Path

from study.config.own_nets import place_in_own_nets

LOG_BYTES = 64 * 1024
"""Maximal bytes kept of the end of a log."""
SIGNAL_HINTS = {
    signal.SIGKILL: " (out of memory?)",
    signal.SIGBUS: " (a data file was cut short, or a disk is full?)",
    signal.SIGSEGV: " (a fault in a library: its log says where)",
    signal.SIGXFSZ: " (a file grew beyond a limit)",
}


@dataclass(frozen=True)
class Failure:
    """The failure of a task, or of a rank of a run over several GPUs. A worker sends it to its launcher."""

    task: str
    cause: str
    """The cause, in a line."""
    traceback: str
    out_of_memory: bool = False
    """Whether the device ran out of memory."""
    transient: bool = False
    """Whether the machine is the cause, not the run: the next attempt may succeed."""
    joined: bool = False
    """Whether the worker trained other runs at the same time."""

    @classmethod
    def of(cls, task: str, error: Exception, *, joined: bool = False) -> "Failure":
        """Describe the error that ended a task."""
        from study.train import out_of_memory

        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        cause = ": ".join(filter(None, (place_in_own_nets(error), cause)))
        text = "".join(traceback.format_exception(error))
        return cls(task, cause, text, out_of_memory(error), isinstance(error, OSError), joined)


def log_tail(log: Path) -> str:
    """Return the end of a log; "" where it can't be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def describe_exit(code: int, log: str) -> str:
    """Say how a process ended: by which signal, or with which exit code and last line of its log."""
    if code >= 0:
        return f"ended with exit code {code}{last_line(log) if code else ''}"
    try:
        name = signal.Signals(-code)
    except ValueError:
        return f"was killed by signal {-code}"
    return f"was killed by {name.name}{SIGNAL_HINTS.get(name, '')}"


def last_line(log: str) -> str:
    """Return the last line of a log after a colon; "" where the log is empty."""
    return ": ".join(["", *log.strip().splitlines()[-1:]])
