"""The files under deploy/: their commands are those that tests start by hand, since docker may not be here."""

import re
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


def test_the_image_has_a_user_of_its_own_who_owns_what_it_writes_to() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["study"]
    assert any(line.startswith("RUN useradd") and line.split("&&")[0].split()[-1] == "study" for line in lines)
    assert "ENV HOME=/home/study" in lines  # where Ray's autoscaler puts its files: it doesn't ask the user's account
    owned = next(line for line in lines if "install --directory --owner=study" in line).split()
    for name, service in COMPOSE["services"].items():
        assert "user" not in service
        for volume in service.get("volumes", []) if "build" in service else []:
            source, _, target = volume.rpartition("}")[2].partition(":")
            assert target.endswith(":ro") or target in owned or source == "../reports", f"{name}: {volume}"


def test_the_checkout_is_mounted_read_only_and_reports_can_be_written() -> None:
    volumes = COMPOSE["services"]["study"]["volumes"]
    assert "..:/checkout:ro" in volumes
    assert (DEPLOY / "../reports").is_dir()  # docker would make it for root
    assert "../reports:/work/reports" in volumes


def test_images_can_be_given_by_digest() -> None:
    arguments = {"BASE", "USER_ID", "POSTGRES"}
    text = (DEPLOY / "docker-compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{([A-Z_]+):-", text)) - {"STUDY_DATA"} == arguments
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    base = COMPOSE["services"]["mlflow"]["build"]["args"]["BASE"]
    assert f"ARG BASE={base.removeprefix('${BASE:-').removesuffix('}')}\nFROM $BASE\n" in dockerfile
    for service in COMPOSE["services"].values():
        assert "build" in service or re.fullmatch(r"\$\{[A-Z]+:-[\w:.]+\}", service["image"])


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
