"""Zip archives from strangers: read in place, within bounds, and what can't be is a `DataError` or a `BadFile`."""

import random
import struct
import zipfile
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from study.config import DatasetSpec
from study.data import BadFilesError, Dataset, load_dataset
from study.data.decode_all import Target, decode_all, record_type
from study.data.files import MAX_FILE_BYTES, open_archive
from study.data.unlabelled import open_images
from study.errors import DataError
from study.inference import Predictions, predict_files

from .archives import DIRECTORY, METHODS, archives, damaged_archive, kaggle, packed, places, set_field
from .images import put
from .limits import below, within
from .scale import injections

SIDE = 12


def reasons(archive: Path) -> dict[str, str]:
    """Read all of an archive's images as a data set does, and return what was told of those that can't be used."""
    listing = open_archive(archive)
    count = len(listing.files)
    target = Target(np.zeros((count, 4, 4, 3), np.uint8), np.zeros(count, record_type(3)), "crop")
    failures = decode_all(listing.files, listing.read, target, None)
    told = {bad.name: bad.reason for bad in listing.bad} | {
        listing.files[row].name: why for row, why in failures.items()
    }
    for bad in listing.bad:
        assert (bad.name + bad.reason).isprintable()
    return told


def test_damaged_archives(tmp_path):
    """Directories that lie, names that lead outside, members cut and mixed: each is read or told, and nothing else."""
    draw, path = random.Random(3), tmp_path / "a.zip"
    whole = refused = 0
    total = injections(1200)
    for _ in range(total):
        put(path, damaged_archive(draw.choice(archives()), draw))
        with within(10):
            try:
                whole += not reasons(path)
            except DataError as error:
                refused += bool(str(error))
    assert 0.02 * total < whole < 0.9 * total
    assert 0.02 * total < refused < 0.9 * total
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.zip"}  # nothing was unpacked


def test_whole_archives(tmp_path):
    """The archives that the faults are put into are good, or the test above would show nothing."""
    path = tmp_path / "a.zip"
    for content in archives():
        path.write_bytes(content)
        assert reasons(path) == {}
        assert len(open_archive(path).files) == 6


def load(root: Path, **fields: object) -> Dataset:
    fields = {"image_size": SIDE, "validation": 0, **fields}
    return load_dataset(DatasetSpec(name="dogs-vs-cats", root=str(root), **fields))


