"""Workers as jobs of Slurm, which places them; `squeue` shows which have ended.

Partition, account or time limit are set by the variables of `sbatch`, such as SBATCH_PARTITION.
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
from study.launch.executors.base import Devices, Exit, Worker, WorkerSize
from study.launch.executors.listener import RemoteExecutor, RemoteWorker, WorkerListener
from study.launch.executors.remote import VARIABLE, ConnectInfo, to_env
from study.launch.worker.failure import log_tail
from study.track.processes import scratch_folder

POLL_SECONDS = 5.0
"""Seconds between two calls of `squeue`."""
WARN_SECONDS = 60
"""Seconds before its time limit at which a job is asked to write a checkpoint."""
MAX_NODES = 16
"""Maximal number of nodes whose addresses are looked up."""
COMMAND_SECONDS = 60
"""Timeout of a command of Slurm."""


class SlurmWorker(RemoteWorker):
    """A job of Slurm that runs until the launcher disconnects."""

    def __init__(self, job: str, log: Path | None, listener: WorkerListener, connect_info: ConnectInfo) -> None:
        super().__init__(listener, connect_info)
        self.job = job
        self._log = log

    def kill(self) -> None:
        _slurm("scancel", self.job)

    def wait(self, seconds: float) -> Exit:
        """Cancel the job if it hasn't ended, and read its log; see `Worker`."""
        self.drop()
        self.kill()
        return Exit(None, log_tail(self._log) if self._log is not None else "")


class SlurmExecutor(RemoteExecutor):
    """Starts workers as jobs of Slurm."""

    max_pending = 64
    """A longer queue would not start them sooner."""

    def __init__(self, size: WorkerSize, shared: Path | None = None) -> None:
        """Look for Slurm's commands. `shared` is the folder of the study, if workers have to see it.

        Raises:
            StudyError: they aren't installed here.
        """
        if not shutil.which("sbatch"):
            raise StudyError("--executor slurm: sbatch isn't found; run this where jobs are submitted")
        super().__init__(_own_address(), shared, size)
        self._logs = scratch_folder(".slurm-", shared) if shared is not None else None
        self._polled_at = 0.0
        self._options = [f"--cpus-per-task={size.cpus}"]
        self._options += [f"--gpus-per-task={size.gpus:g}", "--ntasks=1"] if size.gpus else []
        self._options += [f"--mem={int(size.memory * 1024)}M"] if size.memory is not None else []

    def start(self, devices: Devices) -> SlurmWorker:
        """Submit a job.

        Raises:
            StudyError: Slurm refuses it.
        """
        connect_info = self.invite_worker(devices)
        log = Path(self._logs.name) / f"{connect_info.number}.log" if self._logs is not None else None
        words = ["--parsable", "--job-name=study", "--no-requeue", "--export=ALL", f"--signal=B:TERM@{WARN_SECONDS}"]
        words += [*self._options, f"--output={log or os.devnull}"]
        script = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m study.launch.executors.remote\n"
        done = _slurm("sbatch", *words, script=script, environ={VARIABLE: to_env(connect_info)})
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:]
            raise StudyError(f"--executor slurm: {reason[0] if reason else 'sbatch gives no reason'}")
        return SlurmWorker(done.stdout.strip().partition(";")[0], log, self, connect_info)

    def exited(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return the workers whose jobs are no longer in the queue; none if Slurm doesn't answer."""
        if time.monotonic() - self._polled_at < POLL_SECONDS:
            return []
        done = _slurm("squeue", "--me", "--noheader", "--format=%A")
        self._polled_at = time.monotonic()
        known = set(done.stdout.split())
        if done.returncode:
            return []
        return [worker for worker in workers if isinstance(worker, SlurmWorker) and worker.job not in known]

    def close(self) -> None:
        super().close()
        if self._logs is not None:
            self._logs.cleanup()


def _own_address() -> str:
    """Return this machine's address on the way to Slurm's nodes, or its name if no address of a node is known."""
    nodes = _slurm("sinfo", "--noheader", "--Node", "--format=%o").stdout.split()
    sample = islice(dict.fromkeys(nodes), MAX_NODES)
    addresses = [address for node in sample if (address := local_address_towards(node))]
    outward = (address for address in addresses if not ipaddress.ip_address(address).is_loopback)
    return next(outward, addresses[0] if addresses else socket.gethostname())


def local_address_towards(peer: str) -> str:
    """Return this machine's address on the way to another, or "" if there is no way; send nothing."""
    try:
        family, _, _, _, address = socket.getaddrinfo(peer, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return ""


def _slurm(
    *words: str, script: str = "", environ: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command of Slurm; a timeout counts as a failure."""
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
