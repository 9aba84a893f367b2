"""Runs on a Ray cluster: the same results as here, also where a node is lost and another joins."""

from pathlib import Path

import pytest

from tests.faults.whole import SHORT, check_whole, left_in_peace
from tests.launch.clusters import RayCluster
from tests.launch.processes import Launcher

pytest.importorskip("ray", reason="Ray isn't installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return left_in_peace(tmp_path_factory.mktemp("here"), SHORT)


def test_a_node_is_lost_and_another_joins(tmp_path: Path, here: Path) -> None:
    with RayCluster(nodes=2) as cluster:
        (tmp_path / "g.yaml").write_text(SHORT)
        words = ("--executor", "ray", "--address", cluster.address, "--workers", "3", "--checkpoint-every", "0.3")
        launcher = Launcher(tmp_path, "launcher", *words)
        launcher.until_it_says("trial 0")
        cluster.kill(0)
        cluster.add()
        launcher.end()
    check_whole(tmp_path, here)
