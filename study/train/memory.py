"""Memory of the machine and of a GPU that a process holds, in MiB."""

import resource
import sys

import torch

MIB = 2**20


def host_peak() -> float:
    """Return the peak of this process's memory on the machine."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MIB if sys.platform == "darwin" else 2**10)


def peak_memory(device: torch.device) -> float:
    """Return the peak memory: on a GPU PyTorch's since it was last reset, on a CPU that of the process."""
    return torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else host_peak()


def reset_gpu_peak(device: torch.device) -> float:
    """Free a GPU's unused cached memory, reset its peak, and return what PyTorch still holds."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_reserved(device) / MIB


def gpu_peak(device: torch.device) -> float:
    """Return the most memory of a GPU that PyTorch has held since its peak was reset, graphs included."""
    return torch.cuda.max_memory_reserved(device) / MIB if device.type == "cuda" else 0.0


def gpu_room(device: torch.device) -> float:
    """Return a GPU's memory without that of CUDA's context and of other processes: held by PyTorch, or free."""
    if device.type != "cuda":
        return 0.0
    return (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)) / MIB
