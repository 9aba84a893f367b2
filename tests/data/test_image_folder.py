import os
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from study.config import DatasetSpec
from study.data import load_dataset
from study.errors import DataError

from .conftest import pixels


def load(root, **fields):
    return load_dataset(
        DatasetSpec(name="image-folder", root=str(root), **{"validation": 0, "image_size": 12, **fields})
    )


def test_tree(image_tree):
    data = load(image_tree)
    assert data.classes == ("ape", "bee")
    assert data.image_shape == (3, 12, 12)
    assert data.train.labels.tolist() == [0] * 6 + [1] * 4
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    # images of the right size are untouched, in the order of their names
    for i in range(10):
        assert np.array_equal(data.train.images[i].permute(1, 2, 0), pixels(i, 12, 12))
    assert np.array_equal(data.test.images[3].permute(1, 2, 0), pixels(13, 12, 12))


def test_default_size_is_32(image_tree):
    assert load(image_tree, image_size=None).image_shape == (3, 32, 32)


def test_validation_comes_out_of_train(image_tree):
    data = load(image_tree, validation=2)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 2, 4)


def test_folders_below_a_class_belong_to_it(image_tree, write_image):
    write_image(image_tree / "train" / "bee" / "more" / "x.png", 99)
    assert load(image_tree).train.labels.tolist() == [0] * 6 + [1] * 5


def test_a_tree_without_a_test_is_split_by_a_rule(image_tree):
    shutil.rmtree(image_tree / "test")
    data = load(image_tree)
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.test.labels.tolist() == [0, 1]  # of six and four
    assert data.notes[0] == "test: 0.2 (2 of 10 images, stratified by class, by split_seed 0)"
    assert load(image_tree).fingerprint == data.fingerprint
    other = load(image_tree, test=4, split_seed=1)
    assert other.test.labels.tolist() == [0, 0, 1, 1]
    flat = image_tree / "train"
    moved = load(flat)  # the classes themselves
    assert moved.fingerprint == data.fingerprint
    assert set(moved.train.names()) | set(moved.test.names()) >= {"ape/00.png", "bee/00.png"}


def test_what_is_not_read_is_told(image_tree):
    for name in ("test/bee/x.HEIC", "train/ape/y.svg"):
        (image_tree / name).write_bytes(b"")
    shutil.copy(image_tree / "train" / "ape" / "00.png", image_tree / "train" / "loose.png")
    names = "test/bee/x.HEIC, train/ape/notes.txt, train/ape/y.svg, train/loose.png"
    assert load(image_tree).notes == (
        "test: the images of test/",
        f"not read: 4 files (1 .heic, 1 .png, 1 .svg, 1 .txt): {names}",
    )


@pytest.mark.parametrize("suffix", ["tif", "TIFF", "pgm", "gif", "jfif", "webp", "bmp", "pbm", "jpe"])
def test_formats(image_tree, suffix):
    for path in list(image_tree.rglob("0?.*")):
        with Image.open(path) as image:
            image.convert("L").save(path.with_name(f"x{path.stem}.{suffix}"))
        path.unlink()
    data = load(image_tree)
    assert (len(data.train), len(data.test)) == (10, 4)
    assert data.train.names()[0] == f"train/ape/x00.{suffix}"


def test_class_names_in_two_unicode_forms_are_one_class(image_tree):
    """Linux keeps the form that a name was written in; a Mac's is the decomposed one."""
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    expected = load(image_tree).fingerprint
    (image_tree / "train" / "bee").rename(image_tree / "train" / composed)
    (image_tree / "test" / "bee").rename(image_tree / "test" / decomposed)
    data = load(image_tree)
    assert data.classes == ("ape", composed)
    assert data.train.labels.tolist() == [0] * 6 + [1] * 4
    assert data.fingerprint != expected  # the class has another name
    (image_tree / "train" / decomposed).mkdir()
    (image_tree / "train" / composed / "00.png").rename(image_tree / "train" / decomposed / "00.png")
    assert len(load(image_tree).train) == 10  # one class in two folders


def test_file_names_in_either_unicode_form_have_one_order(image_tree):
    folder, marks = image_tree / "train" / "ape", set()
    (folder / "00.png").rename(folder / "\u00e9.png")
    (folder / "01.PNG").rename(folder / "ez.png")  # before the one form, and behind the other, by their letters
    for form in ("NFC", "NFD"):
        (accented,) = (path for path in folder.iterdir() if not path.name.isascii())
        accented.rename(folder / unicodedata.normalize(form, accented.name))
        marks.add(load(image_tree).fingerprint)
    assert len(marks) == 1


