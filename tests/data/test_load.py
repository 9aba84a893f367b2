import subprocess
import sys
import zipfile

import pytest
import torch
from sklearn.datasets import load_digits

from study.config import DatasetSpec
from study.data import load_dataset, load_splits
from study.data.load import LOADERS, source_of
from study.data.source import Source
from study.errors import DataError


def rows(*splits):
    return sorted(image.flatten().tolist() for split in splits for image in split.images)


def test_digits_by_name():
    data = load_dataset("digits")
    assert data.name == "digits"
    assert data.classes == tuple("0123456789")
    assert data.image_shape == (1, 8, 8)
    # 1,797 scans: 359 for test, and a tenth of the other 1,438 held out
    assert (len(data.train), len(data.validation), len(data.test)) == (1294, 144, 359)
    assert data.fingerprint == load_dataset("digits").fingerprint


def test_digits_are_all_there_once_with_their_labels():
    data = load_dataset(DatasetSpec(name="digits"))
    scans, labels = load_digits(return_X_y=True)
    assert rows(data.train, data.validation, data.test) == sorted((scans * 255 / 16).round().astype(int).tolist())
    known = {
        tuple((scan * 255 / 16).round().astype(int)): int(label) for scan, label in zip(scans, labels, strict=True)
    }
    for image, label in zip(data.test.images, data.test.labels, strict=True):
        assert known[tuple(image.flatten().tolist())] == label
    assert data.train.images.max() == 255
    assert data.train.images.min() == 0


def test_test_images_are_stratified():
    _, labels = load_digits(return_X_y=True)
    data = load_dataset("digits")
    share = torch.bincount(data.test.labels) - torch.bincount(torch.from_numpy(labels)) * 359 / 1797
    assert share.abs().max() < 1


def test_split_seed_chooses_validation_and_test():
    one, other = (load_dataset(DatasetSpec(name="digits", split_seed=seed)) for seed in (0, 1))
    assert rows(one.test) != rows(other.test)
    assert one.fingerprint != other.fingerprint


def test_a_part_or_a_number_of_images_is_the_test(image_tree):
    assert load_dataset("digits").notes == ("test: 0.2 (359 of 1,797 images, stratified by class, by split_seed 0)",)
    assert len(load_dataset(DatasetSpec(name="digits", test=0.5)).test) == 898
    assert len(load_dataset(DatasetSpec(name="digits", test=100)).test) == 100
    with pytest.raises(DataError, match="image-folder has images of its own to test with: leave 'test' out"):
        load_dataset(DatasetSpec(name="image-folder", root=str(image_tree), test=0.5))


def test_limits_come_before_validation():
    data = load_dataset(DatasetSpec(name="digits", train_limit=200, test_limit=50, validation=0.25))
    assert (len(data.train), len(data.validation), len(data.test)) == (150, 50, 50)
    whole = load_dataset(DatasetSpec(name="digits", validation=0))
    assert whole.validation is None
    used = set(map(tuple, rows(data.train, data.validation)))
    assert used <= set(map(tuple, rows(whole.train)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", r"no data set is called 'digit' \(did you mean 'digits'\?\)"),
        ("xyzzy", "there are digits, cifar10, cifar100, fashion-mnist, dogs-vs-cats, image-folder"),
        ("image-folder", r"needs the folder of its files: dataset: \{name: image-folder, root: DIR\}"),
        ("dogs-vs-cats", r"needs the folder of its files: dataset: \{name: dogs-vs-cats, root: DIR\}"),
        (DatasetSpec(name="digits", root="/nowhere"), "digits .* has no folder"),
        (DatasetSpec(name="digits", image_size=16), "'image_size' is for image files"),
        (DatasetSpec(name="image-folder", root="/no/such/folder"), "root '/no/such/folder' doesn't exist"),
        (DatasetSpec(name="image-folder", root=__file__), "isn't a folder$"),
        (DatasetSpec(name="image-folder", root=""), "needs the folder of its files"),
        (DatasetSpec(name="digits", test=9), "test: 9 of 1797 images leaves 9 to test with .* of each of 10 classes"),
        (DatasetSpec(name="digits", test=1790), "leaves 1790 to test with and 7 to train on"),
        (DatasetSpec(name="digits", train_limit=9), "train_limit: 9 is fewer than the 10 classes"),
        (DatasetSpec(name="digits", test_limit=9), "test_limit: 9 is fewer than the 10 classes"),
        (DatasetSpec(name="digits", train_limit=20, validation=11), "leaves 9 to train on"),
    ],
)
def test_bad_input(spec, message):
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(spec)
    assert str(caught.value).count("\n") < 2


