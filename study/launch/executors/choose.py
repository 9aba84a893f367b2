"""Where a grid's workers run, by what was asked for: on this machine, or on a cluster."""

from pathlib import Path
from typing import NamedTuple

from study.errors import StudyError
from study.launch.executors.base import Executor
from study.launch.executors.devices import Workforce, choose_workforce, threads_of
from study.launch.executors.limits import Hardware
from study.launch.executors.local import LocalExecutor
from study.launch.worker.rank_group import one_worker

MOST_WORKERS = 4096
"""That are asked for at a cluster, unless it was said how many."""


class Place(NamedTuple):
    """An executor, and the workers that it is asked for."""

    executor: Executor
    force: Workforce


def choose_place(hardware: Hardware, jobs: int, gpus_per_run: int, shared: Path | None) -> Place:
    """Settle where workers run and how many there are; `jobs` is how much there is to do at once, at most.

    `gpus_per_run` is the most that a run asks for; `shared` is the study's folder, where workers elsewhere must see it.

    Raises:
        StudyError: what was asked for can't be had.
    """
    if hardware.executor == "local":
        asked = {
            "--address": hardware.address,
            "--cpus-per-worker": hardware.cpus,
            "--gpus-per-worker": hardware.gpus,
            "--memory-per-worker": hardware.memory,
        }
        for option in [option for option, given in asked.items() if given is not None]:
            raise StudyError(f"{option} is for clusters: add --executor ray or slurm")
        force = choose_workforce(hardware.device, hardware.workers, jobs, hardware.replicas, gpus_per_run)
        return Place(LocalExecutor(force.threads), force)
    return _on_cluster(hardware, jobs, gpus_per_run, shared)


def _on_cluster(hardware: Hardware, jobs: int, gpus_per_run: int, shared: Path | None) -> Place:
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
    cpus = hardware.cpus or gpus_per_run
    executor: Executor
    if hardware.executor == "ray":
        from study.launch.executors.ray import RayExecutor

        executor = ray = RayExecutor(
            hardware.address, cpus=cpus, gpus=gpus, usual_gpus=gpus_per_run, memory=hardware.memory, shared=shared
        )
        gpus = ray.gpus
    else:
        from study.launch.executors.slurm import SlurmExecutor

        if hardware.address is not None:
            raise StudyError("--address: Slurm's commands know their cluster; leave it out")
        if gpus is not None and gpus % 1:
            raise StudyError(f"--gpus-per-worker {gpus:g}: Slurm gives whole GPUs; write a whole number")
        executor = SlurmExecutor(cpus=cpus, gpus=int(gpus or 0), memory=hardware.memory, shared=shared)
    count = min(hardware.workers or MOST_WORKERS, max(1, jobs))
    device = one_worker([f"cuda:{i}" if gpus else "cpu" for i in range(gpus_per_run)])
    return Place(executor, Workforce([device] * count, threads_of(device, cpus), hardware.replicas))
