"""Runs on a Ray cluster: the same results as here, also after a stop, and where a node is lost and another joins."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from study.track.frames import load_runs
from tests.conftest import run_study
from tests.faults.scale import injections
from tests.faults.test_stops import WITHIN
from tests.faults.whole import check_whole
from tests.launch.clusters import RayCluster
from tests.launch.hold import Hold
from tests.launch.processes import Launcher, uri
from tests.launch.sabotage import shadow
from tests.nets import own_nets
from tests.postgres import postgres, with_database
from tests.track.servers import Server

SEEDS = injections(2, "STUDY_SEEDS")
GRID = f"""
name: g
dataset: {{name: digits, train_limit: 300, test_limit: 100}}
recipe: {{epochs: 8, batch_size: 16, lr: tune, precision: fp32}}
tune: {{trials: 2, sampler: none, low: 0.01, high: 0.1, confirm: 0}}
grid: {{architecture: [plain, residual], depth: [8], seed: {list(range(SEEDS))}}}
"""
DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
NETS, TRIALS, BUCKET = 2, 4, "studies"

pytest.importorskip("ray", reason="Ray isn't installed")
pytestmark = pytest.mark.slow


@contextmanager
def s3(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a server that speaks S3, with one empty bucket, and let this process and its children know it."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    patch.setenv("AWS_ACCESS_KEY_ID", "study")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "study")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with (folder / "s3.log").open("w") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
        for _ in range(100):
            try:
                client.create_bucket(Bucket=BUCKET)
                break
            except Exception:
                assert server.poll() is None, (folder / "s3.log").read_text()
                time.sleep(0.2)
        yield f"s3://{BUCKET}/mlflow"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def deployed(database: str, bucket: str) -> list[str]:
    """Return the options of the tracking server that deploy/ starts, with another database and store."""
    compose = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text(encoding="utf-8"))
    options = dict(word.split("=", 1) for word in compose["services"]["mlflow"]["command"][2:])
    here = {"--backend-store-uri": database, "--artifacts-destination": bucket, "--allowed-hosts": "127.0.0.1:*"}
    assert set(here) < set(options)
    return [f"{name}={here.get(name, value)}" for name, value in options.items() if name not in ("--host", "--port")]


@pytest.fixture(scope="module")
def here(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(GRID)


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hold]:
    with pytest.MonkeyPatch.context() as patch:
        yield Hold(tmp_path_factory.mktemp("hold"), patch)


@pytest.fixture(scope="module")
def cluster(hold: Hold) -> Iterator[RayCluster]:
    with RayCluster(nodes=3) as made:
        yield made


def launcher(folder: Path, cluster: RayCluster, *words: str, name: str = "launcher") -> Launcher:
    (folder / "g.yaml").write_text(GRID)
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
    own_nets.write_vanishing(tmp_path / "grids")
    words = ("--executor", "ray", "--address", cluster.address, "--workers", "2")
    done = run_study(tmp_path, "run", "--grid", "grids/g.yaml", *words)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "grids" / "nets.py").exists()
    assert load_runs("g", uri(tmp_path))["outcome"].tolist() == ["finished", "finished"]


def test_a_node_is_lost_and_another_joins(
    cluster: RayCluster, hold: Hold, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lost node's runs had put into the shared stores is enough to go on elsewhere.

    MLflow's server and Optuna are on PostgreSQL, artifacts by the server's proxy in S3; no folder is shared.
    """
    runs = NETS * SEEDS
    with (
        postgres() as database,
        s3(tmp_path, monkeypatch) as bucket,
        Server(tmp_path, deployed(database, bucket)) as server,
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        storage = with_database(database, "optuna")
        with hold:
            running = launcher(tmp_path, cluster, "--checkpoint-every", "0.5", "--set", f"tune.storage={storage}")
            hold.until_held(3)
            cluster.kill(1)
            running.until_it_says("its worker was lost")
        cluster.add()
        said = running.end()
        assert hold.resumed
        assert f"{runs} runs and {TRIALS} trials done" in said
        assert len(load_runs("g", server.address)) == runs
        check_whole(tmp_path, here, server.address, database=database, storage=storage)
        # The weights are in the bucket, and what was there to go on from is gone.
        import boto3

        client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        names = [item["Key"] for page in pages for item in page["Contents"]]
        assert sum(name.endswith("/checkpoint/checkpoint.pt") for name in names) == runs
        assert not [name for name in names if "/resume/" in name]
        done = run_study(tmp_path, "report", "--experiment", "g")
        assert done.returncode == 0, done.stderr
