"""A run over several GPUs: the worker is its rank 0, and starts the other ranks, processes that end with the run.

A rank imports no MLflow and no Optuna. Its output goes to a file, which the worker reads.
"""

import faulthandler
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from study.config import ProbePlan, RunSpec
from study.events import Event
from study.launch.worker.failure import Failure, describe_exit, log_tail
from study.track.processes import scratch_folder

if TYPE_CHECKING:
    import torch

    from study.data import Dataset
    from study.train import CheckpointPlan, Prober

START = "from study.launch.worker.rank_group import main; main()"
POLL_SECONDS = 0.05
ROOT_CAUSE_SECONDS = 2.0
"""Seconds after an error in which another rank is searched that caused it."""
EXIT_SECONDS = 5.0
"""Seconds that the other ranks have to exit after the run has ended."""
WORKER_EXIT_SECONDS = 0.5
"""Maximal seconds between the loss of the connection to the worker and the notice of its end."""
STUCK_SECONDS = 10.0
"""Seconds that a worker may wait on its GPU for a rank that has died."""


class RankDied(OSError):
    """A rank's process died before the end of its run: transient, like the death of a worker."""


@dataclass(frozen=True)
class RankTask:
    """The task of a rank. `folder` is where the ranks of a run meet and leave files for each other."""

    spec: RunSpec
    checkpoint: Path
    device: str
    rank: int
    threads: int
    folder: Path
    probes: ProbePlan | None = None

    @classmethod
    def from_line(cls, line: bytes) -> "RankTask":
        return TypeAdapter(cls).validate_json(line)

    def to_line(self) -> bytes:
        return TypeAdapter(RankTask).dump_json(self) + b"\n"

    @property
    def name(self) -> str:
        return f"rank {self.rank} of {self.spec.recipe.gpus_per_run} ({self.device})"

    @property
    def meeting(self) -> Path:
        """File by which the ranks find each other."""
        return self.folder / "meeting"

    @property
    def ready(self) -> Path:
        """File that exists once this rank has loaded its data."""
        return self.folder / f"{self.rank}.ready"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.rank}.log"

    @property
    def failed(self) -> Path:
        """File with the `Failure` that broke this rank."""
        return self.folder / f"{self.rank}.failed"


def run_distributed(
    spec: RunSpec,
    dataset: "Dataset",
    devices: "Sequence[torch.device]",
    checkpoint: "CheckpointPlan",
    *,
    threads: int,
    probes: ProbePlan | None = None,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Train like `study.train.run`, over the first of `devices` that the recipe asks for, one process each.

    The data set is on the first device, as `run` needs it; the other ranks load their own copy.

    Raises:
        RankDied: another rank was killed, or had a transient error.
        MemoryError: another rank ran out of memory.
        RuntimeError: another rank failed.
    """
    from study.train import joined, run

    size = spec.recipe.gpus_per_run
    assert len(devices) >= size  # noqa: S101 (a worker has as many devices as any run of the grid needs)
    with scratch_folder("study-ranks-") as folder:
        path = checkpoint.path.absolute()
        tasks = [
            RankTask(spec, path, str(device), rank, threads, Path(folder), probes)
            for rank, device in enumerate(devices[1:size], 1)
        ]
        ranks = RankGroup(tasks)
        try:
            ranks.wait_until_ready(stop)
            with joined(tasks[0].meeting, 0, size, devices[0]) as group:
                if devices[0].type == "cuda":
                    ranks.watch()
                yield from run(spec, dataset, devices[0], checkpoint, probe=make_prober(probes), stop=stop, group=group)
            ranks.join()
        except Exception as error:
            cause = ranks.root_cause(error)
            if cause is error:
                raise
            raise cause from error
        finally:
            ranks.close()


class _Rank(NamedTuple):
    task: RankTask
    process: "subprocess.Popen[bytes]"


class RankGroup:
    """The processes of the ranks from 1 on."""

    def __init__(self, tasks: Sequence[RankTask]) -> None:
        """Start the processes."""
        self._over = False
        self._ranks = [_Rank(task, _start(task)) for task in tasks]

    def wait_until_ready(self, stop: Callable[[], bool]) -> None:
        """Wait until all ranks have loaded their data; `stop` is called in the meantime, which sends heartbeats.

        Raises:
            RuntimeError: a rank died.
        """
        while not all(rank.task.ready.exists() for rank in self._ranks):
            if any(rank.process.poll() is not None for rank in self._ranks):
                raise RuntimeError("a rank ended before the run began")
            stop()
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Kill this process if a rank has died and the GPU waits for it, which nothing else could interrupt."""
        threading.Thread(target=self._exit_if_stuck, daemon=True).start()

    def join(self) -> None:
        """Wait for the ranks to exit by themselves after the last collective operation."""
        self._over = True
        end = time.monotonic() + EXIT_SECONDS
        for rank in self._ranks:
            with suppress(subprocess.TimeoutExpired):
                rank.process.wait(max(0.0, end - time.monotonic()))

    def root_cause(self, error: Exception) -> Exception:
        """Return the error that ended the run: that of another rank if it led to `error` here, else `error`."""
        import torch

        from study.train import out_of_memory

        if not isinstance(error, RuntimeError) or isinstance(error, torch.AcceleratorError) or out_of_memory(error):
            return error  # these are never caused by another rank
        end = time.monotonic() + ROOT_CAUSE_SECONDS
        while time.monotonic() < end:
            if (cause := self._first_error()) is not None:
                for output in self._take_output():
                    error.add_note(output)
                return cause
            time.sleep(POLL_SECONDS)
        return error

    def close(self) -> None:
        """Kill the ranks that are still running."""
        self._over = True
        for _, process in self._ranks:
            process.kill()
        for _, process in self._ranks:
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        self._print_output()

    def _print_output(self) -> None:
        """Copy the output of the ranks to this process's log."""
        for output in self._take_output():
            print(output, file=sys.stderr, flush=True)  # noqa: T201

    def _take_output(self) -> list[str]:
        """Return the output of the ranks that wasn't taken before."""
        logs = [(task, log_tail(task.log).strip()) for task, _ in self._ranks]
        for task, _ in logs:
            task.log.unlink(missing_ok=True)
        return [f"{task.name} printed:\n{log}" for task, log in logs if log]

    def _first_error(self) -> Exception | None:
        """Return the error of the rank that failed first; the others failed because they lost it."""
        failed = [
            (task, process.returncode, _read_failure(task))
            for task, process in self._ranks
            if process.poll() is not None and process.returncode != 0
        ]
        # A rank that was killed, or whose error isn't of a connection, can't have failed because of another.
        failed.sort(key=lambda rank: (rank[2] is not None, rank[2] is not None and _may_be_connection_loss(rank[2])))
        return _as_error(*failed[0]) if failed else None

    def _exit_if_stuck(self) -> None:
        while not self._over:
            cause = self._first_error()
            if cause is not None:
                time.sleep(STUCK_SECONDS)
                if not self._over:
                    self._print_output()
                    print(f"{type(cause).__name__}: {cause}", file=sys.stderr, flush=True)  # noqa: T201 (the log)
                    os._exit(1)
            time.sleep(POLL_SECONDS)


def _start(task: RankTask) -> "subprocess.Popen[bytes]":
    """Start a rank; not by `multiprocessing`, where a worker is a daemon and may have no children."""
    with task.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", START],  # -P: the working folder may hold a `random.py` of the user's
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C doesn't reach it
        )
    assert process.stdin is not None  # noqa: S101 (it was asked for)
    with suppress(OSError):  # it has just died: `wait_until_ready` will notice
        process.stdin.write(task.to_line())
        process.stdin.flush()
    return process


