"""Workers as tasks of a Ray cluster: Ray places them, and reports those that are lost with their node."""

import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.launch.executors.base import Devices, Exit, Worker, WorkerSize
from study.launch.executors.listener import RemoteExecutor, RemoteWorker, WorkerListener
from study.launch.executors.remote import ConnectInfo, serve
from study.retry import first_line

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is loaded
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

CHECK_SECONDS = 10.0
WAIT_SECONDS = 0.5
"""Maximal wait for the end of one worker: the launcher has others to poll."""


class RayWorker(RemoteWorker):
    """A task of Ray that runs until the launcher disconnects."""

    def __init__(self, ray: Any, task: Any, listener: WorkerListener, connect_info: ConnectInfo) -> None:
        super().__init__(listener, connect_info)
        self.task = task
        self._ray = ray

    def kill(self) -> None:
        """Kill the worker's process, or remove it from Ray's queue."""
        with suppress(Exception):  # it is gone, or its node is
            self._ray.cancel(self.task, force=True)

    def wait(self, seconds: float) -> Exit:
        """Ask Ray how the worker ended; see `Worker`."""
        self.drop()
        ended, _ = self._ray.wait([self.task], timeout=max(0.0, min(seconds, WAIT_SECONDS)))
        if not ended:
            self.kill()
            return Exit(None, "")
        try:
            self._ray.get(self.task)
        except Exception as error:
            return Exit(None, str(error))
        return Exit(0, "")


class RayExecutor(RemoteExecutor):
    """Starts workers on a Ray cluster."""

    max_pending = 64
    """High enough that a cluster's autoscaler sees the demand."""

    def __init__(
        self,
        address: str | None,
        size: WorkerSize,
        *,
        usual_gpus: int = 1,
        shared: Path | None = None,
    ) -> None:
        """Join the cluster at `address`, or the one of this machine.

        Args:
            address: `host:6379`, or None for RAY_ADDRESS or a cluster that this machine is a node of.
            size: of a worker.
            usual_gpus: GPUs of a worker where `size` has no number and the cluster has any.
            shared: the folder of the study, if workers have to see it.

        Raises:
            StudyError: Ray isn't installed, or there is no cluster.
        """
        try:
            import ray
        except ImportError:
            raise StudyError("--executor ray: Ray isn't installed; pip install '.[ray]'") from None
        self._ray: Any = ray
        try:
            _check_listening(address or os.environ.get("RAY_ADDRESS", ""))
            with tempfile.TemporaryDirectory() as empty, chdir(empty):  # Ray lets its workers import from this folder
                self._ray.init(
                    address=address or "auto", log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True
                )
        except (OSError, RuntimeError, ValueError) as error:
            where = address or os.environ.get("RAY_ADDRESS", "this machine")
            raise StudyError(f"--executor ray: no cluster at {where}: {first_line(error)}") from None
        with suppress(ImportError, AttributeError):
            from ray._private import worker  # of a lost node it prints dozens of lines between ours

            worker.print_to_stdstream = lambda *_, **__: None
        if size.gpus is None:
            size = size._replace(gpus=usual_gpus * float(self._ray.cluster_resources().get("GPU", 0) > 0))
        super().__init__(self._ray.util.get_node_ip_address(), shared, size)
        options = {"num_cpus": size.cpus, "num_gpus": size.gpus, "max_retries": 0, "max_calls": 1}
        if size.memory is not None:
            options["memory"] = int(size.memory * 2**30)
        self._serve = self._ray.remote(**options)(serve)

    def start(self, devices: Devices) -> RayWorker:
        connect_info = self.invite_worker(devices)
        return RayWorker(self._ray, self._serve.remote(connect_info), self, connect_info)

    def exited(self, workers: Sequence[Worker]) -> list[Worker]:
        tasks = {worker.task: worker for worker in workers if isinstance(worker, RayWorker)}
        if not tasks:
            return []
        ended, _ = self._ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
        return [tasks[task] for task in ended]

    def close(self) -> None:
        """Leave the cluster: Ray kills the workers that are left."""
        super().close()
        self._ray.shutdown()


def _check_listening(address: str) -> None:
    """Raise OSError unless something listens at `host:port`: Ray would try for minutes, with a line each time."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CHECK_SECONDS).close()
