import re
import zipfile

import pytest

from study.data.dataset import BadFile
from study.data.files import SHOWN, BadFilesError, ImageFile, not_read, open_archive, open_folder
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
    assert listing.unread == ["notes.txt"]
    root = tmp_path / "out"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(root)
    assert names(open_folder(root, root)) == ["b.PNG", "train/a.jpg"]
    assert open_folder(root, root).unread == ["notes.txt"]
    assert {listing.read(file) for file in listing.files} == {b"train/a.jpg", b"b.PNG"}
    assert names(open_folder(root / "train", root)) == ["train/a.jpg"]


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


SYSTEMS = (
    ".DS_Store",
    "._b.PNG",
    ".thumbnails/x.png",
    "__MACOSX/b.png",
    "@eaDir/b.PNG/SYNOPHOTO_THUMB_M.jpg",
    "train/@eaDir/a.jpg/x.jpg",
    "#recycle/x.jpg",
    "$RECYCLE.BIN/x.jpg",
    "System Volume Information/x.jpg",
    "lost+found/x.jpg",
    "train/Thumbs.db",
    "train/desktop.ini",
    "Temporary Items/x.jpg",
    ".@__thumb/b.PNG",
)


def test_what_systems_make_is_nothing_of_the_users(archive, tmp_path):
    """One rule for folders and archives: it is neither listed nor named."""
    with zipfile.ZipFile(archive, "a") as packed:
        for name in SYSTEMS:
            packed.writestr(name, b"not the user's")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "out")
    for listing in (open_archive(archive), open_folder(tmp_path / "out", tmp_path / "out")):
        assert names(listing) == ["b.PNG", "train/a.jpg"]
        assert listing.unread == ["notes.txt"]
        assert listing.bad == []


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_linked_folders_are_followed_once_and_in_no_circle(tmp_path):
    root, pool = tmp_path / "root", tmp_path / "pool"
    put(root / "train" / "ape" / "a.jpg")
    put(root / "train" / "ape" / "z" / "b.jpg")
    put(root / "train" / "bee" / "other.jpg")
    put(pool / "c.jpg")
    put(pool / "deep" / "d.jpg")
    ape = root / "train" / "ape"
    (ape / "more").symlink_to(pool)  # out of the tree
    (ape / "again").symlink_to(pool)  # the same folder twice
    (ape / "inner").symlink_to(ape / "z")  # one that is there anyway
    (ape / "self").symlink_to(ape)
    (ape / "up").symlink_to(root / "train")  # would take in the other class
    (ape / "top").symlink_to("/")
    (pool / "back").symlink_to(ape)
    (ape / "nowhere").symlink_to(tmp_path / "gone")
    listing = open_folder(ape, root)
    assert names(listing) == [f"train/ape/{name}" for name in ("a.jpg", "again/c.jpg", "again/deep/d.jpg", "z/b.jpg")]
    assert listing.unread == ["train/ape/nowhere"]
    (root / "train" / "cow").symlink_to(pool)  # a class that is a link
    assert names(open_folder(root / "train" / "cow", root)) == [
        "train/cow/back/a.jpg",
        "train/cow/back/z/b.jpg",
        "train/cow/c.jpg",
        "train/cow/deep/d.jpg",
    ]


@pytest.mark.parametrize("first", [0, 1])
def test_members_without_a_name_are_bad(first, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat.0.jpg", b"x")
        archive.writestr("cat.1.jpg", b"y")
    data = path.read_bytes()
    start = [match.start() for match in re.finditer(rb"PK\x01\x02", data)][first] + 46  # in the central directory
    path.write_bytes(data[:start] + b"\0" + data[start + 1 :])
    listing = open_archive(path)
    assert listing.bad == [BadFile(f"(member {first + 1})", "has no name")]
    assert [file.name for file in listing.files] == [f"cat.{1 - first}.jpg"]


def test_files_that_are_not_read_are_counted_and_named():
    assert not_read([]) == ()
    assert not_read(["a/x.HEIC"]) == ("not read: 1 file (1 .heic): a/x.HEIC",)
    many = [f"a/{i}.heic" for i in range(7)] + ["b/\x1b.svg", "b/README"]
    assert not_read(many) == (
        "not read: 9 files (7 .heic, 1 .svg, 1 without suffix): a/0.heic, a/1.heic, a/2.heic, a/3.heic, a/4.heic ...",
    )


def test_long_lists_are_cut_and_kept():
    bad = tuple(BadFile(f"{i}.jpg", "not an image") for i in range(SHOWN + 5))
    error = BadFilesError(bad, 100)
    assert str(error).count("not an image") == SHOWN
    assert "25 of 100 image files can't be used" in str(error)
    assert "and 5 more" in str(error)
    assert "skip_bad: true" in str(error)
    assert error.bad == bad
    assert "\n  all of them stand in s/bad.csv\nmend or" in str(BadFilesError(bad, 100, place="s/bad.csv"))
    printed = BadFilesError(bad, 100, "--skip-bad", place="")
    assert str(printed) == (
        "25 of 100 image files can't be used\nmend or remove them, or go on without them: --skip-bad"
    )
