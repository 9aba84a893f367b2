"""The real program as processes that tests start, watch, stop and kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from study.track.database import StoredRun
from study.track.store import Store
from tests.forks import start


def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


NAMED = (
    "import time; from study.track.processes import this_process; print(this_process(), flush=True); time.sleep(600)"
)


@contextmanager
def another_process(*before: str, reaped: bool = True) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Yield a process that lives, with its name as an owner; dead and not reaped it is a zombie.

    What stands `before` on its command line starts it elsewhere than here.
    """
    process = subprocess.Popen([*before, sys.executable, "-c", NAMED], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with process.stdout:
            name = process.stdout.readline().strip()
        yield name, process
    finally:
        process.kill()
        if reaped:
            process.wait()


PATIENCE = 300.0
"""Seconds after which a test gives up: a fault of the program, or else of the machine."""


def wait_for(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return a launcher's workers: forks of a server that is its child, or else its children."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children():
            with suppress(psutil.NoSuchProcess):
                words = child.cmdline()
                found += [fork for fork in child.children() if fork.cmdline() == words]
                found += [child] if "spawn_main" in " ".join(words) else []
    return found


def records(folder: Path, address: str | None = None) -> list[StoredRun]:
    """Return all that the study `g` has in MLflow, of whatever kind; nothing while its database is being made."""
    try:
        store = Store.find("g", address or uri(folder))
        return store.records() if store else []
    except Exception:
        return []


STARTED: list["Launcher"] = []
"""Those that a test began, so that none outlives it (see `no_launcher_is_left`)."""


class Launcher:
    """A `study run` in the background, whose messages can be read while it runs."""

    def __init__(self, folder: Path, name: str, *words: str, messages: Path | None = None, hook: str = "") -> None:
        """Start it on `g.yaml` with one worker; what it says goes to a file in `folder`, or in `messages`.

        `hook` is for `tests.forks.start`.
        """
        self.messages = (messages or folder) / f"{name}.txt"
        with self.messages.open("w") as out:
            self.process = start(
                ("run", "--grid", "g.yaml", "--workers", "1", *words),
                hook=hook,
                cwd=folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        STARTED.append(self)

    def says(self, text: str) -> bool:
        return text in self.messages.read_text()

    def until_it_says(self, text: str) -> None:
        wait_for(lambda: self.says(text) or self.process.poll() is not None)
        assert self.says(text), self.messages.read_text()

    def kill_all(self) -> None:
        """End it with its workers, suspended ones too, if that is still to be done."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill(self) -> None:
        """End it at once, as when memory runs out; its worker notices and ends by itself."""
        mine = workers(self.process)
        self.process.kill()
        self.process.wait()
        wait_for(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in mine))

    def end(self) -> str:
        """Wait for its end, which must be a good one; return all that it said."""
        code = self.process.wait(timeout=PATIENCE)
        said = self.messages.read_text()
        assert code == 0, said
        assert "Traceback" not in said
        return said
