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

from study.launch.executors.base import End, Worker, end_of
from study.launch.worker.process import main
from study.track.scratch import scratch_folder

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that does what the option -P does: `multiprocessing` can't be told to add an option."""
DUMP_SECONDS = 0.5
"""What a silent worker is given to leave the stacks of its threads."""


class LocalWorker:
    """A spawned process: forks don't mix with threads and CUDA."""

    def __init__(self, process: SpawnProcess, connection: Connection, device: str, log: Path) -> None:
        """Take over a process that was started, and the log that it writes."""
        self.process = process
        self.connection = connection
        self.device = device
        self._log = log

    def leave(self) -> None:
        """Send SIGTERM; see `Worker`."""
        self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()

    def dump(self) -> None:
        """Send SIGUSR1, at which it leaves the stacks in its log."""
        with suppress(OSError, TypeError):
            os.kill(self.process.pid or 0, signal.SIGUSR1)
            sleep(DUMP_SECONDS)

    def end(self, seconds: float) -> End:
        """Wait, kill where it takes too long, and read its log."""
        self.process.join(max(0.0, seconds))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        text = end_of(self._log)
        with suppress(OSError):
            self._log.unlink()
        return End(self.process.exitcode, text)


class LocalExecutor:
    """Starts workers on this machine."""

    at_once = 1_000_000
    """They are there at once."""
    wants = ""
    caller = None

    def __init__(self, threads: int) -> None:
        """`threads` is the number of CPU threads that each worker computes on."""
        self._context = multiprocessing.get_context("spawn")
        self._threads = threads
        self._logs = scratch_folder("study-workers-")
        self._started = 0

    def start(self, device: str) -> LocalWorker:
        """Start a worker."""
        self._started += 1
        log = Path(self._logs.name) / f"{self._started}.log"
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(theirs, device, self._threads, log), daemon=True)
        with _sheltered():
            process.start()
        theirs.close()
        return LocalWorker(process, ours, device, log)

    def gone(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return nothing: the end of a process is the end of its pipe."""
        return []

    def objection(self, where: Mapping[str, str]) -> str:
        """Object to nothing: it's this machine."""
        return ""

    def close(self) -> None:
        """Delete the logs."""
        self._logs.cleanup()


@contextmanager
def _sheltered() -> Iterator[None]:
    """Let processes started meanwhile get no Ctrl-C, and take no modules from the working folder.

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
