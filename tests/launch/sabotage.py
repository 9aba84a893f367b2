"""Code of a test's own in every process of the program that trains, wherever it is started."""

import os
from pathlib import Path

HOOK = """
import builtins, pathlib, sys
here = pathlib.Path(__file__).parent
real = builtins.__import__

def patched(name, *args, **kwargs):
    module = real(name, *args, **kwargs)
    run = sys.modules.get("study.train.run")
    if hasattr(run, "course") and not hasattr(run, "wrapped"):
        run.wrapped = True
        wrap(run)
    return module

builtins.__import__ = patched
"""


def sabotage(folder: Path, code: str) -> str:
    """Return the PYTHONPATH with which processes call `wrap`, as `code` defines it, on `study.train.run` once loaded.

    Functions there may use `here`, the folder.
    """
    (folder / "sitecustomize.py").write_text(code + HOOK)
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
