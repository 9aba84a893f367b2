import os
import shutil

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


def test_val_is_the_test_split_where_there_is_no_test(image_tree, write_image):
    expected = load(image_tree).fingerprint
    (image_tree / "test").rename(image_tree / "val")
    assert load(image_tree).fingerprint == expected
    write_image(image_tree / "test" / "ape" / "0.png")
    write_image(image_tree / "test" / "bee" / "0.png")
    assert len(load(image_tree).test) == 2


def remove(*parts):
    return lambda root: shutil.rmtree(root.joinpath(*parts))


def empty_class(root):
    (root / "train" / "cow").mkdir()


def no_classes(root):
    for name in ("ape", "bee"):
        shutil.rmtree(root / "test" / name)


def one_class(root):
    for part in ("train", "test"):
        shutil.rmtree(root / part / "ape")


def other_classes(root):
    (root / "test" / "ape").rename(root / "test" / "ant")


def flat(root):
    for path in (root / "test").rglob("*.*"):
        path.rename(root / "test" / f"{path.parent.name}{path.name}")
    for name in ("ape", "bee"):
        (root / "test" / name).rmdir()


def damage(root):
    (root / "train" / "ape" / "00.png").write_bytes(b"hello")
    whole = (root / "train" / "ape" / "01.PNG").read_bytes()
    (root / "train" / "ape" / "01.PNG").write_bytes(whole[: len(whole) // 2])
    (root / "test" / "bee" / "00.png").write_bytes(b"")
    (root / "test" / "bee" / "01.PNG").write_bytes(b"GIF89a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("train"), "has no folder 'train'"),
        (remove("test"), "has no folder 'test' or 'val'"),
        (empty_class, r"1 of 15 .*\n  train/cow/: class folder has no images \(\.jpg"),
        (no_classes, r"test has no class folders: images are expected in test/<class>/"),
        (one_class, r"one class only \(bee\)"),
        (other_classes, r"classes differ between the splits: only in train/: ape; only in test/: ant"),
        (
            damage,
            r"4 of 14 image files can't be used:\n  train/ape/00.png: not an image\n"
            r"  train/ape/01.PNG: .*trunc.*\n  test/bee/00.png: not an image\n  test/bee/01.PNG: .*\nmend",
        ),
        (flat, r"test has no class folders: .*; sort the images in test/ into such folders"),
    ],
)
def test_trees_that_cannot_be_used(image_tree, change, message):
    change(image_tree)
    with pytest.raises(DataError, match=message):
        load(image_tree)


def test_bad_files_are_skipped_when_asked_to(image_tree):
    damage(image_tree)
    empty_class(image_tree)
    with pytest.raises(DataError, match=r"no image of bee in .*test can be used"):
        load(image_tree, skip_bad=True)
    (image_tree / "test" / "bee" / "00.png").unlink()
    shutil.copy(image_tree / "test" / "ape" / "00.png", image_tree / "test" / "bee" / "00.png")
    data = load(image_tree, skip_bad=True)
    assert data.classes == ("ape", "bee")
    assert (len(data.train), len(data.test)) == (8, 3)
    assert [bad.name for bad in data.skipped] == [
        "train/cow/", "train/ape/00.png", "train/ape/01.PNG", "test/bee/01.PNG",
    ]  # fmt: skip
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
