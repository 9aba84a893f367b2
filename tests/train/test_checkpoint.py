import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.train.checkpoint import DamagedCheckpoint, find_checkpoint, load_checkpoint, previous, save_checkpoint

CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "checkpoint.pt"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(40.0), "step": 7})
    return path.read_bytes()


def test_round_trip_keeps_values_and_memory_format(path: Path) -> None:
    weights = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    save_checkpoint(path, {"weights": weights, "step": 3, "history": [{"a": 0.1}]})
    read = load_checkpoint(path, CPU)
    assert torch.equal(read["weights"], weights)
    assert read["weights"].is_contiguous(memory_format=torch.channels_last)
    assert (read["step"], read["history"]) == (3, [{"a": 0.1}])
    assert torch.load(path, weights_only=True)["step"] == 3  # PyTorch's own file
    with zipfile.ZipFile(path) as archive:
        assert re.fullmatch(rb"sha256:[0-9a-f]{64}", archive.comment)


def test_there_may_be_none(path: Path) -> None:
    found = find_checkpoint(path, CPU)
    assert found == (None, ())


def test_two_are_kept(path: Path) -> None:
    for step in range(4):
        save_checkpoint(path, {"step": step})
    assert [load_checkpoint(one, CPU)["step"] for one in (path, previous(path))] == [3, 2]
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_a_write_that_fails_leaves_the_old_ones_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(path, {"step": 1})
    save_checkpoint(path, {"step": 2})

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 3})
    assert [load_checkpoint(one, CPU)["step"] for one in (path, previous(path))] == [2, 1]
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("moment", ["write", "first rename", "second rename"])
def test_a_process_killed_while_it_writes_leaves_a_whole_one(path: Path, moment: str) -> None:
    """In a process of its own, which ends at once in the middle of the third."""
    save_checkpoint(path, {"step": 1})
    save_checkpoint(path, {"step": 2})
    child = os.fork()
    if child == 0:
        real, calls = Path.replace, []

        def replace(self: Path, target: Path) -> Path:
            calls.append(target)
            if moment == f"{('first', 'second')[len(calls) - 1]} rename":
                os._exit(9)
            return real(self, target)

        def fsync(_file: int) -> None:
            os._exit(9)

        Path.replace = replace  # type: ignore[method-assign, assignment]
        if moment == "write":
            os.fsync = fsync  # type: ignore[assignment]
        save_checkpoint(path, {"step": 3})
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    found = find_checkpoint(path, CPU)
    assert found.values == {"step": 2}
    assert not found.damaged
    save_checkpoint(path, {"step": 3})  # and what it left is in nobody's way
    assert [load_checkpoint(one, CPU)["step"] for one in (path, previous(path))] == [3, 2]


@given(data=st.data())
def test_any_byte_altered_or_cut_off_is_noticed(data: Any, written: bytes, tmp_path_factory: Any) -> None:
    place = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        damaged = written[:place]
    else:
        other = data.draw(st.integers(1, 255))
        damaged = written[:place] + bytes([written[place] ^ other]) + written[place + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "checkpoint.pt"
    path.write_bytes(damaged)
    with pytest.raises(DamagedCheckpoint, match=str(path)):
        load_checkpoint(path, CPU)


def test_a_damaged_one_is_told_and_removed_and_the_one_before_used(path: Path) -> None:
    save_checkpoint(path, {"step": 1})
    save_checkpoint(path, {"step": 2})
    path.write_bytes(path.read_bytes()[:-100])
    found = find_checkpoint(path, CPU)
    assert found.values == {"step": 1}
    assert [str(path) in line for line in found.damaged] == [True]
    save_checkpoint(path, {"step": 2})
    assert [load_checkpoint(one, CPU)["step"] for one in (path, previous(path))] == [2, 1]


def test_both_damaged_is_a_new_beginning(path: Path) -> None:
    for step in (1, 2):
        save_checkpoint(path, {"step": step})
    for one in (path, previous(path)):
        one.write_bytes(b"")
    found = find_checkpoint(path, CPU)
    assert found.values is None
    assert len(found.damaged) == 2
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), torch.AcceleratorError("CUDA error: out of memory")],
    ids=repr,
)
def test_too_little_memory_is_not_damage(path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Nor is any other fault of a device: the checkpoint stays."""

    def load(*_: object, **__: object) -> object:
        raise error

    save_checkpoint(path, {"step": 1})
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(type(error)):
        find_checkpoint(path, CPU)
    monkeypatch.undo()
    assert find_checkpoint(path, CPU).values == {"step": 1}


def test_nothing_but_plain_values_is_unpickled(path: Path) -> None:
    """A class of somebody else's is refused, whole as the file may be."""
    save_checkpoint(path, {"step": Path("/")})
    with pytest.raises(DamagedCheckpoint, match=r"weights_only|Weights only"):
        load_checkpoint(path, CPU)


def test_what_another_version_wrote_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.train.checkpoint.FORMAT", 1)
    save_checkpoint(path, {"step": 1})
    monkeypatch.undo()
    with pytest.raises(DamagedCheckpoint, match="another version"):
        load_checkpoint(path, CPU)
