"""Which devices the workers compute on, and how many workers there are."""

from typing import NamedTuple

import torch

from study.data.cores import cores
from study.errors import StudyError


class Workforce(NamedTuple):
    """A device for each worker, the CPU threads each may use, and how many runs of one net it trains as one."""

    devices: list[str]
    threads: int
    replicas: int | None = None
    """None where each net decides (see `replicas_of`)."""


def choose_workforce(device: str, workers: int | None, runs: int, replicas: int | None = None) -> Workforce:
    """Settle devices and workers: every GPU with one worker each, or every core with one thread each.

    Args:
        device: `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`.
        workers: their number in all; None lets the hardware decide.
        runs: how much there is to do at once; no more workers are started than that.
        replicas: runs of one net that a worker trains as one; None lets each net decide.

    Raises:
        StudyError: an unknown device, or one that this machine lacks.
    """
    gpus = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cpu":
        count = min(workers or cores(), max(1, runs))
        return Workforce(
            ["cpu"] * count, 1, replicas
        )  # one thread, whatever the workers: results must not depend on them
    name, _, index = device.partition(":")
    if name != "cuda" or (index and not index.isdigit()):
        raise StudyError(f"--device {device}: there are auto, cpu, cuda and cuda:N")
    if not gpus or (index and int(index) >= gpus):
        raise StudyError(
            f"--device {device}: this machine has {gpus or 'no'} GPU{'s' * (gpus != 1)} that PyTorch can use"
        )
    chosen = [device] if index else [f"cuda:{i}" for i in range(gpus)]
    count = min(workers or len(chosen), max(1, runs))
    return Workforce([chosen[i % len(chosen)] for i in range(count)], max(1, cores() // count), replicas)
