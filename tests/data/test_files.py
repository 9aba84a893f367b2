import zipfile

import pytest

from study.data.dataset import BadFile
from study.data.files import SHOWN, BadFilesError, ImageFile, list_folder, open_archive, open_folder
from study.errors import DataError


def names(listing):
    return sorted(file.name for file in listing.files)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("train/a.jpg", "b.PNG", "notes.txt", "__MACOSX/train/a.jpg", "train/.hidden.jpg"):
            packed.writestr(name, name.encode())
    return path


def test_folder_and_archive_list_images_alone(archive, tmp_path):
    listing = open_archive(archive)
    assert names(listing) == ["b.PNG", "train/a.jpg"]
    assert listing.bad == []
    root = tmp_path / "out"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(root)
    (root / "__MACOSX" / "train" / "a.jpg").unlink()
    assert names(open_folder(root, root)) == ["b.PNG", "train/a.jpg"]
    assert {listing.read(file) for file in listing.files} == {b"train/a.jpg", b"b.PNG"}
    assert [file.name for file in list_folder(root / "train", root)] == ["train/a.jpg"]


@pytest.mark.parametrize(
    "name", ["../x.jpg", "/etc/x.jpg", "train/../../x.jpg", "C:/x.jpg", "..\\x.jpg", "\\x.jpg", "../config"]
)
def test_members_that_would_land_outside_are_bad_and_never_read(archive, name):
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(name, b"secret")
    listing = open_archive(archive)
    assert [(bad.name, bad.reason) for bad in listing.bad] == [(name, "would land outside the folder")]
    assert names(listing) == ["b.PNG", "train/a.jpg"]


def test_links_twins_and_encrypted_members_are_bad(archive):
    with zipfile.ZipFile(archive, "a") as packed:
        link = zipfile.ZipInfo("train/link.jpg")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, b"/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("b.PNG", b"another")
    data = bytearray(archive.read_bytes())
    at = data.rindex(b"train/a.jpg", 0, data.index(b"PK\x01\x02") + 80)  # its entry in the central directory
    data[at - 46 + 8] |= 1
    archive.write_bytes(data)
    listing = open_archive(archive)
    assert {bad.name: bad.reason for bad in listing.bad} == {
        "train/link.jpg": "is a link, not a file",
        "b.PNG": "appears twice in the archive; the first is used",
        "train/a.jpg": "is encrypted",
    }
    assert [listing.read(file) for file in listing.files] == [b"b.PNG"]


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100])
def test_no_archive(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a.zip can't be read: .*\ndownload it again"):
        open_archive(path)


def test_a_link_to_nowhere_is_listed_so_that_reading_it_tells(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone")
    listing = open_folder(tmp_path, tmp_path)
    assert listing.files == [ImageFile("a.jpg", 0, 0)]
    with pytest.raises(FileNotFoundError):
        listing.read(listing.files[0])


def test_long_lists_are_cut_and_kept():
    bad = tuple(BadFile(f"{i}.jpg", "not an image") for i in range(SHOWN + 5))
    error = BadFilesError(bad, 100)
    assert str(error).count("not an image") == SHOWN
    assert "25 of 100 image files can't be used" in str(error)
    assert "and 5 more" in str(error)
    assert "skip_bad: true" in str(error)
    assert error.bad == bad
