"""Choose the executor and the number of workers by the options of the command line."""

from pathlib import Path
from typing import NamedTuple

from study.errors import StudyError
from study.launch.executors.base import Executor, Hardware, WorkerSize
from study.launch.executors.devices import Workers, choose_workers, threads_per_process, workers_per_card
from study.launch.executors.local import LocalExecutor

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
        workers = choose_workers(hardware.device, hardware.workers, jobs, hardware.replicas, gpus_per_run)
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
