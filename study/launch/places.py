"""Where a grid's workers run, by what was asked for: on this machine, or on a cluster."""

from pathlib import Path
from typing import NamedTuple

from study.errors import StudyError
from study.launch.devices import Workforce, choose_workforce
from study.launch.executor import Executor
from study.launch.limits import Hardware
from study.launch.local import LocalExecutor

MOST_WORKERS = 4096
"""That are asked for at a cluster, unless it was said how many."""


class Place(NamedTuple):
    """An executor, and the workers that it is asked for."""

    executor: Executor
    force: Workforce


def choose_place(hardware: Hardware, jobs: int, shared: Path | None) -> Place:
    """Settle where workers run and how many there are; `jobs` is how much there is to do at once, at most.

    `shared` is the study's folder, where workers elsewhere must see it.

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
        force = choose_workforce(hardware.device, hardware.workers, jobs, hardware.replicas)
        return Place(LocalExecutor(force.threads), force)
    return _on_cluster(hardware, jobs, shared)


def _on_cluster(hardware: Hardware, jobs: int, shared: Path | None) -> Place:
    if hardware.device not in ("auto", "cpu", "cuda"):
        raise StudyError(
            f"--device {hardware.device}: on a cluster the scheduler says which GPU; there are auto, cpu, cuda"
        )
    gpus = {"auto": hardware.gpus, "cpu": 0.0, "cuda": hardware.gpus or 1.0}[hardware.device]
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
    device = "cuda:0" if gpus else "cpu"
    # On a CPU one thread, whatever was asked for: results must not depend on it.
    return Place(executor, Workforce([device] * count, threads if gpus else 1, hardware.replicas))
