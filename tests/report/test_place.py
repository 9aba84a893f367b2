import os
import signal
from pathlib import Path

import pytest

from study.report import place
from study.report.place import MARKS, swapped_in


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
        "index.html": "new", "verdict.json": "new", "notes": "mine"
    }  # fmt: skip
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
