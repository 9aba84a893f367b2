"""Memory of the machine and of a GPU that a process holds, in MiB, and errors that say that there is too little."""

import errno
import gc
import re
import resource
import sys

import torch

MIB = 2**20
MEMORY_ERROR = re.compile(
    r"out of memory|ALLOC(ATION)?_FAILED|(can't|cannot) allocate memory|not enough memory"
    r"|NOT_INITIALIZED when calling `cublasCreate|unable to find an engine",
    re.IGNORECASE,
)
"""Error texts of CUDA, its libraries (`CUBLAS_STATUS_ALLOC_FAILED`, NCCL's), PyTorch on a CPU, and Linux.

The last two are what PyTorch says where cuBLAS finds no memory for its handle, and no convolution any for its buffers.
"""


def host_peak() -> float:
    """Return the peak of this process's memory on the machine."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MIB if sys.platform == "darwin" else 2**10)


def peak_memory(device: torch.device) -> float:
    """Return the peak memory: on a GPU PyTorch's since it was last reset, on a CPU that of the process."""
    return torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else host_peak()


def free_unused(device: torch.device) -> None:
    """Give a GPU's memory that this process holds and doesn't use to others; do nothing on a CPU."""
    if device.type == "cuda":
        gc.collect()  # graphs and nets that nobody holds any more: an error and its traceback hold each other
        torch.cuda.empty_cache()


def reset_gpu_peak(device: torch.device) -> float:
    """Free a GPU's unused memory, reset its peak, and return what PyTorch still holds."""
    if device.type != "cuda":
        return 0.0
    free_unused(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_reserved(device) / MIB


def gpu_peak(device: torch.device) -> float:
    """Return the most memory of a GPU that PyTorch has held since its peak was reset, graphs included."""
    return torch.cuda.max_memory_reserved(device) / MIB if device.type == "cuda" else 0.0


def gpu_free(device: torch.device) -> float:
    """Return a GPU's memory that no process holds: neither CUDA's contexts nor PyTorch's caches."""
    return torch.cuda.mem_get_info(device)[0] / MIB if device.type == "cuda" else 0.0


def out_of_memory(error: Exception) -> bool:
    """Whether a device, or the machine itself, ran out of memory.

    PyTorch's allocator on a GPU raises a class of its own. Libraries that allocate there raise `AcceleratorError` or a
    plain `RuntimeError`, as PyTorch's allocator on a CPU does: only the message distinguishes them from other errors.
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and MEMORY_ERROR.search(str(error)) is not None