def _read_failure(task: RankTask) -> Failure | None:
    try:
        return Failure(**json.loads(task.failed.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _may_be_connection_loss(failure: Failure) -> bool:
    return failure.cause.startswith("RuntimeError") and not failure.out_of_memory


def _as_error(task: RankTask, code: int, failure: Failure | None) -> Exception:
    if failure is not None:
        kind = MemoryError if failure.out_of_memory else RankDied if failure.transient else RuntimeError
        return kind(f"{task.name}: {failure.cause}")
    return RankDied(f"{task.name} {describe_exit(code, log_tail(task.log))}")


def main() -> None:
    """Run the task read from standard input, which the worker keeps open as long as it lives."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the worker is asked to stop, and all ranks stop with it
    task = RankTask.from_line(sys.stdin.buffer.readline())
    watch = threading.Thread(target=_exit_with_worker, args=(task.folder,), daemon=True)
    watch.start()
    try:
        run_rank(task)
    except Exception as error:
        traceback.print_exc()
        _write_failure(task, error)
        watch.join(WORKER_EXIT_SECONDS)  # if the worker's death was the cause, the watcher removes the folder
        _exit(1)
    _exit(0)


def run_rank(task: RankTask) -> None:
    import torch

    from study.data import load_dataset, place
    from study.train import CheckpointPlan, joined, run, settle_cublas

    settle_cublas()
    torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    dataset = place(load_dataset(task.spec.dataset), device)
    task.ready.touch()
    with joined(task.meeting, task.rank, task.spec.recipe.gpus_per_run, device) as group:
        checkpoint = CheckpointPlan(task.checkpoint)
        for _ in run(task.spec, dataset, device, checkpoint, probe=make_prober(task.probes), group=group):
            pass  # rank 0 reports the events


def make_prober(plan: ProbePlan | None) -> "Prober":
    """Return the prober of a run, imported only if needed. Every rank has one, since all must take the same steps."""
    from study.train import no_probes

    if plan is None:
        return no_probes
    from study.probe import Prober

    return Prober(plan)


def _exit(code: int) -> None:
    """Exit at once: a regular exit takes a second, or forever while a GPU waits for other ranks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_with_worker(folder: Path) -> None:
    """Wait until the worker closes standard input or dies, then exit: without it a rank's work is useless."""
    while os.read(0, 1):  # not `sys.stdin`: its lock would be held at the exit of this process
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _write_failure(task: RankTask, error: Exception) -> None:
    partial = task.failed.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(asdict(Failure.of(task.name, error))), encoding="utf-8")
        partial.replace(task.failed)
    except OSError:
        pass  # the log has it
