"""Workers as processes of this machine."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import sleep

from study.launch.executors.base import Devices, Exit, Worker
from study.launch.worker.failure import log_tail
from study.launch.worker.process import main
from study.track.scratch import scratch_folder

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that does what the option -P does: `multiprocessing` can't be told to add an option."""
DUMP_SECONDS = 0.5
"""A hanging worker gets so long to print the stacks of its threads."""


class LocalWorker:
    """A spawned process: forks don't mix with threads and CUDA."""

    def __init__(self, process: SpawnProcess, connection: Connection, devices: Devices, log: Path) -> None:
        self.process = process
        self.connection = connection
        self.devices = devices
        self._log = log

    def terminate(self) -> None:
        """Send SIGTERM; see `Worker`."""
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()

    def dump_stacks(self) -> None:
        """Send SIGUSR1, at which it prints the stacks to its log."""
        with suppress(OSError, TypeError):
            os.kill(self.process.pid or 0, signal.SIGUSR1)
            sleep(DUMP_SECONDS)

    def wait(self, seconds: float) -> Exit:
        """Wait, kill it if it takes too long, and read its log; see `Worker`."""
        self.process.join(max(0.0, seconds))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        text = log_tail(self._log)
        with suppress(OSError):
            self._log.unlink()
        return Exit(self.process.exitcode, text)


class LocalExecutor:
    """Starts workers on this machine."""

    max_pending = 1_000_000
    """They all start at once."""
    resources = ""
    accept = None

    def __init__(self, threads: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._threads = threads
        self._logs = scratch_folder("study-workers-")
        self._started = 0

    def start(self, devices: Devices) -> LocalWorker:
        self._started += 1
        log = Path(self._logs.name) / f"{self._started}.log"
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, devices, self._threads, log), daemon=True)
        with _sheltered():
            process.start()
        theirs.close()
        return LocalWorker(process, ours, devices, log)

    def exited(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return nothing: the end of a process is the end of its pipe."""
        return []

    def rejection(self, info: Mapping[str, str]) -> str:
        return ""

    def close(self) -> None:
        self._logs.cleanup()


@contextmanager
def _sheltered() -> Iterator[None]:
    """Start processes that get no Ctrl-C, and import no modules from the working folder.

    Not even while they load their modules: a user's own `random.py` may lie there.
    """
    paths = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    resource_tracker.ensure_running()  # its start, else a part of the first process's, lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.environ.pop(SAFE_PATH)
        if paths is not None:
            os.environ[SAFE_PATH] = paths
