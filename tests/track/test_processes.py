"""Which owners are known to be dead, and what dead ones left in temporary folders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from study.track.processes import is_dead, scratch_folder, this_process
from tests.launch.processes import another_process

module = sys.modules["study.track.processes"]
UNSHARE = ("unshare", "--pid", "--fork", "--kill-child")
ASK = "import sys; from study.track.processes import is_dead; sys.exit(10 + is_dead(sys.argv[1]))"


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    module._name.cache_clear()
    yield
    module._name.cache_clear()


@pytest.fixture(params=["with /proc", "without /proc"])
def _system(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux, and what has no `/proc`."""
    if request.param == "without /proc":
        monkeypatch.setattr(module, "BOOT", tmp_path / "none")


@pytest.mark.usefixtures("_system")
def test_owners() -> None:
    me = this_process()
    host, system, pid, start = me.split(":")
    assert not is_dead(me)
    assert is_dead(f"{host}:{system}:{pid}:{start}0")  # the number has come round: this is another process
    assert not is_dead(f"{host}:x{system}:{pid}:{start}0")  # another machine, boot or container: nobody knows
    assert not any(is_dead(name) for name in ("", "what", host, f"{host}:{system}:x:y", f"{host}:{system}", f":{me}"))
    assert not is_dead(f"{host}:{system}:{'9' * 30}:{start}")


@pytest.mark.usefixtures("_system")
def test_a_process_that_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host, system, *_ = this_process().split(":")
        name = f"{host}:{system}:{process.pid}:{module._start(process.pid)}"
        assert not is_dead(name)
    assert is_dead(name)


@pytest.mark.skipif(not module.BOOT.exists(), reason="not Linux")
def test_a_host_that_was_renamed_and_a_clock_that_was_set_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = this_process()
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")
    began = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) + 60)
    module._name.cache_clear()
    assert this_process().split(":")[1:] == before.split(":")[1:]
    assert not is_dead(before)


@pytest.mark.skipif(not module.BOOT.exists(), reason="not Linux")
def test_any_name_of_a_command_will_do() -> None:
    rename = "open('/proc/self/comm', 'w').write(') Z 1 (')"
    code = f"{rename}; from study.track.processes import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not is_dead(name)
    assert is_dead(name)


def test_a_process_that_is_hidden_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def unseen(_pid: int) -> str:
        raise FileNotFoundError

    with another_process() as (name, _):
        monkeypatch.setattr(module, "_start", unseen)
        assert not is_dead(name)
    assert is_dead(name)


@pytest.mark.parametrize("more", [["--mount-proc"], []], ids=["its own /proc", "the /proc of the host"])
def test_of_another_pid_namespace_nothing_is_known(more: list[str]) -> None:
    """As of a container's processes, seen from the host, the other way round, or from a second one."""
    inside = [*UNSHARE, *more]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no PID namespace can be made here")

    def asked_inside(name: str) -> int:
        return subprocess.run([*inside, sys.executable, "-c", ASK, name], check=False).returncode

    me = this_process()
    assert asked_inside(me) == 10
    with another_process(*inside) as (name, _):
        assert name.split(":")[2] == "1"
        assert not is_dead(name)
        assert asked_inside(name) == 10
    assert not is_dead(name)  # its lease decides


def test_inside_a_namespace_with_the_proc_of_the_host_nothing_is_known_of_siblings() -> None:
    """There, numbers of processes mean others than in `/proc`."""
    if subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no PID namespace can be made here")
    code = (
        "import os; from study.track.processes import is_dead, this_process; print(is_dead(this_process()), flush=True)"
    )
    asked = subprocess.run([*UNSHARE, sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert asked.stdout.strip() == "False"


def test_folders_of_the_dead_are_deleted(tmp_path: Path) -> None:
    """And neither those of the living, nor of others than this machine's, nor what isn't ours."""
    with another_process() as (name, _):
        dead = tmp_path / f"study-workers-{name}-abc"
        (dead / "inner").mkdir(parents=True)
    with another_process() as (name, _):
        kept = [f"study-workers-{owner}-abc" for owner in (name, this_process(), "elsewhere:x:1:1", "x", "")]
        kept.append(dead.name.replace("workers", "others"))
        for folder in kept:
            (tmp_path / folder).mkdir()
        with scratch_folder("study-workers-", tmp_path) as made:
            assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, Path(made).name])
    assert not Path(made).exists()
