"""A Ray cluster of several nodes on this machine, each with an address of its own, that tests can take nodes from."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from filelock import FileLock


class RayCluster:
    """A head without room for workers, and nodes with room for one each.

    Only one is there at a time, whatever the test process: nodes of two would have the same addresses.
    """

    def __init__(self, nodes: int) -> None:
        """Entering the block starts it."""
        pytest.importorskip("ray", reason="Ray isn't installed")
        self._count = nodes
        self._cluster: Any = None
        self._alone = FileLock(Path(tempfile.gettempdir()) / "study-tests-ray.lock")
        self.nodes: list[Any] = []
        self.address = ""

    def __enter__(self) -> "RayCluster":
        from ray.cluster_utils import Cluster

        self._alone.acquire()
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        for _ in range(self._count):
            self.add()
        return self

    def add(self) -> None:
        """Let one more node join."""
        ip = f"127.0.0.{len(self.nodes) + 2}"
        self.nodes.append(
            self._cluster.add_node(num_cpus=1, node_ip_address=ip, object_store_memory=80 * 2**20, wait=False)
        )

    def kill(self, node: int) -> None:
        """Lose a node, with all that runs on it."""
        self._cluster.remove_node(self.nodes[node], allow_graceful=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cluster.shutdown()
        self._alone.release()
