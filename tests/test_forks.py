"""A fork is to a test what a process that `subprocess.Popen` starts would be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.forks import Fork, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the program is forked on Linux alone")


def facts(_: str) -> None:
    """What a process is, as JSON."""
    told = {
        "cwd": os.fspath(Path.cwd()),
        "group": os.getpgid(0),
        "cache": os.environ["STUDY_CACHE"],
        "handlers": {number.name: repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)},
    }
    sys.stdout.write(f"{json.dumps(told)}\n")


def sleep(text: str) -> None:
    Path(text).touch()
    time.sleep(600)


def test_it_has_its_own_folder_environment_group_and_files(tmp_path: Path) -> None:
    environment = {**os.environ, "STUDY_CACHE": "somewhere"}
    process = start(
        ("--version",),
        hook="tests.test_forks:facts",
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert isinstance(process, Fork)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    told = json.loads(out.splitlines()[0])
    assert told["cwd"] == str(tmp_path)
    assert told["group"] == process.pid
    assert told["cache"] == "somewhere"
    assert "default_int_handler" in told["handlers"]["SIGINT"]
    assert "SIG_DFL" in told["handlers"]["SIGTERM"]
    assert out.splitlines()[1].startswith("study ")


def test_it_is_waited_for_and_killed(tmp_path: Path) -> None:
    process = start(("--version",), hook=f"tests.test_forks:sleep {tmp_path / 'begun'}")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.1)
    process.kill()
    assert process.wait(timeout=60) == process.poll() == -signal.SIGKILL
    process.kill()  # once more does nothing


def test_exit_codes_and_messages() -> None:
    with start(("--nonsense",), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert out == ""
    assert "Usage: python -m study" in err


def test_code_of_a_tests_own_is_loaded_first(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine first')\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    with start(("--version",), env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True) as process:
        assert isinstance(process, Fork)
        assert process.communicate(timeout=300)[0].startswith("mine first\nstudy ")


@pytest.mark.parametrize("name", ["MPLBACKEND", "PYTHONHASHSEED", "OMP_NUM_THREADS", "PYTHONPATH"])
def test_what_is_read_at_load_takes_a_real_interpreter(tmp_path: Path, name: str) -> None:
    (tmp_path / "torch.py").touch()
    value = {"MPLBACKEND": "svg", "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}.get(name, "2")
    with start(("--version",), env={**os.environ, name: value}, stdout=subprocess.PIPE, text=True) as process:
        assert not isinstance(process, Fork)
        assert process.communicate(timeout=300)[0].startswith("study ")


def test_what_pytorch_sets_itself_keeps_no_fork_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "somewhere")  # as its compiler does when a test's module loads it
    process = start(("--version",), stdout=subprocess.PIPE)
    assert isinstance(process, Fork)
    assert process.communicate(timeout=300)[0].startswith(b"study ")
