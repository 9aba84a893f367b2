"""Workers as processes of this machine."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import sleep

from study.launch.executors.base import End, Worker, end_of
from study.launch.worker.process import main
from study.track.scratch import scratch_folder

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that does what the option -P does: `multiprocessing` can't be told to add an option."""
DUMP_SECONDS = 0.5
"""What a silent worker is given to leave the stacks of its threads."""
FORKS = sys.platform == "linux"
"""Whether workers on a CPU are forked, from a server that has no threads; CUDA doesn't work in forks."""
PRELOAD = ["study.launch.worker.process", "study.train", "study.data", "study.nets", "torch._dynamo"]
"""What the server loads so that each worker begins at once; the last is what an optimizer loads when it is made."""


class LocalWorker:
    """A process of this machine, with the pipe to it."""

    def __init__(self, process: BaseProcess, connection: Connection, device: str, log: Path) -> None:
        """Take over a process that was started, and the log that it writes."""
        self.process = process
        self.connection = connection
        self.device = device
        self._log = log

    def leave(self) -> None:
        """Send SIGTERM; see `Worker`."""
        if self.process.is_alive():  # a fork is not this process's child: its number may be another's by now
            self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.process.is_alive():
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
        self._threads = threads
        self._logs = scratch_folder("study-workers-")
        self._started = 0

    def start(self, device: str) -> LocalWorker:
        """Start a worker."""
        self._started += 1
        log = Path(self._logs.name) / f"{self._started}.log"
        try:
            return self._start(device, log, forked=FORKS and device.startswith("cpu"))
        except (EOFError, ConnectionError):  # the server has died: of what it loads, or for want of memory
            return self._start(device, log, forked=False)

    def _start(self, device: str, log: Path, *, forked: bool) -> LocalWorker:
        ours, theirs = multiprocessing.Pipe()
        given = (theirs, device, self._threads, log)
        process: BaseProcess
        if forked:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(PRELOAD)
            process = context.Process(target=main, args=given, daemon=True)
        else:
            process = multiprocessing.get_context("spawn").Process(target=main, args=given, daemon=True)
        with theirs, sheltered(server=forked):
            process.start()
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
def sheltered(*, server: bool = False) -> Iterator[None]:
    """Let processes started meanwhile get no Ctrl-C, and take no modules from the working folder.

    Not even while they load their modules: a user's own `random.py` may lie there. A `server` of forks gets no other
    signal to its whole group either, since it must outlast the workers; they let these through again.
    """
    paths = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    resource_tracker.ensure_running()  # its start, else a part of the first process's, lets Ctrl-C through again
    blocked = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM} if server else {signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.environ.pop(SAFE_PATH)
        if paths is not None:
            os.environ[SAFE_PATH] = paths
