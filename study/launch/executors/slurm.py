"""Workers as jobs of Slurm: its scheduler finds them a place; `squeue` tells when one is lost.

What `sbatch` should know of partition, account or time limit stands in its own variables, such as SBATCH_PARTITION.
"""

import ipaddress
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from study.errors import StudyError
from study.launch.executors.base import End, Worker, end_of
from study.launch.executors.door import way_to
from study.launch.executors.listener import CalledWorker, Callers, CallingExecutor
from study.launch.executors.remote import VARIABLE, Call, packed
from study.track.scratch import scratch_folder

LOOK_SECONDS = 5.0
"""Between two looks at Slurm's queue."""
WARN_SECONDS = 60
"""Before a job's time is over, it is told to write a checkpoint."""
MOST_ASKED = 16
"""Nodes whose addresses are looked up."""
COMMAND_SECONDS = 60
"""How long one of Slurm's commands may take."""


class SlurmWorker(CalledWorker):
    """A job of Slurm's that runs until the launcher hangs up."""

    def __init__(self, job: str, log: Path | None, callers: Callers, call: Call) -> None:
        """Take over a job that was submitted, and the log that it writes."""
        super().__init__(callers, call)
        self.job = job
        self._log = log

    def kill(self) -> None:
        """Cancel the job."""
        _slurm("scancel", self.job)

    def end(self, seconds: float) -> End:
        """Cancel what may be left of the job; say how its log ends."""
        self.forget()
        self.kill()
        return End(None, end_of(self._log) if self._log is not None else "")


class SlurmExecutor(CallingExecutor):
    """Asks Slurm for workers."""

    at_once = 64
    """A queue fuller than that serves nobody."""

    def __init__(self, *, cpus: int, gpus: int = 0, memory: float | None = None, shared: Path | None = None) -> None:
        """Look for Slurm's commands.

        Args:
            cpus: of a worker.
            gpus: of a worker.
            memory: of a worker, in GiB.
            shared: the folder of the study, where workers are to use it themselves.

        Raises:
            StudyError: they aren't here.
        """
        if not shutil.which("sbatch"):
            raise StudyError("--executor slurm: sbatch isn't found; run this where jobs are submitted")
        super().__init__(_own_address(), shared, cpus=cpus, gpus=gpus, memory=memory)
        self._logs = scratch_folder(".slurm-", shared) if shared is not None else None
        self._looked = 0.0
        self._options = [f"--cpus-per-task={cpus}", *([f"--gpus-per-task={gpus}", "--ntasks=1"] if gpus else [])]
        self._options += [f"--mem={int(memory * 1024)}M"] if memory is not None else []

    def start(self, device: str) -> SlurmWorker:
        """Submit a job.

        Raises:
            StudyError: Slurm refuses it.
        """
        call = self.expect(device)
        log = Path(self._logs.name) / f"{call.number}.log" if self._logs is not None else None
        words = ["--parsable", "--job-name=study", "--no-requeue", "--export=ALL", f"--signal=B:TERM@{WARN_SECONDS}"]
        words += [*self._options, f"--output={log or os.devnull}"]
        script = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m study.launch.executors.remote\n"
        done = _slurm("sbatch", *words, script=script, environ={VARIABLE: packed(call)})
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:]
            raise StudyError(f"--executor slurm: {reason[0] if reason else 'sbatch gives no reason'}")
        return SlurmWorker(done.stdout.strip().partition(";")[0], log, self._callers, call)

    def gone(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return the workers whose jobs are no longer in the queue; none where Slurm doesn't answer."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return []
        done = _slurm("squeue", "--me", "--noheader", "--format=%A")
        self._looked = time.monotonic()
        known = set(done.stdout.split())
        mine = [worker for worker in workers if isinstance(worker, SlurmWorker)] if done.returncode == 0 else []
        return [worker for worker in mine if worker.job not in known]

    def close(self) -> None:
        """Hear nobody any more, and delete the logs."""
        super().close()
        if self._logs is not None:
            self._logs.cleanup()


def _own_address() -> str:
    """Return this machine's address on the way to Slurm's nodes; its name where none of them is known by address."""
    nodes = _slurm("sinfo", "--noheader", "--Node", "--format=%o").stdout.split()
    ways = [way for node in islice(dict.fromkeys(nodes), MOST_ASKED) if (way := way_to(node))]
    outward = (way for way in ways if not ipaddress.ip_address(way).is_loopback)
    return next(outward, ways[0] if ways else socket.gethostname())


def _slurm(
    *words: str, script: str = "", environ: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Call one of Slurm's commands; one that doesn't answer has failed."""
    try:
        return subprocess.run(
            words,
            input=script,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", str(error))
