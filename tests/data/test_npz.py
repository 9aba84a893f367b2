import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from study.config import DatasetSpec
from study.data import load_dataset
from study.data.decode import square
from study.data.measure import channel_statistics
from study.errors import DataError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (20, 9, 9), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (20, 9, 9, 3), dtype=np.uint8)
LABELS = np.arange(20) % 3


def load(path, **fields):
    return load_dataset(DatasetSpec(name="npz", root=str(path), **{"validation": 0, **fields}))


def keras(images=GREY, labels=LABELS):
    return {"x_train": images[:14], "y_train": labels[:14], "x_test": images[14:], "y_test": labels[14:]}


@pytest.fixture
def write(tmp_path):
    def write(values=None, save=np.savez, **changes):
        path = tmp_path / "a.npz"
        values = {**(keras() if values is None else values), **changes}
        save(path, **{name: array for name, array in values.items() if array is not None})
        return path

    return write


def pixels(split):
    return split.images.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("images", [GREY, COLOUR, GREY[..., None], np.ascontiguousarray(GREY)[:, ::-1]])
def test_images_are_those_of_the_arrays(write, save, images):
    data = load(write(keras(images), save))
    assert (data.classes, data.notes) == (("0", "1", "2"), ("test: the images of x_test",))
    expected = images.reshape(20, 9, 9, -1)
    assert np.array_equal(pixels(data.train), expected[:14])
    assert np.array_equal(pixels(data.test), expected[14:])
    assert [*data.train.labels.tolist(), *data.test.labels.tolist()] == LABELS.tolist()
    assert data.train.names()[3] == "x_train row 3"


def test_medmnist(write):
    labels = LABELS.astype(np.uint8)[:, None]
    parts = {"train": slice(0, 10), "val": slice(10, 15), "test": slice(15, 20)}
    values = {f"{part}_images": COLOUR[rows] for part, rows in parts.items()}
    values |= {f"{part}_labels": labels[rows] for part, rows in parts.items()}
    data = load(write(values))
    assert data.notes == ("test: the images of test_images", "not used: val_images")
    assert np.array_equal(pixels(data.test), COLOUR[15:])
    data = load(write(values, test_images=None, test_labels=None))
    assert data.notes == ("test: the images of val_images",)
    assert np.array_equal(pixels(data.test), COLOUR[10:15])
    data = load(write(values, test_labels=None))
    assert data.notes == ("test: the images of val_images", "not used: test_images, without labels")


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("X", "y"), ("images", "labels")])
def test_an_archive_without_a_test_is_split_by_a_rule(write, names):
    data = load(write(dict(zip(names, (GREY, LABELS), strict=True))))
    assert data.notes == ("test: 0.2 (4 of 20 images, stratified by class, by split_seed 0)",)
    assert (len(data.train), len(data.test)) == (16, 4)


@pytest.mark.parametrize("dtype", ["<i8", ">i4", "u1", "<u8", "<U5"])
def test_labels_of_many_types_have_their_own_order(write, dtype):
    labels = np.where(LABELS == 2, 10, LABELS)
    data = load(write(keras(labels=labels.astype(dtype))))
    assert data.classes == ("0", "1", "10")
    assert data.train.labels.tolist() == LABELS[:14].tolist()


def test_images_are_made_square_with_statistics_of_the_originals(write):
    wide = RANDOM.integers(0, 256, (20, 8, 12), dtype=np.uint8)
    path = write(keras(wide))
    with pytest.raises(DataError, match=r"images of 8x12 pixels have to be made square: give image_size"):
        load(path)
    data = load(path, image_size=6, resize="stretch")
    assert data.image_shape == (1, 6, 6)
    assert np.array_equal(pixels(data.train)[5], square(np.ascontiguousarray(wide[5, :, :, None]), 6, "stretch", None))
    assert data.train.measures().width.tolist() == [12] * 14
    assert channel_statistics(data.train.measures()).mean == pytest.approx([wide[:14].mean() / 255], abs=1e-12)
    assert channel_statistics(data.train.measures()).channels == ("grey",)
    assert channel_statistics(data.test.measures()).variance == pytest.approx([wide[14:].var() / 255**2], abs=1e-12)


def test_content_decides_the_fingerprint_and_changes_are_noticed(write, tmp_path):
    first = load(write())
    assert load(write(save=np.savez_compressed)).fingerprint == first.fingerprint
    changed = GREY.copy()
    changed[3, 4, 4] ^= 1
    assert load(write(keras(changed))).fingerprint != first.fingerprint
    assert load(write(keras(labels=(LABELS + 1) % 3))).fingerprint != first.fingerprint


