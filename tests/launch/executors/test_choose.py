"""Where workers run, and what is said where they can't."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from study.errors import StudyError
from study.launch.executors import slurm as slurm_executor
from study.launch.executors.base import Hardware
from study.launch.executors.devices import choose_executor, threads_per_process
from study.launch.executors.local import LocalExecutor
from study.launch.messages import Ready
from study.launch.scheduler.worker_pool import WorkerPool


def test_this_machine_by_default() -> None:
    placement = choose_executor(Hardware(workers=3, device="cpu"), 8, 1, Path("/studies"))
    try:
        assert isinstance(placement.executor, LocalExecutor)
        assert placement.workers.devices == [("cpu",)] * 3
    finally:
        placement.executor.close()


@pytest.mark.parametrize(
    ("hardware", "said"),
    [
        (Hardware(address="1.2.3.4:6379"), "--address is for clusters: add --executor ray"),
        (Hardware(memory=4), "--memory-per-worker is for clusters"),
        (Hardware(executor="ray", device="cuda:1"), "--device cuda:1: on a cluster the scheduler says which GPU"),
        (Hardware(executor="slurm", gpus=0.5), "--gpus-per-worker 0.5: Slurm gives whole GPUs"),
        (Hardware(executor="slurm", address="1.2.3.4:1"), "--address: Slurm's commands know their cluster"),
    ],
)
def test_what_does_not_fit_is_said(hardware: Hardware, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        choose_executor(hardware, 8, 1, None)


def test_runs_over_several_gpus() -> None:
    placement = choose_executor(Hardware(workers=2, device="cpu"), 8, 2, None)
    placement.executor.close()
    assert placement.workers.devices == [("cpu", "cpu")] * 2
    assert placement.workers.names == ["cpu+cpu"] * 2
    with pytest.raises(StudyError, match=r"'gpus_per_run: 4' needs 4 GPUs of one machine, and --gpus-per-worker is 2"):
        choose_executor(Hardware(executor="ray", gpus=2), 8, 4, None)


def test_threads_of_a_process() -> None:
    assert threads_per_process(("cpu",), 8) == threads_per_process(("cpu", "cpu"), 8) == 1
    assert threads_per_process(("cuda:0",), 8) == 8
    assert threads_per_process(("cuda:0", "cuda:1"), 8) == 4
    assert threads_per_process(("cuda:0",), 0) == 1


@pytest.mark.parametrize(
    ("hardware", "devices", "threads"),
    [
        (Hardware(executor="slurm", gpus=2, cpus=8), ("cuda:0", "cuda:1"), 4),
        (Hardware(executor="slurm", device="cuda", cpus=8), ("cuda:0", "cuda:1"), 4),  # as many as a run asks for
        (Hardware(executor="slurm", device="cpu", cpus=8), ("cpu", "cpu"), 1),
    ],
)
def test_a_worker_elsewhere_has_the_gpus_of_a_run(
    hardware: Hardware, devices: tuple[str, ...], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.launch.executors.slurm.SlurmExecutor", lambda *_: None)
    workers = choose_executor(hardware, 1, 2, None).workers
    assert (workers.devices, workers.threads) == ([devices], threads)


def test_without_ray_without_slurm_or_without_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="sbatch isn't found"):
        choose_executor(Hardware(executor="slurm"), 8, 1, None)
    pytest.importorskip("ray", reason="Ray isn't installed")
    with pytest.raises(StudyError, match=r"no cluster at 127\.0\.0\.1:1: .*refused"):
        choose_executor(Hardware(executor="ray", address="127.0.0.1:1"), 8, 1, None)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudyError, match=r"Ray isn't installed; pip install"):
        choose_executor(Hardware(executor="ray"), 8, 1, None)


@pytest.mark.parametrize(
    ("nodes", "address"),
    [
        ("n1 n1 n2", "10.0.0.5"),  # that of the way to another machine, where there is one
        ("n1", "127.0.0.1"),
        ("gone n2", "10.0.0.5"),
        ("gone", "launcher"),
        ("", "launcher"),
    ],
)
def test_slurms_nodes_say_which_address_they_reach(nodes: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess("sinfo", 0, nodes.replace(" ", "\n"), "")
    ways = {"n1": "127.0.0.1", "n2": "10.0.0.5", "gone": ""}
    monkeypatch.setattr(slurm_executor, "_slurm", lambda *_: answer)
    monkeypatch.setattr(slurm_executor, "local_address_towards", ways.__getitem__)
    monkeypatch.setattr(socket, "gethostname", lambda: "launcher")
    assert slurm_executor._own_address() == address


def test_a_worker_that_cannot_be_used_ends_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """One elsewhere says what it runs on; here, one of this machine is taken for such."""

    def rejection(_: LocalExecutor, info: Mapping[str, str]) -> str:
        assert info == Ready().info
        return "n1 runs other code"

    monkeypatch.setattr(LocalExecutor, "rejection", rejection)
    pool = WorkerPool(LocalExecutor(threads=1), [("cpu",)])
    try:
        with pytest.raises(StudyError, match="n1 runs other code"):
            list(pool.poll(60))
    finally:
        pool.kill()
