"""Choose the executor, the workers and their devices, and how many runs each worker and each GPU trains at once."""

from pathlib import Path
from typing import NamedTuple

import torch

from study.config import RunSpec
from study.data.decode_all import available_cores
from study.errors import StudyError
from study.launch.executors.base import Devices, Executor, Hardware, WorkerSize, threads_per_process, workers_per_card
from study.launch.executors.local import LocalExecutor
from study.launch.plan.cells import DataFacts
from study.train import Speed, resolve_precision

CPU_SIDE = 16
"""Largest side of images, in pixels, at which joined nets are faster on a CPU; at 32 they aren't (bench/README.md)."""
GPU_SIDE = 64
"""Largest side of images, in pixels, at which one net leaves most of a GPU idle; measured at 32 (bench/README.md)."""
GPU_REPLICAS = 4
"""Runs at once on a GPU, of all its workers: 1.8 times as fast as one on an H100; eight bring 2 to 10 % more."""


class Workers(NamedTuple):
    """The devices of each worker, the CPU threads of each process, and the runs of one net that a worker joins."""

    devices: list[Devices]
    threads: int
    replicas: int | None = None
    """None if each net decides (see `replicas_for`)."""
    per_card: int = 1
    """Workers that share a GPU."""

    @property
    def names(self) -> list[str]:
        """The devices of each worker as text: `cuda:0+cuda:1`."""
        return ["+".join(devices) for devices in self.devices]