def remove(*parts):
    return lambda root: shutil.rmtree(root.joinpath(*parts))


def empty_class(root):
    (root / "train" / "cow").mkdir()


def unread(root, pattern):
    for path in list(root.glob(pattern)):
        path.rename(path.with_suffix(".heic"))


def unreadable_class(root):
    unread(root, "*/bee/*")


def unreadable(root):
    unread(root, "*/*/[0-9]*")


def loose(root):
    for path in (root / "train").rglob("0*"):
        path.rename(root / "train" / f"{path.parent.name}{path.name}")
    for name in ("ape", "bee"):
        shutil.rmtree(root / "train" / name)


def two_trains(root):
    shutil.copytree(root / "train", root / "Train")


def deeper(root):
    shutil.copytree(root / "train", root / "outer")
    for name in ("train", "test"):
        shutil.rmtree(root / name)


def near(root):
    for name in ("train", "test"):
        (root / name).rename(root / f"seg_{name}")


def one_class(root):
    for part in ("train", "test"):
        shutil.rmtree(root / part / "ape")


def other_classes(root):
    (root / "test" / "ape").rename(root / "test" / "ant")


def damage(root):
    (root / "train" / "ape" / "00.png").write_bytes(b"hello")
    whole = (root / "train" / "ape" / "01.PNG").read_bytes()
    (root / "train" / "ape" / "01.PNG").write_bytes(whole[: len(whole) // 2])
    (root / "test" / "bee" / "00.png").write_bytes(b"")
    (root / "test" / "bee" / "01.PNG").write_bytes(b"GIF89a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("train"), r"has no folder 'train': images are expected in train/<class>/ .*, or in <class>/"),
        (empty_class, r"1 of 15 .*\n  train/cow/: class folder has no images\n"),
        (
            unreadable_class,
            r"2 of 10 .*\n  train/bee/: class .* no images that are read; it holds 4 .heic\n  test/bee/",
        ),
        (unreadable, r"4 of 4 .*\n  train/ape/: class folder has no images that are read; it holds 6 .heic, 1 .txt"),
        (loose, r"train has no class folders: .*; sort the images in train/ into such folders"),
        (two_trains, r"has Train/ and train/: keep one of them there"),
        (deeper, r"one class only \(outer\): .*; if the folders in .*outer are the classes, that is the root"),
        (near, r"has no folder 'train': .*: rename seg_test, seg_train"),
        (one_class, r"one class only \(bee\)"),
        (other_classes, r"classes differ between the splits: only in train/: ape; only in test/: ant"),
        (
            damage,
            r"4 of 14 image files can't be used:\n  train/ape/00.png: not an image\n"
            r"  train/ape/01.PNG: .*trunc.*\n  test/bee/00.png: not an image\n  test/bee/01.PNG: .*\nmend",
        ),
    ],
)
def test_trees_that_cannot_be_used(image_tree, change, message):
    change(image_tree)
    with pytest.raises(DataError, match=message):
        load(image_tree)


def test_bad_files_are_skipped_when_asked_to(image_tree):
    damage(image_tree)
    empty_class(image_tree)
    with pytest.raises(DataError, match=r"no image of bee in .*test can be used\n(.*\n)*  test/bee/01.PNG: "):
        load(image_tree, skip_bad=True)
    (image_tree / "test" / "bee" / "00.png").unlink()
    shutil.copy(image_tree / "test" / "ape" / "00.png", image_tree / "test" / "bee" / "00.png")
    data = load(image_tree, skip_bad=True)
    assert data.classes == ("ape", "bee")
    assert (len(data.train), len(data.test)) == (8, 3)
    assert [bad.name for bad in data.skipped] == [
        "train/cow/",
        "train/ape/00.png",
        "train/ape/01.PNG",
        "test/bee/01.PNG",
    ]
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4
    assert np.array_equal(data.train.images[0].permute(1, 2, 0), pixels(2, 12, 12))


def test_too_many_pixels(image_tree, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow itself only warns up to twice its limit
    with pytest.raises(DataError, match=r"14 of 14 .*\n.*12x12 is more than 100 pixels"):
        load(image_tree)
    os.utime(image_tree / "train" / "ape" / "00.png")  # else the answer is known already
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(DataError, match=r"14 of 14 .*\n.*decompression bomb"):
        load(image_tree)