def test_the_kind_of_a_source_is_that_of_its_path(image_tree, tmp_path):
    for name in ("a.NPZ", "a.csv", "a.parquet", "a.txt", "hub/data/train-0.parquet", "cats/train.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "cats" / "train.zip", "w"):
        pass
    kinds = {
        "a.NPZ": "npz",
        "a.csv": "csv",
        "a.parquet": "parquet",
        "cats/train.zip": "dogs-vs-cats",
        "none": "image-folder",
    }
    kinds |= {"hub": "parquet", "hub/data": "parquet", "cats": "dogs-vs-cats", image_tree.name: "image-folder"}
    (tmp_path / "bundle").mkdir()
    for name in ("bundle/dogs-vs-cats.zip", "a.zip"):
        (tmp_path / name).write_bytes(b"")
    kinds |= {"bundle": "dogs-vs-cats", "bundle/dogs-vs-cats.zip": "dogs-vs-cats", "a.zip": "image-folder"}
    with zipfile.ZipFile(image_tree / "train.zip", "w") as others:  # the tree's own, kept beside it
        others.writestr("train/bee/1.png", b"")
    assert {name: source_of(tmp_path / name) for name in kinds} == kinds
    with pytest.raises(DataError, match=r"a.txt isn't read: give a folder of images, or a file .npz, .csv, .parquet$"):
        source_of(tmp_path / "a.txt")


def test_file_that_may_not_be_read(image_tree, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(DataError, match=r"image-folder: .*Permission denied.*tree"):
        load_dataset(DatasetSpec(name="image-folder", root=str(image_tree)))


def test_needs_only_pytorch_and_its_own_libraries():
    code = (
        "import sys; import study.data\n"
        "bad = {'mlflow', 'optuna', 'typer', 'ray', 'pydantic', 'sklearn', 'torchvision'} & set(sys.modules)\n"
        "if bad: sys.exit(', '.join(bad))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_splits_share_their_images() -> None:
    specs = [DatasetSpec(name="digits", split_seed=seed) for seed in (0, 1, 2)]
    datasets = load_splits(specs)
    assert [data.fingerprint for data in datasets] == [load_dataset(spec).fingerprint for spec in specs]
    assert len({data.train.pixels.data_ptr() for data in datasets}) == 1
    assert len({tuple(len(part) for part in data.splits().values()) for data in datasets}) == 1


def test_a_seed_that_changes_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_dataset(DatasetSpec(name="digits", validation=0.0))
    monkeypatch.setitem(LOADERS, "cifar10", lambda *_: Source(digits.train, digits.test, digits.classes))
    with pytest.raises(
        DataError, match=r"^cifar10: two values of 'split_seed' choose the same images, as it has a test"
    ):
        load_splits([DatasetSpec(name="cifar10", split_seed=seed, validation=0.0) for seed in (0, 1)])
    for field in ({"validation": 0.1}, {"validation": 0.0, "train_limit": 100}, {"validation": 0.0, "test_limit": 50}):
        assert len(load_splits([DatasetSpec(name="cifar10", split_seed=seed, **field) for seed in (0, 1)])) == 2