def test_a_changed_archive_of_the_same_age_and_size_is_noticed(write):
    path = write()
    status = path.stat()
    first = load(path)
    assert load(path).fingerprint == first.fingerprint
    write(keras(GREY[::-1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert load(path).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, r"needs arrays x_train and y_train, or .*; it has x_test, y_test, y_train"),
        ({"y_train": None}, r"needs arrays x_train and y_train"),
        ({"X_train": GREY}, r"several arrays for one split: x_train, X_train, y_train: keep one pair"),
        ({"images": GREY}, r"several arrays for one split: x_train, y_train, images"),
        ({"x_train": GREY[:14] / 255}, r"x_train in .* holds float64: .* uint8, from 0 to 255: save \(255 \* x\)"),
        (
            {"x_train": GREY[:14].astype(int)},
            r"x_train in .* holds int64: images must be uint8, from 0 to 255: save x.astype",
        ),
        ({"x_train": GREY[:14].astype(object)}, r"x_train in .* holds Python objects, which aren't read"),
        ({"y_train": LABELS[:14].astype(object)}, r"y_train in .* holds Python objects"),
        ({"y_train": LABELS[:14] - 1}, r"y_train in .* has the label -1 in row 0: labels must be from 0 on"),
        (
            {"y_train": LABELS[:14] / 1},
            r"y_train in .* holds float64: labels must be whole numbers from 0 on, .*: save y.astype\(int\)$",
        ),
        ({"y_train": LABELS[:14] > 0}, r"holds bool: labels must be whole numbers .*: save y.astype\(int\)$"),
        ({"y_train": np.array([b"a", b"b"] * 7)}, r"holds \|S1: labels must be .* short words: save y.astype\(str\)$"),
        ({"x_train": np.zeros((14, 9, 9, 4), np.uint8)}, r"shape 14x9x9x4: .*: save x\[..., :3\]$"),
        ({"y_train": np.array(["a", " "] * 7)}, r"y_train in .* has an empty label in row 1"),
        ({"y_train": LABELS[:13]}, r"y_train in .* must have one label for each of 14 images, but has shape 13"),
        ({"y_train": np.eye(14)}, r"one label for each of 14 images, but has shape 14x14: save y.argmax"),
        ({"y_test": np.full(6, 7)}, r"classes differ .*: only in x_train: 0, 1, 2; only in x_test: 7"),
        ({"y_train": np.zeros(14, int), "y_test": np.zeros(6, int)}, r"one class only \(0\)"),
        ({"x_train": COLOUR[:14]}, r"images of all splits must have one shape: x_train 9x9x3, x_test 9x9"),
        ({"x_train": COLOUR[:14].transpose(0, 3, 1, 2).copy()}, r"shape 14x3x9x9: .*: save x.transpose\(0, 2, 3, 1\)"),
        ({"x_train": GREY[:14].reshape(14, 81)}, r"shape 14x81: images must be N x H x W, grey, or N x H x W x 3$"),
        ({"x_train": np.asfortranarray(GREY[:14])}, r"lies column by column: save np.ascontiguousarray of it"),
        ({"x_train": GREY[:0], "y_train": LABELS[:0]}, r"x_train in .* is empty"),
        ({"x_train": np.uint8(3)}, r"x_train in .* has shape : images must be"),
        ({"x_train": GREY[:14, :2, :2], "x_test": GREY[14:, :2, :2]}, "images of 2x2 pixels have to be made square"),
    ],
)
def test_archives_that_cannot_be_used(write, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        load(write(**changes))
    assert str(caught.value).count("\n") < 2


def test_neither_folders_nor_bad_rows(write, tmp_path):
    path = write()
    with pytest.raises(DataError, match=r"^npz needs its .npz file: dataset: \{name: npz, root: FILE.npz\}$"):
        load_dataset("npz")
    with pytest.raises(DataError, match=r"isn't a file: give the .npz file itself"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"'skip_bad' is for image files"):
        load(path, skip_bad=True)
    path.write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"a.npz can't be read: .*\nmake or download it again"):
        load(path)


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    header = (
        np.lib.format.magic(1, 0) + b"v\0" + b"{'descr': '|O', 'fortran_order': False, 'shape': (14,), }".ljust(118)
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as made:
        for name in ("x_train", "y_train"):
            made.writestr(f"{name}.npy", header + pickle.dumps([Trap()] * 14))
    with pytest.raises(DataError, match="holds Python objects"):
        load(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_anywhere_in_the_pixels_is_noticed(write, save):
    big = RANDOM.integers(0, 256, (14, 60, 60), dtype=np.uint8)
    path = write({"x_train": big, "y_train": LABELS[:14]}, save)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 255
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"a.npz is damaged at x_train row .*: .*\nmake or download it again"):
        load(path)
    write({"x_train": big, "y_train": LABELS[:14]}, save)  # a whole archive in its place is decoded
    assert len(load(path).train) == 11


@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(6, 9), st.integers(4, 7), st.sampled_from([(), (1,), (3,)])).map(
            lambda shape: (shape[0], shape[1], shape[1], *shape[2])
        ),
    ),
    st.sampled_from([np.savez, np.savez_compressed]),
)
def test_any_images_come_back_as_they_are(tmp_path_factory, images, save):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    labels = np.arange(len(images)) % 2
    save(path, x_train=images, y_train=labels, x_test=images[:4], y_test=labels[:4])
    data = load(path)
    assert np.array_equal(pixels(data.train), images.reshape(*images.shape[:3], -1))
    assert np.array_equal(data.train.labels.numpy(), labels)
