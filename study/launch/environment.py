"""The environment of a run: versions, hardware, and this program's commit and digest."""

import hashlib
import os
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import psutil

import study
from study.track import tags as tag

PACKAGES = ("torch", "torchvision", "mlflow", "optuna", "numpy", "pandas", "scipy", "scikit-learn", "pillow")
DECIDES = ("nets", "train", "data", "names.py", "config/recipe.py", "config/spec.py")
"""Files and folders of the program whose code decides the result of a run with a given key."""
COVERED_BY_FINGERPRINT = frozenset(
    f"data/{name}.py"
    for name in (
        "cache cifar cifar_batches decode decode_all describe digits dogs_vs_cats download fashion_mnist files "
        "image_table image_tree labelled load npz parquet source splits"
    ).split()
)
"""Files among them that read and split images: the data's fingerprint already covers what they do."""
SWITCHES = ("OMP_", "MKL_", "DNNL_", "ONEDNN_", "ATEN_", "CUBLAS_", "CUDNN_", "NVIDIA_TF32_", "TORCH_ALLOW_TF32_")
"""Prefixes of variables by which libraries choose kernels, which round differently."""


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """Return versions and hardware by name, as text."""
    versions = {"study": study.__version__, "commit": commit(), "code": code(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    versions["system"] = platform.platform()
    versions["processor"] = _processor()
    versions["memory"] = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    versions |= _kernels()
    return {name: value for name, value in versions.items() if value}


@lru_cache(maxsize=1)
def code() -> str:
    """Return 12 hex digits that hash the source code in `DECIDES`: equal code gives equal digits."""
    return digest_of(Path(study.__file__).parent)


def digest_of(program: Path) -> str:
    """Return the digest of the program in a folder; it doesn't depend on line endings."""
    digest = hashlib.sha256()
    for part in DECIDES:
        for path in sorted((program / part).rglob("*.py")) if (program / part).is_dir() else [program / part]:
            name = path.relative_to(program).as_posix()
            if name not in COVERED_BY_FINGERPRINT:
                digest.update(f"{name}\0{path.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:12]


def torch_version() -> str:
    """Return PyTorch's version and build: `2.14.1+cu130`."""
    import torch

    return torch.__version__


def code_tags() -> dict[str, str]:
    """Return the tags with the digest of the code and PyTorch's version, which decide a run's result."""
    return {tag.CODE: code(), tag.TORCH: torch_version()}


def append_value(before: str, now: str) -> str:
    """Append `now` to the values that a tag lists in `before`, unless it is already the last of them."""
    known = before.split(tag.SEPARATOR) if before else []
    return before if known[-1:] == [now] else tag.SEPARATOR.join([*known, now])


@lru_cache(maxsize=1)
def commit() -> str:
    """Return the git commit of the program, `-dirty` if it has changes, or "" if it isn't a checkout."""
    git = ("git", "-C", str(Path(study.__file__).parent))
    head = _output(*git, "rev-parse", "HEAD")
    changed = _output(*git, "status", "--porcelain", "--untracked-files=no", "--", ".")
    if head is None or changed is None:
        return ""
    return head + ("-dirty" if changed else "")


def _output(*words: str) -> str | None:
    """Return what a command prints; None if it is missing or fails."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def _kernels() -> dict[str, str]:
    """Return what decides which kernels PyTorch chooses: kernels that add in another order round differently."""
    import torch

    built = (line.strip(" -") for line in torch.__config__.show().splitlines())
    libraries = [line for line in built if line.startswith(("Intel(R) oneAPI", "Intel(R) MKL-DNN", "OpenBLAS"))]
    switches = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(SWITCHES))
    kernels = {
        "torch": torch_version(),
        "cpu capability": str(torch.backends.cpu.get_cpu_capability()),
        "math libraries": ", ".join(line.partition(" (Git")[0].partition("-Product")[0] for line in libraries),
        "oneDNN": "on" if torch.backends.mkldnn.enabled else "off",
        "library settings": ", ".join(switches),
    }
    if torch.cuda.is_available():
        kernels["gpu"] = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        kernels["cuda"] = str(torch.version.cuda)
        kernels["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
        drivers = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        kernels["driver"] = ", ".join(dict.fromkeys((drivers or "").split()))
    return kernels
