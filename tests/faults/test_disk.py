"""A disk that is full, for a while or from the start, and a folder that can't be written to."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import run_study
from tests.faults.disks import fill, make_read_only, small_disk
from tests.faults.test_stops import WITHIN
from tests.faults.whole import ONE_NET, check_whole
from tests.launch.processes import Launcher, wait_for

WORDS = ("--workers", "2", "--checkpoint-every", "0")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(ONE_NET)


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(32) as folder:
        (folder / "g.yaml").write_text(ONE_NET)
        yield folder


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Where launchers' messages go: not on the full disk."""
    return tmp_path


def at_work(disk: Path, talk: Path) -> Launcher:
    launcher = Launcher(disk, "launcher", *WORDS, messages=talk)
    wait_for(lambda: any((disk / "mlruns" / ".checkpoints" / "g").glob("*/checkpoint.pt")))
    return launcher


def fill_until_it_waits(disk: Path, launcher: Launcher) -> Path:
    """Leave the launcher no room, nor what the checkpoints of a trial that ends give back; return what takes it."""

    def waits() -> bool:
        fill(disk)
        return launcher.says("waiting for ") or launcher.process.poll() is not None

    wait_for(waits)
    assert launcher.says("waiting for "), launcher.messages.read_text()
    return fill(disk)


def test_a_disk_that_is_full_for_a_while(disk: Path, talk: Path, undisturbed: Path) -> None:
    """Runs go on without checkpoints, what they say is kept, and all is there when there is room again."""
    launcher = at_work(disk, talk)
    filler = fill_until_it_waits(disk, launcher)
    time.sleep(3)
    assert launcher.process.poll() is None
    filler.unlink()
    said = launcher.end()
    assert "no checkpoint can be written" in said  # perhaps heard only now: the launcher was waiting
    assert "No space left on device" in said
    assert "it is back after" in said
    check_whole(disk, undisturbed)


def test_a_stop_while_the_disk_is_full(disk: Path, talk: Path, undisturbed: Path) -> None:
    launcher = at_work(disk, talk)
    filler = fill_until_it_waits(disk, launcher)
    os.killpg(launcher.process.pid, signal.SIGTERM)
    assert launcher.process.wait(timeout=WITHIN) == 130
    assert "Traceback" not in launcher.messages.read_text()
    filler.unlink()
    Launcher(disk, "again", *WORDS, messages=talk).end()
    check_whole(disk, undisturbed)


def test_a_disk_that_is_full_from_the_start(disk: Path) -> None:
    fill(disk)
    done = run_study(disk, "run", "--grid", "g.yaml")
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["g", "error"], done.stderr
    assert "full" in done.stderr or "No space left" in done.stderr


def test_a_folder_that_cannot_be_written_to(disk: Path, tmp_path: Path) -> None:
    """A study there can be read and reported on; another report or run is refused in a line."""
    words = ("--set", "recipe.lr=0.05", "--set", "recipe.epochs=1")
    assert run_study(disk, "run", "--grid", "g.yaml", *words).returncode == 0
    make_read_only(disk, on=True)
    try:
        status = run_study(disk, "status")
        report = run_study(disk, "report", "--out", str(tmp_path / "elsewhere"))
        report_there = run_study(disk, "report")
        run_there = run_study(disk, "run", "--grid", "g.yaml", hook="tests.faults.disks:give_up_soon")
    finally:
        make_read_only(disk, on=False)
    assert (status.returncode, report.returncode) == (0, 0), status.stderr + report.stderr
    assert (tmp_path / "elsewhere" / "g" / "index.html").exists() or (tmp_path / "elsewhere" / "index.html").exists()
    for done in (report_there, run_there):
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("error: "), done.stderr
        assert "Traceback" not in done.stderr
        assert "read-only" in done.stderr.lower() or "readonly" in done.stderr, done.stderr


def test_a_report_on_a_full_disk_leaves_the_old_one(disk: Path) -> None:
    """Wherever in its making the disk is full: some libraries have errors of their own for that."""
    words = ("--set", "recipe.lr=0.05", "--set", "recipe.epochs=1")
    assert run_study(disk, "run", "--grid", "g.yaml", *words).returncode == 0
    assert run_study(disk, "report").returncode == 0
    page = next((disk / "reports").rglob("index.html"))
    before = page.read_bytes()
    for room in (0, 60, 250):  # KiB; the whole is about 600
        left = disk / "left"
        left.write_bytes(bytes(1024 * room))
        filler = fill(disk)
        left.unlink()
        done = run_study(disk, "report", "--style", "paper")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert page.read_bytes() == before
        assert [path.name for path in page.parent.parent.iterdir()] == [page.parent.name]
        filler.unlink()
