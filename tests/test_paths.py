"""Whether a folder can be written to."""

import errno
import tempfile
from pathlib import Path

import pytest

from study.errors import StudyError
from study.paths import check_writable


@pytest.mark.parametrize("place", [".", "new", "new/deeper"])
def test_a_folder_that_is_there_or_can_be_made(tmp_path: Path, place: str) -> None:
    check_writable(tmp_path / place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_its_place(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StudyError, match=rf"^can't write in {tmp_path / place}: Not a directory: make it writable, or"):
        check_writable(tmp_path / place)


def test_a_disk_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(StudyError, match="Read-only file system"):
        check_writable(tmp_path)
