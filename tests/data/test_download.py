import hashlib

import pytest

from study.data.download import Remote, fetch
from study.errors import DataError


def remote(path, content=None):
    md5 = hashlib.md5(content if content is not None else path.read_bytes(), usedforsecurity=False).hexdigest()
    return Remote(path.name, path.as_uri(), md5)


def kept(folder):
    return {path.name for path in folder.iterdir()} - {".download.lock"}


@pytest.fixture
def files(tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    for name in ("one.gz", "two.gz"):
        (served / name).write_bytes(name.encode() * 100_000)
    return [served / "one.gz", served / "two.gz"]


def test_fetches_what_is_missing(files, tmp_path):
    folder = tmp_path / "new" / "folder"
    told = []
    fetch("toy", [remote(path) for path in files], folder, lambda what, part: told.append((what, part)))
    assert kept(folder) == {"one.gz", "two.gz"}
    assert (folder / "two.gz").read_bytes() == files[1].read_bytes()
    assert [part for what, part in told if what == "downloading one.gz"][-1] == 1
    (folder / "one.gz").write_bytes(b"mine")
    fetch("toy", [remote(path) for path in files], folder, None)
    assert (folder / "one.gz").read_bytes() == b"mine"


def test_wrong_checksum_keeps_what_was_whole(files, tmp_path):
    remotes = [remote(files[0]), remote(files[1], b"other")]
    with pytest.raises(
        DataError, match=r"toy: can't download two.gz \(.*wrong checksum\); put it in .*\nor name a folder"
    ):
        fetch("toy", remotes, tmp_path / "to", None)
    assert kept(tmp_path / "to") == {"one.gz"}


def test_interrupt_leaves_no_half_file(files, tmp_path):
    def stop(what, part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("toy", [remote(files[0])], tmp_path / "to", stop)
    assert kept(tmp_path / "to") == set()
