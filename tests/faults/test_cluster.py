"""A node of a cluster is lost: what its runs had put into the shared stores is enough to go on elsewhere."""

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
from tests.faults.whole import check_whole
from tests.launch.clusters import RayCluster
from tests.launch.hold import Hold
from tests.launch.processes import Launcher
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
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
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


def test_a_node_is_lost_from_a_cluster_of_three_with_shared_stores(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    left_alone: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MLflow's server and Optuna on PostgreSQL, artifacts by the server's proxy in S3; no folder is shared."""
    here = left_alone(GRID)
    runs = NETS * SEEDS
    hold = Hold(tmp_path_factory.mktemp("hold"), monkeypatch)
    with (
        postgres() as database,
        s3(tmp_path, monkeypatch) as bucket,
        Server(tmp_path, deployed(database, bucket)) as server,
        RayCluster(nodes=3) as cluster,
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        (tmp_path / "g.yaml").write_text(GRID)
        storage = with_database(database, "optuna")
        words = ("--executor", "ray", "--address", cluster.address, "--workers", "3", "--checkpoint-every", "0.5")
        with hold:
            launcher = Launcher(tmp_path, "launcher", *words, "--set", f"tune.storage={storage}")
            hold.until_held(3)
            cluster.kill(1)
            launcher.until_it_says("its worker was lost")
        said = launcher.end()
        assert hold.resumed
        assert f"{runs} runs and {TRIALS} trials done" in said
        assert len(load_runs("g", server.address)) == runs
        check_whole(tmp_path, here, server.address, database=database, storage=storage)
        # The weights are in the bucket, and what was there to go on from is gone.
        import boto3

        client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        names = [found["Key"] for page in pages for found in page["Contents"]]
        assert sum(name.endswith("/checkpoint/checkpoint.pt") for name in names) == runs
        assert not [name for name in names if "/resume/" in name]
        done = run_study(tmp_path, "report", "--experiment", "g")
        assert done.returncode == 0, done.stderr
