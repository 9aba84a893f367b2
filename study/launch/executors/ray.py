"""Workers on a Ray cluster: Ray's scheduler finds them a place, and tells when one is lost with its node."""

import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.launch.executors.base import End, Worker
from study.launch.executors.listener import CalledWorker, Callers, CallingExecutor
from study.launch.executors.remote import Call, serve
from study.retry import first_line

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is loaded
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

KNOCK_SECONDS = 10.0
END_SECONDS = 0.5
"""How long one worker's end is waited for: the launcher has others to hear."""


class RayWorker(CalledWorker):
    """A task of Ray's that runs until the launcher hangs up."""

    def __init__(self, ray: Any, task: Any, callers: Callers, call: Call) -> None:
        """Take over a task that was asked for."""
        super().__init__(callers, call)
        self.task = task
        self._ray = ray

    def kill(self) -> None:
        """End its process, or take it out of Ray's queue."""
        with suppress(Exception):  # it has ended, or its node has
            self._ray.cancel(self.task, force=True)

    def end(self, seconds: float) -> End:
        """Ask Ray how it ended."""
        self.forget()
        ended, _ = self._ray.wait([self.task], timeout=max(0.0, min(seconds, END_SECONDS)))
        if not ended:
            self.kill()
            return End(None, "")
        try:
            self._ray.get(self.task)
        except Exception as error:
            return End(None, str(error))
        return End(0, "")


class RayExecutor(CallingExecutor):
    """Asks a Ray cluster for workers."""

    at_once = 64
    """Enough for a cluster's autoscaler to see what is wanted."""

    def __init__(
        self,
        address: str | None,
        *,
        cpus: int,
        gpus: float | None = None,
        usual_gpus: int = 1,
        memory: float | None = None,
        shared: Path | None = None,
    ) -> None:
        """Join the cluster at `address`, or the one of this machine.

        Args:
            address: `host:6379`, or None for RAY_ADDRESS or a cluster that this machine is a node of.
            cpus: of a worker.
            gpus: of a worker, a part of one too; None for the usual where the cluster has any.
            usual_gpus: what that is.
            memory: of a worker, in GiB.
            shared: the folder of the study, where workers are to use it themselves.

        Raises:
            StudyError: Ray isn't installed, or no cluster is there.
        """
        try:
            import ray
        except ImportError:
            raise StudyError("--executor ray: Ray isn't installed; pip install '.[ray]'") from None
        self._ray: Any = ray
        try:
            _knock(address or os.environ.get("RAY_ADDRESS", ""))
            with tempfile.TemporaryDirectory() as empty, chdir(empty):  # Ray lets its workers import from this folder
                self._ray.init(
                    address=address or "auto", log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True
                )
        except (OSError, RuntimeError, ValueError) as error:
            where = address or os.environ.get("RAY_ADDRESS", "this machine")
            raise StudyError(f"--executor ray: no cluster at {where}: {first_line(error)}") from None
        with suppress(ImportError, AttributeError):
            from ray._private import worker  # it prints what it has of a lost node, dozens of lines, between ours

            worker.print_to_stdstream = lambda *_, **__: None
        self.gpus = gpus if gpus is not None else usual_gpus * float(self._ray.cluster_resources().get("GPU", 0) > 0)
        super().__init__(self._ray.util.get_node_ip_address(), shared, cpus=cpus, gpus=self.gpus, memory=memory)
        wanted = {"num_cpus": cpus, "num_gpus": self.gpus, "max_retries": 0, "max_calls": 1}
        if memory is not None:
            wanted["memory"] = int(memory * 2**30)
        self._serve = self._ray.remote(**wanted)(serve)

    def start(self, device: str) -> RayWorker:
        """Ask Ray for a worker."""
        call = self.expect(device)
        return RayWorker(self._ray, self._serve.remote(call), self._callers, call)

    def gone(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return the workers that have ended, by Ray's word."""
        mine = {worker.task: worker for worker in workers if isinstance(worker, RayWorker)}
        if not mine:
            return []
        ended, _ = self._ray.wait(list(mine), num_returns=len(mine), timeout=0)
        return [mine[task] for task in ended]

    def close(self) -> None:
        """Leave the cluster: Ray ends what is left of the workers."""
        super().close()
        self._ray.shutdown()


def _knock(address: str) -> None:
    """Ask whether anybody is at `host:port`: Ray itself would try for minutes, and say so line by line.

    Raises:
        OSError: nobody is.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
