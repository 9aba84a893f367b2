"""Where a grid's workers run, by what was asked for: on this machine, or on a cluster."""

from pathlib import Path
from typing import NamedTuple

from study.errors import StudyError
from study.launch.devices import Workforce, choose_workforce
from study.launch.executor import Executor
from study.launch.limits import Hardware
from study.launch.local import LocalExecutor
from study.launch.ranks import one_worker

MOST_WORKERS = 4096
"""That are asked for at a cluster, unless it was said how many."""


class Place(NamedTuple):
    """An executor, and the workers that it is asked for."""

    executor: Executor
    force: Workforce


def choose_place(hardware: Hardware, jobs: int, shared: Path | None, gpus_per_run: int = 1) -> Place:
    """Settle where workers run and how many there are; `jobs` is how much there is to do at once, at most.

    `shared` is the study's folder, where workers elsewhere must see it; `gpus_per_run` the most that a run asks for.

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
    return _on_cluster(hardware, jobs, shared, gpus_per_run)


def _on_cluster(hardware: Hardware, jobs: int, shared: Path | None, gpus_per_run: int) -> Place:
    if hardware.device not in ("auto", "cpu", "cuda"):
        raise StudyError(
            f"--device {hardware.device}: on a cluster the scheduler says which GPU; there are auto, cpu, cuda"
        )
    gpus = {"auto": hardware.gpus, "cpu": 0.0, "cuda": hardware.gpus or float(gpus_per_run)}[hardware.device]
    threads = hardware.cpus or 1
    executor: Executor
    if hardware.executor == "ray":
        from study.launch.ray_executor import RayExecutor

        executor = ray = RayExecutor(
            hardware.address, threads=threads, gpus=gpus, memory=hardware.memory, shared=shared
        )
        gpus = ray.gpus
    else:
        from study.launch.slurm_executor import SlurmExecutor

        if hardware.address is not None:
            raise StudyError("--address: Slurm's commands know their cluster; leave it out")
        if gpus is not None and gpus % 1:
            raise StudyError(f"--gpus-per-worker {gpus:g}: Slurm gives whole GPUs; write a whole number")
        executor = SlurmExecutor(threads=threads, gpus=int(gpus or 0), memory=hardware.memory, shared=shared)
    count = min(hardware.workers or MOST_WORKERS, max(1, jobs))
    if gpus and gpus_per_run > max(1, gpus):
        raise StudyError(
            f"'gpus_per_run: {gpus_per_run}' needs as many GPUs in each worker: add --gpus-per-worker {gpus_per_run}"
        )
    device = one_worker([f"cuda:{i}" for i in range(gpus_per_run)] if gpus else ["cpu"] * gpus_per_run)
    # On a CPU one thread, whatever was asked for: results must not depend on it.
    each = max(1, threads // gpus_per_run) if gpus else 1
    return Place(executor, Workforce([device] * count, each, hardware.replicas))
