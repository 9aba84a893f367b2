"""Runs that are held in the middle, wherever they are at work, so that what is killed then has surely not ended."""

import os
from pathlib import Path
from types import TracebackType

import pytest

from tests.launch.processes import wait_for

HELD = """
import builtins, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
real = builtins.__import__
steps = 0

def patched(name, *args, **kwargs):
    module = real(name, *args, **kwargs)
    run = sys.modules.get("study.train.run")
    if hasattr(run, "heed") and not hasattr(run, "heeded"):
        run.heeded = run.heed
        def heed(stop):
            global steps
            steps += 1
            while steps >= 30 and (here / "hold").exists():
                (here / f"held-{os.getpid()}").touch()
                time.sleep(0.05)  # deaf to whoever asks it to stop
            run.heeded(stop)
        run.heed = heed
    return module

builtins.__import__ = patched
"""


class Hold:
    """Within its block, runs stop after their first iterations, by what each Python process loads.

    They do nothing then, not even put themselves away when they are told to. The end of the block lets all go on.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Prepare the processes that are started from now on; `folder` is for this alone."""
        self._folder = folder
        (folder / "sitecustomize.py").write_text(HELD)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))

    def __enter__(self) -> "Hold":
        (self._folder / "hold").touch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._folder / "hold").unlink()

    def until_held(self, workers: int) -> None:
        """Wait until this many workers are each in the middle of a run or trial."""
        wait_for(lambda: len(list(self._folder.glob("held-*"))) >= workers)
