"""Workers as processes of this machine."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import sleep

from study.launch.executors.base import Devices, Executor, Exit
from study.launch.worker.failure import log_tail
from study.launch.worker.process import main
from study.track.processes import scratch_folder

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that has the effect of the option -P, which `multiprocessing` can't pass."""
DUMP_SECONDS = 0.5
"""Seconds that a hanging worker has to print the stacks of its threads."""
FORKS = sys.platform == "linux"
"""Whether workers on a CPU are forked, from a server that has no threads; CUDA doesn't work in forks."""
PRELOAD = ["study.launch.worker.process", "study.train", "study.data", "study.nets", "torch._dynamo"]
"""Modules that the server preloads so that workers start fast; creating an optimizer imports the last one."""


class LocalWorker:
    """A process of this machine, with the pipe to it."""

    def __init__(self, process: BaseProcess, connection: Connection, devices: Devices, log: Path) -> None:
        self.process = process
        self.connection = connection
        self.devices = devices
        self._log = log

    def terminate(self) -> None:
        """Send SIGTERM; see `Worker`."""
        if self.process.is_alive():  # a fork is not this process's child: its number may be another's by now
            self.process.terminate()

    def kill(self) -> None:
        if self.process.is_alive():
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


class LocalExecutor(Executor):
    """Starts workers on this machine; the end of a process is the end of its pipe."""

    def __init__(self, threads: int, per_card: int = 1) -> None:
        """Start workers of so many threads, of which `per_card` share a GPU."""
        self._threads = threads
        self._per_card = per_card
        self._logs = scratch_folder("study-workers-")
        self._started = 0

    def start(self, devices: Devices) -> LocalWorker:
        self._started += 1
        log = Path(self._logs.name) / f"{self._started}.log"
        try:
            return self._start(devices, log, forked=FORKS and devices[0] == "cpu")
        except (EOFError, ConnectionError):  # the server has died, from its imports or lack of memory
            return self._start(devices, log, forked=False)

    def _start(self, devices: Devices, log: Path, *, forked: bool) -> LocalWorker:
        launcher_end, worker_end = multiprocessing.Pipe()
        arguments = (worker_end, devices, self._threads, self._per_card, log)
        process: BaseProcess
        if forked:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(PRELOAD)
            process = context.Process(target=main, args=arguments, daemon=True)
        else:
            process = multiprocessing.get_context("spawn").Process(target=main, args=arguments, daemon=True)
        with worker_end, sheltered(server=forked):
            process.start()
        return LocalWorker(process, launcher_end, devices, log)

    def close(self) -> None:
        self._logs.cleanup()


@contextmanager
def sheltered(*, server: bool = False) -> Iterator[None]:
    """Start processes that get no Ctrl-C, and import no modules from the working folder.

    This includes the start of Python: the working folder may hold a `random.py` of the user's. A `server` of forks also
    ignores all other signals to its group, since it must outlast the workers; the workers unblock them again.
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
