"""Runs on a Ray cluster: the same results as here, also where a node is lost and another joins, and after a stop."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.track.frames import load_runs
from tests.conftest import run_study
from tests.faults.test_stops import WITHIN
from tests.faults.whole import SHORT, check_whole
from tests.launch.clusters import RayCluster
from tests.launch.hold import Hold
from tests.launch.processes import Launcher, uri
from tests.launch.sabotage import shadow
from tests.nets.own_nets import GRID, own

pytest.importorskip("ray", reason="Ray isn't installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(SHORT)


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hold]:
    with pytest.MonkeyPatch.context() as patch:
        yield Hold(tmp_path_factory.mktemp("hold"), patch)


@pytest.fixture(scope="module")
def cluster(hold: Hold) -> Iterator[RayCluster]:
    with RayCluster(nodes=2) as made:
        yield made


def launcher(folder: Path, cluster: RayCluster, *words: str, name: str = "launcher") -> Launcher:
    (folder / "g.yaml").write_text(SHORT)
    shadow(folder)
    return Launcher(folder, name, "--executor", "ray", "--address", cluster.address, "--workers", "3", *words)


def test_a_stop_leaves_checkpoints_and_the_same_command_goes_on(
    cluster: RayCluster, tmp_path: Path, here: Path
) -> None:
    first = launcher(tmp_path, cluster, "--checkpoint-every", "1000")
    first.until_it_says("trial 0")
    os.killpg(first.process.pid, signal.SIGINT)
    assert first.process.wait(timeout=WITHIN) == 130
    said = launcher(tmp_path, cluster, name="again").end()
    assert "its worker was lost" not in said
    check_whole(tmp_path, here)


def test_nets_of_ones_own_need_no_file_where_the_actors_run(cluster: RayCluster, tmp_path: Path) -> None:
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "g.yaml").write_text(GRID)
    gone = "import torch, pathlib\npathlib.Path(__file__).unlink(missing_ok=True)\n"  # once the launcher has loaded it
    own(tmp_path / "grids", ("import torch\n", gone))
    words = ("--executor", "ray", "--address", cluster.address, "--workers", "2")
    done = run_study(tmp_path, "run", "--grid", "grids/g.yaml", *words)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "grids" / "nets.py").exists()
    assert load_runs("g", uri(tmp_path))["outcome"].tolist() == ["finished", "finished"]


def test_a_node_is_lost_and_another_joins(cluster: RayCluster, hold: Hold, tmp_path: Path, here: Path) -> None:
    with hold:
        running = launcher(tmp_path, cluster, "--checkpoint-every", "0.3")
        hold.until_held(2)
        cluster.kill(0)
        running.until_it_says("its worker was lost")
    cluster.add()
    running.end()
    assert hold.resumed
    check_whole(tmp_path, here)
