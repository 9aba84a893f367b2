import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from study.errors import StudyError
from study.report import publish as place
from study.report.publish import MARKS, swapped_in
from tests.faults.disks import small_disk


def fill(folder: Path, text: str) -> None:
    for name in MARKS:
        (folder / name).write_text(text)


def test_ctrl_c_in_the_middle_of_a_swap_waits_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with swapped_in(out) as new:
        fill(new, "old")
    (out / "notes").write_text("mine")
    swap = place._swap
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background

    def interrupted(new: Path, old: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        swap(new, old)

    monkeypatch.setattr(place, "_swap", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), swapped_in(out) as new:
            fill(new, "new")
    finally:
        signal.signal(signal.SIGINT, before)
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        "index.html": "new",
        "verdict.json": "new",
        "notes": "mine",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_ctrl_c_before_it_leaves_the_old_report(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with swapped_in(out) as new:
        fill(new, "old")

    def half() -> None:
        with swapped_in(out) as new:
            fill(new, "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert (out / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


KILLED = """
import os, signal, sys
from pathlib import Path
from study.report import publish as place

out, exchange = Path(sys.argv[1]), sys.argv[2] == "exchange"
if not exchange:
    place._exchange = lambda new, out: False


def report(text, kill_at=None):
    calls = 0

    def count(event, arguments):
        nonlocal calls
        if event.split(".")[0] in ("os", "shutil", "open", "fcntl", "ctypes"):
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if kill_at is not None:
        sys.addaudithook(count)
    with place.swapped_in(out) as new:
        for name in place.MARKS:
            (new / name).write_text(text)
        (new / "figures").mkdir()
        (new / "figures" / "a.png").write_text(text)


def child(*words):
    pid = os.fork()
    if pid == 0:
        report(*words)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state():
    return {str(path.relative_to(out.parent)): path.read_text() for path in sorted(out.parent.rglob("*"))
            if path.is_file() and path.name != ".out.lock"}


whole = lambda text: {"out/figures/a.png": text, "out/index.html": text, "out/verdict.json": text}
others = {"out/notes": "of the user", "out/more/deep": "too"}
kills = 0
while True:
    child("old")
    (out / "more").mkdir(exist_ok=True)
    for name, text in others.items():
        (out.parent / name).write_text(text)
    ended = child("new", kills + 1)
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
    kills += 1
    left = state()
    assert sorted(text for text in left.values() if text in others.values()) == sorted(others.values()), (kills, left)
    if exchange:
        assert left["out/index.html"] in ("old", "new"), (kills, left)
    assert child("next") == 0
    assert state() == {**whole("next"), **others}, (kills, state())
assert state() == {**whole("new"), **others}
print(kills)
"""


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_killed_at_any_call_it_loses_no_file_of_the_users(tmp_path: Path, way: str) -> None:
    """By a hook that Python calls before each call to the operating system."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "place" / "out"), way],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_this_system_exchanges_folders(tmp_path: Path) -> None:
    """So that the fallback isn't all that runs here."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert place._exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()
    with pytest.raises(FileNotFoundError, match="none"):
        place._exchange(tmp_path / "a", tmp_path / "none")


def test_what_was_left_where_the_report_is_gone_comes_back(tmp_path: Path) -> None:
    """Of an older version, whose first rename came before the second; and a file that has come since is kept too."""
    out, left = tmp_path / "out", tmp_path / ".out.old-12"
    left.mkdir()
    fill(left, "old")
    (left / "notes").write_text("mine")
    with pytest.raises(KeyboardInterrupt), swapped_in(out):
        raise KeyboardInterrupt
    assert (out / "index.html").read_text() == "old"

    left.mkdir()
    (left / "notes").write_text("earlier")
    (tmp_path / ".out.newer").mkdir()  # somebody else's
    with swapped_in(out) as new:
        fill(new, "new")
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        "index.html": "new",
        "verdict.json": "new",
        "notes": "mine",
        "notes.2": "earlier",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.newer", "out"]


def test_two_at_once_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(place, "LOCK_SECONDS", 0.1)
    with swapped_in(out) as new:
        with pytest.raises(StudyError, match="another process writes the report"), swapped_in(out):
            pass
        fill(new, "first")
    assert (out / "index.html").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    monkeypatch.setattr(place, "LOCK_SECONDS", 60)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(partial(write, out), range(40)))
    assert (out / "index.html").read_text() == (out / "verdict.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def write(out: Path, number: int) -> None:
    with swapped_in(out) as new:
        fill(new, str(number))


def test_a_file_that_cannot_be_moved_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write(out, 1)
    (out / "notes").write_text("mine")

    def refuse(path: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(place, "_free", refuse)
        with pytest.raises(PermissionError):
            write(out, 2)
    assert [path.read_text() for path in tmp_path.rglob("notes")] == ["mine"]
    write(out, 3)
    assert (out / "notes").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_mounted_folder_is_refused() -> None:
    """As a container's volume is: it can't change places with another."""
    with small_disk(1) as disk:
        with pytest.raises(StudyError, match=r"is a disk of its own.*give a folder in it"), swapped_in(disk):
            pass
        write(disk / "report", 1)
        assert [path.name for path in disk.iterdir()] == ["report"]
