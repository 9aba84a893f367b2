"""Who writes a run: a process by its host, number and start, so that others can tell whether it still lives."""

import getpass
import os
import socket
from functools import lru_cache

import psutil


def owner() -> str:
    """Return this process: host, number, and when it began (numbers of processes come round)."""
    return _named(os.getpid())  # asked for with every run, and slow to find out


@lru_cache(maxsize=1)
def _named(number: int) -> str:
    return f"{socket.gethostname()}:{number}:{int(psutil.Process(number).create_time())}"


def source_tags() -> dict[str, str]:
    """Return who started a run, with what: the columns of the same name in MLflow's pages."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}


def is_gone(name: str) -> bool:
    """Whether an owner is known to be dead. Of another machine's processes nothing is known."""
    host, _, rest = name.partition(":")
    number, _, began = rest.partition(":")
    if host != socket.gethostname() or not number.isdecimal() or not began.isdecimal():
        return False
    try:
        process = psutil.Process(int(number))
        return bool(abs(process.create_time() - int(began)) >= 2 or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
