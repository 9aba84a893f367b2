"""Code of a test's own in processes of the program: of those that train, or by names that the program imports."""

import os
from pathlib import Path

HOOK = """
import builtins, pathlib, sys
here = pathlib.Path(__file__).parent
real = builtins.__import__

def patched(name, *args, **kwargs):
    module = real(name, *args, **kwargs)
    run = sys.modules.get("study.train.run")
    if hasattr(run, "run_steps") and not hasattr(run, "wrapped"):
        run.wrapped = True
        wrap(run)
    return module

builtins.__import__ = patched
"""


TAKEN = (
    "json",
    "pickle",
    "queue",
    "random",
    "resource",
    "select",
    "signal",
    "socket",
    "ssl",
    "struct",
    "psutil",
    "pydantic",
    "sitecustomize",
    "study",
    "torch",
)


def shadow(folder: Path) -> None:
    """Put files into a working folder that have the names of modules, and break whoever imports them."""
    for name in TAKEN:
        (folder / f"{name}.py").write_text(f'raise ImportError("{name}.py of the working folder")\n')


def sabotage(folder: Path, code: str) -> str:
    """Return the PYTHONPATH with which processes call `wrap`, as `code` defines it, on `study.train.run` once loaded.

    Functions there may use `here`, the folder.
    """
    (folder / "sitecustomize.py").write_text(code + HOOK)
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
