"""Runs that are held in the middle, wherever they are at work, so that what is killed then has surely not ended."""

import os
from pathlib import Path

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
                run.heeded(stop)
                time.sleep(0.05)
            run.heeded(stop)
        run.heed = heed
    return module

builtins.__import__ = patched
"""


class Hold:
    """Holds runs after their first iterations, by what each Python process loads that is started from now on."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Hold none yet; `folder` is for this alone."""
        self._folder = folder
        (folder / "sitecustomize.py").write_text(HELD)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))

    def begin(self) -> None:
        """Let no run go on from here."""
        (self._folder / "hold").touch()

    def until_held(self, workers: int) -> None:
        """Wait until this many workers are each in the middle of a run or trial."""
        wait_for(lambda: len(list(self._folder.glob("held-*"))) >= workers)

    def let_go(self) -> None:
        """Let all go on."""
        (self._folder / "hold").unlink()
