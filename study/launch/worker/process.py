"""A worker: a process that trains runs, one after another or together, and sends their events to the launcher.

It imports no MLflow and no Optuna, so it starts quickly and never touches their databases.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from study.errors import StudyError
from study.events import Event
from study.launch.messages import Failed, Measure, Measured, Order, Ready, Told
from study.launch.worker.connection import Gone, Wire
from study.launch.worker.failure import out_of_memory
from study.launch.worker.probes import prober
from study.launch.worker.rank_group import RankDied, each_device, run_in_group

if TYPE_CHECKING:
    from study.config import DatasetSpec
    from study.data import Dataset
    from study.train import Step


def main(connection: Connection, device: str, threads: int, log: Path | None = None) -> None:
    """Serve orders until the launcher hangs up; what the process prints, crashes included, goes to the file `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the launcher decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as does the end of a terminal
    _log_to(log)
    _be_killed_first()
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})  # which the server of forks holds back
    with contextlib.suppress(Gone):
        Desk(Wire(connection, terminated), device, threads).serve()


def _log_to(log: Path | None) -> None:
    """Let a crash, or SIGUSR1, leave the stack of every thread."""
    if log is not None:
        with contextlib.suppress(OSError):  # a full disk: then it is seen at once
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)


def _be_killed_first() -> None:
    """Ask Linux to end workers, not the launcher, when memory runs out: a worker's run goes on in another."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


class Desk:
    """A worker's runs: usually one; several train together where the launcher gives it more."""

    def __init__(
        self,
        wire: Wire,
        device: str,
        threads: int,
        *,
        where: Mapping[str, str] | None = None,
        scratch: Path | None = None,
    ) -> None:
        """Serve on a device; one on another machine says `where` it is, and has a folder `scratch` of its own."""
        import torch

        from study.train import Stepper, settle_cublas

        settle_cublas()
        torch.set_num_threads(threads)
        self._wire = wire
        self._where = where or {}
        self._scratch = scratch or Path()
        self._devices = [torch.device(one) for one in each_device(device)]
        self._device = self._devices[0]
        self._threads = threads
        if self._device.index is not None:
            torch.cuda.set_device(self._device)
        self._stepper = Stepper(self._device)
        self._courses: dict[str, Iterator[Event | Step]] = {}
        self._held: tuple[DatasetSpec, Dataset] | None = None

    def serve(self) -> None:
        """Do what the launcher orders, until it hangs up or this process is told to end."""
        self._wire.say(Ready(self._where))
        while self._courses or not self._wire.terminated:
            self._wire.listen(wait=not (self._courses or self._wire.orders))  # a run hears orders for others too
            while self._wire.orders:
                self._begin(self._wire.orders.pop(0))
            steps = {step: task for task in list(self._courses) if (step := self._advance(task)) is not None}
            joined = len(self._courses) > 1
            for step, error in self._stepper.take(list(steps)):
                self._fail(steps[step], error, joined=joined)

    def _begin(self, order: Order | Measure) -> None:
        from study.train import CheckpointPlan, measure_speed, run_steps

        try:
            dataset = self._dataset(order)
            if isinstance(order, Measure):
                speed = measure_speed(order.spec, dataset, self._device, order.replicas)
                self._wire.say(Measured(order.task, speed))
                return
            plan = CheckpointPlan(self._scratch / order.checkpoint, order.every_seconds)
            stop = partial(self._wire.stop, order.task)
            steps: Iterator[Event | Step]
            if order.spec.recipe.gpus_per_run > 1:
                steps = run_in_group(
                    order.spec, dataset, self._devices, plan, probes=order.probes, threads=self._threads, stop=stop
                )
            else:
                steps = run_steps(order.spec, dataset, self._device, plan, probe=prober(order.probes), stop=stop)
            if order.artifacts is not None:
                from study.launch.worker.checkpoint_sync import Courier, carried

                steps = carried(steps, Courier(order.artifacts, plan.path), keep=order.keep, stop=stop)
            self._courses[order.task] = steps
        except Exception as error:
            self._fail(order.task, error, joined=bool(self._courses))

    def _advance(self, task: str) -> "Step | None":
        """Send what a run has to say until it is ready for an iteration; return that, or None where it has ended."""
        from study.train import Step

        try:
            for happened in self._courses[task]:
                if isinstance(happened, Step):
                    return happened
                self._wire.say(Told(task, happened))
            del self._courses[task]
        except Exception as error:  # contained to the run: the launcher shows it and goes on with the rest
            self._fail(task, error, joined=len(self._courses) > 1)
        return None

    def _fail(self, task: str, error: Exception, *, joined: bool) -> None:
        import torch

        self._courses.pop(task, None)
        memory = out_of_memory(error)
        broken = isinstance(error, torch.AcceleratorError) and not memory  # too little memory breaks no GPU
        if broken or (isinstance(error, RankDied) and self._device.type == "cuda"):
            raise error  # the GPU is of no more use to this process: another takes its runs over
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        text = "".join(traceback.format_exception(error))
        passing = isinstance(error, OSError)
        self._wire.say(Failed(task, cause, text, memory, joined, passing))
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()  # so that others on this GPU have what the broken run held

    def _dataset(self, order: Order | Measure) -> "Dataset":
        from study.data import load_dataset, place

        spec = order.spec.dataset
        if self._held is None or self._held[0] != spec:
            self._held = None  # so that two are never held at once
            dataset = load_dataset(spec, progress=lambda *_: self._wire.listen(wait=False))
            if isinstance(order, Order) and order.fingerprint not in ("", dataset.fingerprint):
                raise StudyError(f"the images on {socket.gethostname()} are not those that this study began with")
            self._held = (spec, place(dataset, str(self._device)))
        return self._held[1]
