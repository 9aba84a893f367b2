"""What an error that broke a run says of the machine."""

import errno
import re

TOO_LITTLE_MEMORY = re.compile(
    r"out of memory|ALLOC(ATION)?_FAILED|(can't|cannot) allocate memory|not enough memory", re.IGNORECASE
)
"""In the words of CUDA, of its libraries (`CUBLAS_STATUS_ALLOC_FAILED`, NCCL's), of PyTorch on a CPU, and of Linux."""


def out_of_memory(error: Exception) -> bool:
    """Whether a device, or the machine itself, had too little memory left.

    PyTorch's allocator on a GPU raises a class of its own. What else takes memory there raises `AcceleratorError` or a
    plain `RuntimeError`, as PyTorch's allocator on a CPU does: their words alone tell them from other errors.
    """
    import torch

    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and TOO_LITTLE_MEMORY.search(str(error)) is not None
