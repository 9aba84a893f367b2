"""Runs that are held right after a checkpoint, wherever they are at work: what is killed then has surely not ended."""

from pathlib import Path
from types import TracebackType

import pytest

from tests.launch.processes import wait_for
from tests.launch.sabotage import sabotage

HELD = """
import os, threading, time

def mark(what):
    (here / f"{what}-{os.getpid()}").touch()

def wrap(run):
    saved = []
    real_raise, saving, finding = run.raise_if_stopped, run.save_checkpoint, run.find_checkpoint
    def raise_if_stopped(stop):
        while saved and (here / "hold").exists():
            if not any("_send" in thread.name for thread in threading.enumerate()):  # it is in the store, too
                mark("held")
            time.sleep(0.05)  # deaf to whoever asks it to stop
        real_raise(stop)
    def save(path, values):
        saving(path, values)
        saved.append(path)
    def find(path, device):
        found = finding(path, device)
        if found.values:
            mark("resumed")
        return found
    run.raise_if_stopped, run.save_checkpoint, run.find_checkpoint = raise_if_stopped, save, find
"""


class Hold:
    """Within its block, runs stop after their first checkpoint, by what each Python process loads.

    They do nothing then, not even put themselves away when they are told to. The end of the block lets all go on.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Prepare the processes that are started from now on; `folder` is for this alone."""
        self._folder = folder
        patch.setenv("PYTHONPATH", sabotage(folder, HELD))

    def __enter__(self) -> "Hold":
        for mark in self._folder.glob("*-*"):
            mark.unlink()
        (self._folder / "hold").touch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._folder / "hold").unlink()

    def until_held(self, workers: int) -> None:
        """Wait until this many workers are each in the middle of a run or trial, and its checkpoint is stored."""
        wait_for(lambda: len(list(self._folder.glob("held-*"))) >= workers)

    @property
    def resumed(self) -> bool:
        """Whether a run has gone on from a checkpoint since the block was entered."""
        return any(self._folder.glob("resumed-*"))
