"""What a run ran on: versions, hardware, and the commit of the program."""

import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import psutil

import study

PACKAGES = ("torch", "torchvision", "mlflow", "optuna", "numpy", "pandas", "scipy", "scikit-learn", "pillow")


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """Return versions and hardware, in words."""
    import torch

    found = {"study": study.__version__, "commit": commit(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["system"] = platform.platform()
    found["processor"] = _processor()
    found["memory"] = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    if torch.cuda.is_available():
        found["gpu"] = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        found["cuda"] = str(torch.version.cuda)
    return found


@lru_cache(maxsize=1)
def commit() -> str:
    """Return the git commit of the program, `-dirty` where it has changes, or nothing where it isn't a checkout."""
    folder = Path(study.__file__).parent
    try:
        here = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return here + ("-dirty" if changed else "")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