def test_data_sets_and_predictions_from_damaged_archives(tmp_path, predictor):
    """`study run` and `study predict` get a data set, or predictions, or an error of our own."""
    draw, outcomes = random.Random(4), set()
    for number in range(max(30, injections(1200) // 100)):
        put(tmp_path / "train.zip", damaged_archive(draw.choice(archives()), draw))
        skip = number % 3 > 0
        predict = partial(predict_files, predictor, tmp_path / "train.zip")
        for use in (partial(load, tmp_path), predict):
            told = ""
            with within(30):
                try:
                    outcomes.add(type(use(skip_bad=skip)))
                except DataError as error:
                    outcomes.add(DataError)
                    told = str(error)
            assert all(line.isprintable() for line in told.splitlines())
    assert outcomes == {Dataset, Predictions, DataError}


BOMB = bytes(300 * 2**20)


def test_members_that_unpack_to_more_than_they_say(tmp_path):
    """A member that declares a few bytes is read no further, whatever its packed bytes unpack to."""
    path, size = tmp_path / "a.zip", 1000
    data = packed(kaggle() | {"train/cat.2.jpg": BOMB})
    data = changed(data, "train/cat.2.jpg", "size", size)
    data = changed(data, "train/cat.2.jpg", "crc", zlib.crc32(BOMB[:size]))
    path.write_bytes(data)
    assert len(data) < 2**20
    with below(20), within(10):
        assert reasons(path) == {"train/cat.2.jpg": "not an image"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_without_bound_are_refused(method, tmp_path):
    """Python unpacks a whole block of them at once, which may be gigabytes from a kilobyte."""
    path = tmp_path / "a.zip"
    path.write_bytes(packed(kaggle() | {"train/cat.2.jpg": BOMB[: 2**20]}, method))
    with below(20), within(10):
        assert set(reasons(path).values()) == {f"is packed by method {method}: pack it again with deflate, as is usual"}


def test_members_of_enormous_size_are_refused_unread(tmp_path):
    """One that says so itself is left alone, by training and by prediction alike."""
    path = tmp_path / "train.zip"
    path.write_bytes(packed(kaggle() | {"train/cat.2.jpg": BOMB}))
    with below(20), within(10):
        assert reasons(path) == {"train/cat.2.jpg": "larger than 256 MiB"}
        _, listing = open_images(path)
        (large,) = (file for file in listing.files if file.size_bytes > MAX_FILE_BYTES)
        with pytest.raises(ValueError, match="larger than 256 MiB"):
            listing.read(large)


def test_members_that_share_their_bytes(tmp_path):
    """Directory entries by the thousand that all point to one member unpack nothing: each has a name of its own."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("train/cat.0.jpg", BOMB[: 2**22])
        (member,) = made.filelist
        for i in range(1, 2000):
            copy = zipfile.ZipInfo(f"train/cat.{i}.jpg")
            for field in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(copy, field, getattr(member, field))
            made.filelist.append(copy)
        made._didModify = True
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with below(60), within(20):
        told = reasons(tmp_path / "a.zip")
    assert len(told) == 2000
    assert "differ" in told["train/cat.9.jpg"] or "Overlapped" in told["train/cat.9.jpg"]


def changed(data: bytes, name: str, field: str, value: int) -> bytes:
    """Return an archive with a field of a member's directory entry set."""
    (place,) = (place for place in places(data, b"PK\1\2") if data[place + 46 :].startswith(name.encode()))
    return set_field(data, place + DIRECTORY[field][0], DIRECTORY[field][1], value)


def test_what_is_wrong_with_each_member_is_told(tmp_path):
    """Links, passwords, wrong checksums and unknown packings are named in one list, and can be skipped."""
    data = packed(kaggle() | {f"train/cat.{i}.jpg": kaggle()["train/cat.0.jpg"] for i in range(2, 7)}, METHODS[0])
    data = changed(data, "train/cat.2.jpg", "attributes", 0o120777 << 16)
    data = changed(data, "train/cat.3.jpg", "flags", 1)
    data = changed(data, "train/cat.4.jpg", "crc", 1)
    data = changed(data, "train/cat.5.jpg", "method", 99)
    data = changed(data, "train/cat.6.jpg", "flags", 0x40)
    (tmp_path / "train.zip").write_bytes(data)
    with pytest.raises(BadFilesError) as caught:
        load(tmp_path)
    told = {bad.name[len("train/") :]: bad.reason for bad in caught.value.bad}
    assert told["cat.2.jpg"] == "is a link, not a file"
    assert told["cat.3.jpg"] == "is encrypted"
    assert "Bad CRC-32" in told["cat.4.jpg"]
    assert told["cat.5.jpg"].startswith("is packed by method 99: pack it again")
    assert "strong encryption" in told["cat.6.jpg"]
    assert len(load(tmp_path, skip_bad=True).skipped) == len(told) == 5


@pytest.mark.parametrize("name", ["../cat.9.jpg", "/cat.9.jpg", "C:cat.9.jpg", "a\\..\\cat.9.jpg", "a\0/../cat.9.jpg"])
def test_names_that_lead_outside(name, tmp_path):
    """Such a member is refused unread, though nothing is ever unpacked."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.zip").write_bytes(packed(kaggle() | {name: kaggle()["train/cat.0.jpg"]}))
    with pytest.raises(BadFilesError, match="would land outside the folder"):
        load(tmp_path / "in")
    assert len(load(tmp_path / "in", skip_bad=True).skipped) == 1
    assert {path.name for path in tmp_path.rglob("*") if "cache" not in path.parts} == {"in", "train.zip"}


def test_names_are_shown_escaped(tmp_path):
    r"""An escape sequence in a member's name is shown as \x1b wherever the member is told of."""
    (tmp_path / "train.zip").write_bytes(packed(kaggle() | {"train/\x1b[2J\u202e.jpg": b"", "\x9b/cat.2.jpg": b""}))
    with pytest.raises(BadFilesError) as caught:
        load(tmp_path)
    assert r"train/\x1b[2J\u202e.jpg: isn't called cat.N.jpg" in str(caught.value)
    assert r"\x9b/cat.2.jpg: not an image" in str(caught.value)
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_directories_that_say_they_are_enormous(tmp_path):
    """An end record of four billion members and bytes takes no memory for them."""
    data = archives()[0]
    place = data.rindex(b"PK\5\6")
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFE, 0, 0)
    (tmp_path / "a.zip").write_bytes(data[:place] + end)
    with below(20), within(5), pytest.raises(DataError, match="can't be read"):
        open_archive(tmp_path / "a.zip")
