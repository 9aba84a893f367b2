"""The files under deploy/: their commands are those that tests start by hand, since docker may not be here."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text(encoding="utf-8"))


def test_the_parts_call_each_other_by_their_names() -> None:
    services = COMPOSE["services"]
    words = [word for service in services.values() for word in service.get("command", [])]
    hosts = [word.partition("@")[2].partition("/")[0] for word in words if "@" in word]
    hosts += [word.partition("=")[2].partition(":")[0] for word in words if word.startswith("--address=")]
    assert set(hosts) == {"postgres", "head"}
    assert set(hosts) <= set(services)
    server = services["study"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert any(word.startswith("--allowed-hosts=") and server in word for word in words)
    assert {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])} >= set(
        COMPOSE["volumes"]
    )


@pytest.mark.parametrize("service", ["head", "node"])
def test_ray_understands_the_commands(service: str) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="Ray isn't installed")
    program, command, *words = COMPOSE["services"][service]["command"]
    assert (program, command) == ("ray", "start")
    scripts.start.make_context("start", list(words))  # raises at an option that there isn't


def test_ray_understands_the_cluster_file() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util", reason="Ray isn't installed")
    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text(encoding="utf-8"))
    util.validate_config(config | {"cluster_synced_files": []})  # `ray up` adds that


def test_the_image_holds_what_the_program_needs(tmp_path: Path) -> None:
    """What the Dockerfile copies is enough to build the package from."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if line.startswith("COPY")):
        *sources, target = line.split()[1:]
        for source in sources:
            found = DEPLOY.parent / source
            if found.is_dir():
                shutil.copytree(found, tmp_path / target)
            else:
                shutil.copy(found, tmp_path / target)
    code = "import setuptools.build_meta as b; print(b.prepare_metadata_for_build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Provides-Extra: ray" in next(tmp_path.glob("*.dist-info/METADATA")).read_text()
