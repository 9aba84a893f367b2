"""Which devices the workers compute on, and how many workers there are."""

from typing import NamedTuple

import torch

from study.data.decode_all import available_cores
from study.errors import StudyError
from study.launch.worker.rank_group import each_device, one_worker


class Workforce(NamedTuple):
    """A device for each worker, the CPU threads each may use, and how many runs of one net it trains as one."""

    devices: list[str]
    """Of a worker whose runs go over several, all of them in one (see `one_worker`)."""
    threads: int
    replicas: int | None = None
    """None where each net decides (see `replicas_of`)."""


def threads_of(worker: str, cpus: int) -> int:
    """Return the threads of each process of a worker, given by its devices, that has so many CPUs.

    On a CPU one, however many there are: results must not depend on it.
    """
    devices = each_device(worker)
    return 1 if devices[0] == "cpu" else max(1, cpus // len(devices))


def choose_workforce(
    device: str, workers: int | None, runs: int, replicas: int | None = None, gpus_per_run: int = 1
) -> Workforce:
    """Settle devices and workers: every GPU with one worker each, or every core with one thread each.

    Where runs go over several, a worker has as many of them, and GPUs are never shared.

    Args:
        device: `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`.
        workers: their number in all; None lets the hardware decide.
        runs: how much there is to do at once; no more workers are started than that.
        replicas: runs of one net that a worker trains as one; None lets each net decide.
        gpus_per_run: the most that a run asks for.

    Raises:
        StudyError: an unknown device, or one that this machine lacks, or too few of them for a run.
    """
    gpus = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cpu":
        count = min(workers or max(1, available_cores() // gpus_per_run), max(1, runs))
        # One thread, whatever the workers: results must not depend on them.
        return Workforce([one_worker(["cpu"] * gpus_per_run)] * count, 1, replicas)
    name, _, index = device.partition(":")
    if name != "cuda" or (index and not index.isdigit()):
        raise StudyError(f"--device {device}: there are auto, cpu, cuda and cuda:N")
    if not gpus or (index and int(index) >= gpus):
        raise StudyError(
            f"--device {device}: this machine has {gpus or 'no'} GPU{'s' * (gpus != 1)} that PyTorch can use"
        )
    single = [device] if index else [f"cuda:{i}" for i in range(gpus)]
    if gpus_per_run > len(single):
        there = f"--device {device} is one" if index else f"this machine has {gpus} that PyTorch can use"
        raise StudyError(
            f"'gpus_per_run: {gpus_per_run}' needs {gpus_per_run} GPUs, and {there}: "
            "ask for fewer in the recipe, or try it out with --device cpu"
        )
    starts = range(0, len(single) - gpus_per_run + 1, gpus_per_run)
    chosen = [one_worker(single[start : start + gpus_per_run]) for start in starts]
    if gpus_per_run > 1:
        workers = min(workers or len(chosen), len(chosen))  # ranks of two runs on one GPU could wait for each other
    count = min(workers or len(chosen), max(1, runs))
    threads = max(1, available_cores() // (count * gpus_per_run))
    return Workforce([chosen[i % len(chosen)] for i in range(count)], threads, replicas)