def choose_workers(hardware: Hardware, runs: int, gpus_per_run: int = 1) -> Workers:
    """Choose devices and the number of workers: one worker per GPU, or one per core with one thread.

    If runs use several devices, a worker has as many of them, and GPUs are never shared.

    Args:
        hardware: what the user asked for; its device is `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`.
        runs: number of runs to do; at most as many workers are started.
        gpus_per_run: maximal number of GPUs that a run asks for.

    Raises:
        StudyError: an unknown device, one that this machine lacks, or too few of them for a run.
    """
    gpus, workers = torch.cuda.device_count(), hardware.workers
    device = ("cuda" if gpus else "cpu") if hardware.device == "auto" else hardware.device
    if device == "cpu":
        count = min(workers or max(1, available_cores() // gpus_per_run), max(1, runs))
        return Workers([("cpu",) * gpus_per_run] * count, 1, hardware.replicas)
    single = _gpus(device, gpus)
    if gpus_per_run > len(single):
        available = (
            f"--device {device} is one" if device.partition(":")[2] else f"this machine has {gpus} that PyTorch can use"
        )
        raise StudyError(
            f"'gpus_per_run: {gpus_per_run}' needs {gpus_per_run} GPUs, and {available}: "
            "ask for fewer in the recipe, or try it out with --device cpu"
        )
    starts = range(0, len(single) - gpus_per_run + 1, gpus_per_run)
    groups = [tuple(single[start : start + gpus_per_run]) for start in starts]
    if gpus_per_run > 1:
        workers = min(workers or len(groups), len(groups))  # ranks of two runs on one GPU could wait for each other
    count = min(workers or len(groups), max(1, runs))
    threads = max(1, available_cores() // (count * gpus_per_run))
    return Workers(
        [groups[i % len(groups)] for i in range(count)], threads, hardware.replicas, -(-count // len(groups))
    )


def _gpus(device: str, count: int) -> list[str]:
    """Return the GPUs that `device` names, of those that this machine has."""
    name, _, index = device.partition(":")
    if name != "cuda" or (index and not index.isdigit()):
        raise StudyError(f"--device {device}: there are auto, cpu, cuda and cuda:N")
    if not count or (index and int(index) >= count):
        raise StudyError(
            f"--device {device}: this machine has {count or 'no'} GPU{'s' * (count != 1)} that PyTorch can use"
        )
    return [device] if index else [f"cuda:{i}" for i in range(count)]


def replicas_for(spec: RunSpec, workers: Workers, facts: DataFacts, speed: Speed | None = None) -> int:
    """Return how many runs of a net a worker trains at once: as many as asked for, or what is fastest.

    On a GPU runs are trained side by side, as many as its memory holds by their measured `speed`, shared out among its
    workers; each has the same bits as alone. On a CPU the runs of one net are joined where that is faster: on small
    images, in bfloat16. Joined runs add in another order than one alone. So runs that must end the same to the last bit
    whether they were interrupted or not (in 32-bit floats, or `deterministic`) are not joined, `deterministic` ones
    whatever was asked for. Runs over several GPUs are always alone.
    """
    device = torch.device(workers.devices[0][0])
    on_gpu = device.type == "cuda"
    if spec.recipe.gpus_per_run > 1 or (spec.recipe.deterministic and not on_gpu):
        return 1
    if workers.replicas is not None:
        return workers.replicas
    if spec.architecture == "vgg":  # its dropout is drawn by the host
        return 1
    if on_gpu:
        wanted = GPU_REPLICAS if facts.image_shape[-1] <= GPU_SIDE else 1
        fitting = wanted if speed is None else min(wanted, speed.fits)
        return -(-fitting // workers.per_card)
    bf16 = resolve_precision(spec.recipe.precision, device) == "bf16"
    return 2 if device.type == "cpu" and bf16 and facts.image_shape[-1] <= CPU_SIDE else 1


def share_of_card(spec: RunSpec, workers: Workers, facts: DataFacts, speed: Speed | None = None) -> float:
    """Return the part of a GPU that a run takes, which all its workers share; 0 on a CPU.

    No run begins where the sum of the parts would exceed 1: so no more are at work than the GPU's memory holds by their
    measured `speed`, also where each worker has one, and where nets differ. As many as were asked for are tried.
    """
    if workers.devices[0][0] == "cpu":
        return 0.0
    at_once = workers.per_card * replicas_for(spec, workers, facts, speed)
    if workers.replicas is None and speed is not None:
        at_once = min(at_once, speed.fits)
    return 1 / at_once


MAX_WORKERS = 4096
"""Workers requested from a cluster unless the user gives a number."""


class Placement(NamedTuple):
    """An executor, and the workers to request from it."""

    executor: Executor
    workers: Workers


def choose_executor(hardware: Hardware, jobs: int, gpus_per_run: int, shared: Path | None) -> Placement:
    """Choose where workers run and how many there are.

    Args:
        hardware: what the user asked for.
        jobs: maximal number of runs and trials at once.
        gpus_per_run: maximal number of GPUs that a run asks for.
        shared: the study's folder, if workers on other machines have to see it.

    Raises:
        StudyError: what was asked for isn't available.
    """
    if hardware.executor == "local":
        given = {
            "--address": hardware.address,
            "--cpus-per-worker": hardware.cpus,
            "--gpus-per-worker": hardware.gpus,
            "--memory-per-worker": hardware.memory,
        }
        for option in [option for option, value in given.items() if value is not None]:
            raise StudyError(f"{option} is for clusters: add --executor ray or slurm")
        workers = choose_workers(hardware, jobs, gpus_per_run)
        return Placement(LocalExecutor(workers.threads, workers.per_card), workers)
    return _on_cluster(hardware, jobs, gpus_per_run, shared)


def _on_cluster(hardware: Hardware, jobs: int, gpus_per_run: int, shared: Path | None) -> Placement:
    if hardware.device not in ("auto", "cpu", "cuda"):
        raise StudyError(
            f"--device {hardware.device}: on a cluster the scheduler says which GPU; there are auto, cpu, cuda"
        )
    if gpus_per_run > 1 and hardware.gpus and hardware.gpus < gpus_per_run:
        raise StudyError(
            f"'gpus_per_run: {gpus_per_run}' needs {gpus_per_run} GPUs of one machine, and --gpus-per-worker is "
            f"{hardware.gpus:g}: leave it out"
        )
    gpus = {"auto": hardware.gpus, "cpu": 0.0, "cuda": hardware.gpus or float(gpus_per_run)}[hardware.device]
    size = WorkerSize(hardware.cpus or gpus_per_run, gpus, hardware.memory)
    executor: Executor
    if hardware.executor == "ray":
        from study.launch.executors.ray import RayExecutor

        executor = ray = RayExecutor(hardware.address, size, usual_gpus=gpus_per_run, shared=shared)
        gpus = ray.size.gpus
    else:
        from study.launch.executors.slurm import SlurmExecutor

        if hardware.address is not None:
            raise StudyError("--address: Slurm's commands know their cluster; leave it out")
        if gpus is not None and gpus % 1:
            raise StudyError(f"--gpus-per-worker {gpus:g}: Slurm gives whole GPUs; write a whole number")
        executor = SlurmExecutor(size, shared)
    count = min(hardware.workers or MAX_WORKERS, max(1, jobs))
    devices = tuple(f"cuda:{i}" if gpus else "cpu" for i in range(gpus_per_run))
    threads = threads_per_process(devices, size.cpus)
    return Placement(executor, Workers([devices] * count, threads, hardware.replicas, workers_per_card(gpus)))
