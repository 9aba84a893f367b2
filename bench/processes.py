"""The environment in which a bench starts the program as a process of its own."""

import os
from pathlib import Path


def environment_of(tree: Path, **more: str) -> dict[str, str]:
    """Return this process's environment, where `tree` is what `import study` finds; other packages stay in the path."""
    path = [str(tree), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(filter(None, path))}
