"""What is recorded of where a run ran, and the digest of the code that decides its result."""

import shutil
from pathlib import Path

import pytest
import torch

import study
from study.launch.environment import COVERED_BY_FINGERPRINT, DECIDES, code, digest_of, environment

STUDY = Path(study.__file__).parent


@pytest.fixture
def program(tmp_path: Path) -> Path:
    copy = shutil.copytree(STUDY, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__", "templates"))
    assert digest_of(copy) == code()  # where it lies makes no difference
    return copy


@pytest.mark.parametrize(
    "name",
    [
        "nets/blocks.py",
        "train/step.py",
        "train/arithmetic.py",
        "data/augment.py",
        "data/batches.py",
        "data/normalize.py",
        "data/seeds.py",
        "data/views.py",
        "names.py",
        "config/recipe.py",
    ],
)
def test_code_that_decides_results_changes_the_digest(program: Path, name: str) -> None:
    with (program / name).open("a") as file:
        file.write("SPEED = 2\n")
    assert digest_of(program) != code()


def test_a_file_more_or_less_changes_the_digest(program: Path) -> None:
    (program / "train" / "new.py").write_text('"""New."""\n')
    more = digest_of(program)
    (program / "train" / "new.py").rename(program / "train" / "newer.py")
    assert len({code(), more, digest_of(program)}) == 3


@pytest.mark.parametrize(
    "name",
    [
        "launch/scheduler/run_logger.py",
        "verdict/verdict.py",
        "track/tags.py",
        "tune/search.py",
        "cli/app.py",
        "data/download.py",
        "data/decode.py",  # the fingerprint tells what it comes to
    ],
)
def test_other_code_does_not(program: Path, name: str) -> None:
    assert (program / name).exists()
    with (program / name).open("a") as file:
        file.write("SPEED = 2\n")
    assert digest_of(program) == code()


def test_ends_of_lines_do_not(program: Path) -> None:
    path = program / "train" / "step.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digest_of(program) == code()


def test_the_files_it_names_are_there() -> None:
    assert [name for name in (*DECIDES, *COVERED_BY_FINGERPRINT) if not (STUDY / name).exists()] == []


def test_versions_and_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    found = environment.__wrapped__()
    assert all(found.values())
    assert found["torch"] == torch.__version__
    assert found["cpu capability"] == torch.backends.cpu.get_cpu_capability()
    assert "MKL_CBWR=COMPATIBLE" in found["library settings"]
    assert found.keys() >= {"study", "code", "python", "numpy", "system", "processor", "memory", "oneDNN"}
    assert ("gpu" in found) is torch.cuda.is_available()


def test_a_gpu_is_told_with_its_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 580.1\necho 580.1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU {i}")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    found = environment.__wrapped__()
    assert (found["gpu"], found["driver"], found["cudnn"]) == ("GPU 0, GPU 1", "580.1", "91002")
    tool.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "driver" not in environment.__wrapped__()  # nobody tells it
