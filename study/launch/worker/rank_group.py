"""A run over several GPUs: the worker is its rank 0, and starts the others for as long as the run takes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from study.config import ProbePlan, RunSpec
from study.events import Event
from study.launch.executors.base import end_of
from study.launch.worker.failure import out_of_memory
from study.launch.worker.probes import prober
from study.launch.worker.rank_process import Broken, Part
from study.track.scratch import scratch_folder

if TYPE_CHECKING:
    import torch

    from study.data import Dataset
    from study.train import CheckpointPlan

JOINT = "+"
START = "from study.launch.worker.rank_process import main; main()"
POLL_SECONDS = 0.05
BLAME_SECONDS = 2.0
"""How long after an error another rank may be found to have caused it."""
END_SECONDS = 5.0
"""How long the other ranks may take to end by themselves after the run has."""
STUCK_SECONDS = 10.0
"""How long a worker may wait on its GPU for a rank that is no more."""


class RankDied(OSError):
    """A process of the group ended before its run: as where a whole worker dies, the next try may go well."""


def one_worker(devices: Sequence[str]) -> str:
    """Return what stands for several devices of one worker: `cuda:0+cuda:1`."""
    return JOINT.join(devices)


def each_device(worker: str) -> list[str]:
    """Return a worker's devices."""
    return worker.split(JOINT)


def run_in_group(
    spec: RunSpec,
    dataset: "Dataset",
    devices: "Sequence[torch.device]",
    checkpoint: "CheckpointPlan",
    *,
    threads: int,
    probes: ProbePlan | None = None,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Do what `study.train.run` does, over the first of `devices` that the recipe asks for, a process each.

    The data set lies as `run` wants it on the first device; the other processes load it themselves.

    Raises:
        RankDied: another process of the run was killed, or met a passing fault.
        MemoryError: another process found too little memory.
        RuntimeError: another process broke for a reason of its own.
    """
    from study.train import joined, run

    size = spec.recipe.gpus_per_run
    assert len(devices) >= size  # noqa: S101 (workers are given the most that any run asks for)
    ranks = _Ranks(spec, checkpoint.path, devices[1:size], threads, probes)
    try:
        ranks.wait(stop)
        with joined(ranks.meeting, 0, size, devices[0]) as group:
            if devices[0].type == "cuda":
                ranks.watch()
            yield from run(spec, dataset, devices[0], checkpoint, probe=prober(probes), stop=stop, group=group)
        ranks.leave()
    except Exception as error:
        cause = ranks.blame(error)
        if cause is error:
            raise
        raise cause from error
    finally:
        ranks.close()


class _Ranks:
    """The processes of the ranks from 1 on."""

    def __init__(
        self,
        spec: RunSpec,
        checkpoint: Path,
        devices: "Sequence[torch.device]",
        threads: int,
        probes: ProbePlan | None,
    ) -> None:
        self._over = False
        self._temporary = scratch_folder("study-ranks-")
        folder = Path(self._temporary.name)
        self._parts = [
            Part(spec, checkpoint.absolute(), str(device), rank, threads, folder, probes)
            for rank, device in enumerate(devices, 1)
        ]
        self.meeting = self._parts[0].meeting
        self._processes = [_start(part) for part in self._parts]

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait until all ranks have loaded their data; `stop` is asked meanwhile, as a sign of life.

        Raises:
            RuntimeError: one ended.
        """
        while not all(part.ready.exists() for part in self._parts):
            if any(process.poll() is not None for process in self._processes):
                raise RuntimeError("a rank ended before the run began")
            stop()
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Let this process end where a rank has and the GPU waits for it, which nothing else could interrupt."""
        threading.Thread(target=self._end_if_stuck, daemon=True).start()

    def leave(self) -> None:
        """Let the ranks come to their own ends after the last thing they do together."""
        self._over = True
        end = time.monotonic() + END_SECONDS
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))

    def blame(self, error: Exception) -> Exception:
        """Return what broke a run in which `error` was met here: that, or what another rank died of."""
        import torch

        if not isinstance(error, RuntimeError) or isinstance(error, torch.AcceleratorError) or out_of_memory(error):
            return error  # no other rank is to blame for it
        end = time.monotonic() + BLAME_SECONDS
        while time.monotonic() < end:
            if (cause := self._cause()) is not None:
                for said in self._said():
                    error.add_note(said)
                return cause
            time.sleep(POLL_SECONDS)
        return error

    def close(self) -> None:
        """End all ranks that are still there, at once."""
        self._over = True
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        self._pass_on()
        self._temporary.cleanup()

    def _pass_on(self) -> None:
        """Put what the ranks have printed into this process's log."""
        for said in self._said():
            print(said, file=sys.stderr, flush=True)  # noqa: T201

    def _said(self) -> list[str]:
        """Return what the ranks have printed and nobody has taken yet."""
        logs = [(part, end_of(part.log).strip()) for part in self._parts]
        for part, _ in logs:
            part.log.unlink(missing_ok=True)
        return [f"{part.name} printed:\n{log}" for part, log in logs if log]

    def _cause(self) -> Exception | None:
        """Return what the first rank to break died of: the others lost it, and broke then."""
        found = [
            (part, process.returncode, _told(part))
            for part, process in zip(self._parts, self._processes, strict=True)
            if process.poll() is not None and process.returncode != 0
        ]
        # Whoever was killed lost nobody, and nor did one whose error isn't that of a connection.
        found.sort(key=lambda one: (one[2] is not None, one[2] is not None and _may_be_of_a_connection(one[2])))
        return _as_error(*found[0]) if found else None

    def _end_if_stuck(self) -> None:
        while not self._over:
            cause = self._cause()
            if cause is not None:
                time.sleep(STUCK_SECONDS)
                if not self._over:
                    self._pass_on()
                    print(f"{type(cause).__name__}: {cause}", file=sys.stderr, flush=True)  # noqa: T201 (its log)
                    os._exit(1)
            time.sleep(POLL_SECONDS)


def _start(part: Part) -> "subprocess.Popen[bytes]":
    """Start a rank: not with `multiprocessing`, since a worker is a daemon there and may have no children."""
    with part.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", START],  # the working folder may hold a `random.py` of the user's
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C doesn't reach it
        )
    assert process.stdin is not None  # noqa: S101 (it was asked for)
    with suppress(OSError):  # it has just died: `wait` will notice
        process.stdin.write(part.line())
        process.stdin.flush()
    return process


def _told(part: Part) -> Broken | None:
    try:
        return Broken(**json.loads(part.broken.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _may_be_of_a_connection(told: Broken) -> bool:
    return told.cause.startswith("RuntimeError") and not told.out_of_memory


def _as_error(part: Part, code: int, told: Broken | None) -> Exception:
    if told is not None:
        kind = MemoryError if told.out_of_memory else RankDied if told.passing else RuntimeError
        return kind(f"{part.name}: {told.cause}")
    if code < 0:
        return RankDied(f"{part.name} was killed by {signal.Signals(-code).name}")
    last = ": ".join(["", *end_of(part.log).strip().splitlines()[-1:]])
    return RankDied(f"{part.name} ended with exit code {code}{last}")
