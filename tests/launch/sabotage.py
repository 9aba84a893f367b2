"""Code of a test's own in every process of the program that loads a module, wherever it is started."""

import os
from pathlib import Path

HOOK = """
import builtins, pathlib, sys
here = pathlib.Path(__file__).parent
real = builtins.__import__

def patched(name, *args, **kwargs):
    module = real(name, *args, **kwargs)
    loaded = sys.modules.get("MODULE")
    if hasattr(loaded, "LAST") and not hasattr(loaded, "wrapped"):
        loaded.wrapped = True
        wrap(loaded)
    return module

builtins.__import__ = patched
"""


def sabotage(folder: Path, code: str, module: str = "study.train.run", last: str = "course") -> str:
    """Return the PYTHONPATH with which processes call `wrap`, as `code` defines it, on a module once it is loaded.

    That is when it has the name `last`. Functions there may use `here`, the folder.
    """
    (folder / "sitecustomize.py").write_text(code + HOOK.replace("MODULE", module).replace("LAST", last))
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
