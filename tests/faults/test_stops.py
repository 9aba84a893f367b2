"""SIGTERM, Ctrl-C and the end of a terminal: a checkpoint first, then the end, within ten seconds."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from study.train import load_checkpoint
from tests.faults.whole import check_whole
from tests.launch.processes import Launcher, records, wait_for, workers

GRID = """
name: g
dataset: {name: digits, train_limit: 400, test_limit: 100}
recipe: {epochs: 30, batch_size: 32, lr: 0.05, precision: fp32}
grid: {net: [plain-8, resnet-8], seed: 0}
"""
WITHIN = 15.0
"""Seconds that a stop may take: ten where the machine has nothing else to do, but tests share it."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(GRID)


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "mlruns" / ".checkpoints" / "g").glob("*/checkpoint.pt"))


def steps(folder: Path) -> list[int]:
    return [load_checkpoint(path, torch.device("cpu"))["step"] for path in checkpoints(folder)]


def at_work(folder: Path) -> Launcher:
    """Start the grid; return when both nets train."""
    (folder / "g.yaml").write_text(GRID)
    launcher = Launcher(folder, "launcher", "--workers", "2", "--checkpoint-every", "0.5")
    wait_for(lambda: len(checkpoints(folder)) == 2)
    assert launcher.process.poll() is None, launcher.messages.read_text()
    return launcher


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_checkpoint_first_and_then_the_end(tmp_path: Path, undisturbed: Path, number: signal.Signals) -> None:
    """The signal goes to all processes, as from a terminal, a batch system or a machine that shuts down."""
    launcher = at_work(tmp_path)
    before = steps(tmp_path)
    time.sleep(0.5)
    os.killpg(launcher.process.pid, number)
    assert launcher.process.wait(timeout=WITHIN) == 130
    assert all(after > step for step, after in zip(before, steps(tmp_path), strict=True))
    assert {record.status for record in records(tmp_path) if record.kind == "run"} == {"KILLED"}
    said = launcher.messages.read_text()
    assert "to go on: study run --grid g.yaml" in said
    assert "Traceback" not in said
    if number == signal.SIGTERM:  # the others end the same way
        Launcher(tmp_path, "again", "--workers", "2").end()
        check_whole(tmp_path, undisturbed)


def test_a_second_one_leaves_at_once(tmp_path: Path) -> None:
    """Here the workers can't even write a checkpoint: they are suspended."""
    launcher = at_work(tmp_path)
    mine = workers(launcher.process)
    for worker in mine:
        worker.suspend()
    launcher.process.send_signal(signal.SIGINT)
    launcher.until_it_says("stopping")
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.process.wait(timeout=WITHIN) == 130
    said = launcher.messages.read_text()
    assert "nothing is lost: run the same command again" in said
    assert "too slow to write another checkpoint" not in said  # it didn't wait for them
    wait_for(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in mine))


def test_workers_that_do_not_stop_hold_nobody_up(tmp_path: Path, undisturbed: Path) -> None:
    launcher = at_work(tmp_path)
    for worker in workers(launcher.process):
        worker.suspend()
    launcher.process.send_signal(signal.SIGTERM)
    assert launcher.process.wait(timeout=WITHIN) == 130
    assert "was too slow to write another checkpoint; its last one stands" in launcher.messages.read_text()
    Launcher(tmp_path, "again", "--workers", "2").end()
    check_whole(tmp_path, undisturbed)
