import zipfile

import numpy as np
import pytest

from study.config import DatasetSpec
from study.data import BadFilesError, load_dataset
from study.errors import DataError

from .conftest import pixels


def load(root, **fields):
    fields = {"validation": 0, "image_size": 12, **fields}
    return load_dataset(DatasetSpec(name="dogs-vs-cats", root=str(root), **fields))


@pytest.fixture
def folder(tmp_path, write_image):
    """Kaggle's folder, unpacked: 20 cats and 10 dogs, numbered so that 10 follows 9, not 1."""
    root = tmp_path / "kaggle"
    for name, count, base in (("cat", 20, 0), ("dog", 10, 100)):
        for i in range(count):
            path = write_image(root / "train" / f"{name}.{i}.png", base + i)
            path.rename(path.with_suffix(".jpg"))  # lossless, so that images can be told apart; names don't decide
    (root / "train" / "sampleSubmission.csv").write_text("id,label")
    return root


@pytest.fixture
def archive(folder, tmp_path):
    root = tmp_path / "zipped"
    root.mkdir()
    with zipfile.ZipFile(root / "train.zip", "w") as packed:
        packed.mkdir("train")
        for path in sorted((folder / "train").iterdir(), reverse=True):
            packed.write(path, f"train/{path.name}")
        packed.writestr("__MACOSX/train/cat.1.jpg", b"shadow")
    return root


def test_archive_and_folder_are_the_same(folder, archive):
    assert load(folder).fingerprint == load(archive).fingerprint
    assert [path.name for path in archive.iterdir()] == ["train.zip"]  # read in place


def test_split_is_stratified_and_whole(archive):
    data = load(archive)
    assert data.classes == ("cat", "dog")
    assert data.train.labels.bincount().tolist() == [16, 8]
    assert data.test.labels.bincount().tolist() == [4, 2]
    known = {pixels(i, 12, 12).tobytes(): int(i >= 100) for i in [*range(20), *range(100, 110)]}
    for split in (data.train, data.test):
        for image, label in zip(split.images, split.labels, strict=True):
            assert known.pop(np.ascontiguousarray(image.permute(1, 2, 0)).tobytes()) == label
    assert not known


def test_order_is_by_number(folder):
    data = load(folder)
    seeds = {pixels(i, 12, 12).tobytes(): i for i in [*range(20), *range(100, 110)]}
    order = [seeds[np.ascontiguousarray(image.permute(1, 2, 0)).tobytes()] for image in data.train.images]
    assert order == sorted(order)


def test_default_size_is_64(archive):
    assert load(archive, image_size=None).image_shape == (3, 64, 64)


def test_split_seed_chooses_the_test_without_decoding_again(archive):
    told = []
    spec = DatasetSpec(name="dogs-vs-cats", root=str(archive), split_seed=0)
    one = load_dataset(spec, progress=lambda what, part: told.append(part))
    assert told[-1] == 1
    told.clear()
    other = load_dataset(spec.model_copy(update={"split_seed": 1}), progress=lambda what, part: told.append(part))
    assert told == []
    assert not np.array_equal(one.test.images, other.test.images)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"neither train.zip nor a folder train"):
        load(tmp_path)


def test_no_dogs(folder):
    for path in (folder / "train").glob("dog.*"):
        path.unlink()
    with pytest.raises(DataError, match=r"no dog in .*train: they are dog.N.jpg"):
        load(folder)


def test_the_reasons_come_first(folder):
    for path in (folder / "train").glob("dog.*"):
        path.write_bytes(b"no image")
    with pytest.raises(BadFilesError, match="10 of 30 image files"):
        load(folder)
    with pytest.raises(DataError, match=r"no image of dog in .*train can be used\n  dog.0.jpg: not an image"):
        load(folder, skip_bad=True)
    for path in (folder / "train").glob("dog.*"):
        path.rename(path.with_name(path.name.replace("dog.", "dog_")))
    with pytest.raises(DataError, match=r"no dog in .*: they are dog.N.jpg\n  dog_0.jpg: isn't called cat.N.jpg or"):
        load(folder)


def test_archive_cut_short(archive):
    path = archive / "train.zip"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"train.zip can't be read: .*\ndownload it again"):
        load(archive)


def test_damage_within_the_archive(archive):
    path = archive / "train.zip"
    data = bytearray(path.read_bytes())
    at = data.index(b"train/cat.7.jpg") + 200
    data[at : at + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"1 of 30 .*\n  train/cat.7.jpg: Bad CRC-32"):
        load(archive)


def test_wrong_names_and_members_that_reach_outside(archive, folder):
    with zipfile.ZipFile(archive / "train.zip", "a") as packed:
        packed.writestr("train/bird.1.jpg", b"")
        packed.writestr("../dog.99.jpg", b"")
    with pytest.raises(BadFilesError, match=r"2 of 32 .*\n.*outside the folder\n.*isn't called cat.N.jpg or dog.N.jpg"):
        load(archive)
    data = load(archive, skip_bad=True)
    assert data.fingerprint == load(folder).fingerprint
    assert len(data.skipped) == 2


def test_unpacked_into_a_folder_of_its_own(folder):
    expected = load(folder).fingerprint
    (folder / "train").rename(folder / "inner")
    (folder / "train").mkdir()
    (folder / "inner").rename(folder / "train" / "train")
    assert load(folder).fingerprint == expected


def test_an_empty_folder_does_not_hide_the_archive(archive):
    (archive / "train").mkdir()
    assert len(load(archive).train) == 24


def test_the_split_and_what_is_not_read_are_told(folder):
    assert load(folder).notes == (
        "test: 0.2 (6 of 30 images, stratified by class, by split_seed 0)",
        "not read: 1 file (1 .csv): sampleSubmission.csv",
    )
    assert len(load(folder, test=9).test) == 9


@pytest.mark.parametrize("name", ["dogs-vs-cats", "dogs-vs-cats-redux-kernels-edition", "dogs-vs-cats (1)"])
def test_the_bundle_must_be_unpacked_once(tmp_path, name):
    (tmp_path / f"{name}.zip").write_bytes(b"")
    with pytest.raises(DataError, match="unzip it there, once"):
        load(tmp_path)


def test_the_archive_itself_is_a_root(archive):
    expected = load(archive).fingerprint
    assert load(archive / "train.zip").fingerprint == expected
    (archive / "dogs-vs-cats.zip").write_bytes(b"")
    assert load(archive).fingerprint == expected  # it was unpacked, and left there
    with pytest.raises(DataError, match="unzip it there, once"):
        load(archive / "dogs-vs-cats.zip")


def test_test1_is_never_trained_on(folder, write_image):
    expected = load(folder).fingerprint
    write_image(folder / "test1" / "1.png", 5).rename(folder / "test1" / "1.jpg")
    assert load(folder).fingerprint == expected
