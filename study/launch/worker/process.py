"""A worker: a process that trains runs, one after another or together, and sends their events to the launcher.

It imports no MLflow and no Optuna, so it starts quickly and never touches their databases.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from study.errors import StudyError
from study.events import Event
from study.launch.messages import BenchmarkResult, BenchmarkTask, Ready, RunTask, TaskEvent
from study.launch.worker.connection import LauncherConnection, LauncherGone
from study.launch.worker.failure import Failure
from study.launch.worker.rank_group import RankDied, make_prober, run_distributed

if TYPE_CHECKING:
    from study.config import DatasetSpec
    from study.data import Dataset
    from study.train import Step


def main(
    connection: Connection, devices: Sequence[str], threads: int, per_card: int = 1, log: Path | None = None
) -> None:
    """Do tasks until the launcher closes the connection; output and crashes go to the file `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the launcher decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # so does the end of a terminal
    _redirect_output(log)
    _prefer_as_oom_victim()
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})  # blocked in the forkserver
    with contextlib.suppress(LauncherGone):
        WorkerLoop(LauncherConnection(connection, terminated), devices, threads, per_card).serve()


def _redirect_output(log: Path | None) -> None:
    """Write output to a file; on a crash, or at SIGUSR1, also the stack of every thread."""
    if log is not None:
        with contextlib.suppress(OSError):  # a full disk: the output stays on the terminal
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)


def _prefer_as_oom_victim() -> None:
    """Ask Linux to kill workers rather than the launcher when memory runs out: another worker resumes the run."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


class WorkerLoop:
    """The runs of a worker: usually one; several are trained together if the launcher sends more."""

    def __init__(
        self,
        launcher: LauncherConnection,
        devices: Sequence[str],
        threads: int,
        per_card: int = 1,
        *,
        info: Mapping[str, str] | None = None,
        scratch: Path | None = None,
    ) -> None:
        """Prepare the devices; a GPU may be shared by `per_card` workers.

        A worker on another machine sends `info` on it and has its own folder `scratch`.
        """
        import torch

        from study.train import Stepper, settle_cublas

        settle_cublas()
        torch.set_num_threads(threads)
        self._launcher = launcher
        self._info = info or {}
        self._scratch = scratch or Path()
        self._devices = [torch.device(device) for device in devices]
        self._device = self._devices[0]
        self._threads = threads
        self._per_card = per_card
        if self._device.index is not None:
            torch.cuda.set_device(self._device)
        self._stepper = Stepper(self._device)
        self._runs: dict[str, Iterator[Event | Step]] = {}
        self._failures: list[Failure] = []
        """Of tasks that have ended since the launcher was last told."""
        self._datasets: WeakValueDictionary[DatasetSpec, Dataset] = WeakValueDictionary()  # of runs under way
        self._last: Dataset | None = None

    def serve(self) -> None:
        """Do tasks until the launcher closes the connection or this process is asked to end."""
        self._launcher.send(Ready(self._info))
        while self._runs or not self._launcher.terminated:
            self._launcher.poll(wait=not (self._runs or self._launcher.tasks))  # a run may have received others' tasks
            while self._launcher.tasks:
                self._begin(self._launcher.tasks.pop(0))
            before = len(self._runs)
            self._step()
            if len(self._runs) < before or self._failures:
                self._settle()

    def _step(self) -> None:
        """Take the next iteration of each run."""
        steps = {step: task for task in list(self._runs) if (step := self._advance(task)) is not None}
        joined = len(self._runs) > 1
        for step, error in self._stepper.take(list(steps)):
            self._fail(steps[step], error, joined=joined)

    def _settle(self) -> None:
        """Free the memory of tasks that have ended, which others on the GPU may need; then report those that failed."""
        from study.train import free_unused

        free_unused(self._device)
        for failure in self._failures:
            self._launcher.send(failure)
        self._failures.clear()

    def _begin(self, task: RunTask | BenchmarkTask) -> None:
        try:
            dataset = self._dataset(task)
            if isinstance(task, BenchmarkTask):
                from study.train import measure_speed

                speed = measure_speed(task.spec, dataset, self._device, task.replicas)
                self._launcher.send(BenchmarkResult(task.task, speed, str(self._device)))
            else:
                self._runs[task.task] = self._run(task, dataset)
        except Exception as error:
            self._fail(task.task, error, joined=bool(self._runs))

    def _run(self, task: RunTask, dataset: "Dataset") -> "Iterator[Event | Step]":
        from study.train import CheckpointPlan, run_steps

        plan = CheckpointPlan(self._scratch / task.checkpoint, task.every_seconds)
        stop = partial(self._launcher.stop, task.task)
        steps: Iterator[Event | Step]
        if task.spec.recipe.gpus_per_run > 1:
            steps = run_distributed(
                task.spec, dataset, self._devices, plan, probes=task.probes, threads=self._threads, stop=stop
            )
        else:
            steps = run_steps(task.spec, dataset, self._device, plan, probe=make_prober(task.probes), stop=stop)
        if task.artifacts is None:
            return steps
        from study.launch.worker.checkpoint_sync import CheckpointUploader, with_uploads

        return with_uploads(steps, CheckpointUploader(task.artifacts, plan.path), keep=task.keep, stop=stop)

    def _advance(self, task: str) -> "Step | None":
        """Send the events of a run up to its next step; return that step, or None if the run has ended."""
        from study.train import Step

        try:
            for event in self._runs[task]:
                if isinstance(event, Step):
                    return event
                self._launcher.send(TaskEvent(task, event))
            del self._runs[task]
        except Exception as error:  # contained to this run: the launcher goes on with the others
            self._fail(task, error, joined=len(self._runs) > 1)
        return None

    def _fail(self, task: str, error: Exception, *, joined: bool) -> None:
        import torch

        self._runs.pop(task, None)
        failure = Failure.of(task, error, joined=joined)
        gpu_broken = isinstance(error, torch.AcceleratorError) and not failure.out_of_memory
        if gpu_broken or (isinstance(error, RankDied) and self._device.type == "cuda"):
            raise error  # this process can't use the GPU any more: another worker resumes its runs
        self._failures.append(failure)

    def _dataset(self, task: RunTask | BenchmarkTask) -> "Dataset":
        from study.data import load_dataset, place

        spec = task.spec.dataset
        loaded = self._datasets.get(spec)
        if loaded is None:
            self._last = None  # never hold one in memory that no run uses
            dataset = load_dataset(spec, progress=lambda *_: self._launcher.poll(wait=False))
            if isinstance(task, RunTask) and task.fingerprint not in ("", dataset.fingerprint):
                raise StudyError(f"the images on {socket.gethostname()} are not those that this study began with")
            self._datasets[spec] = loaded = place(dataset, self._device, self._per_card)
        self._last = loaded
        return loaded
