import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from study.config import DatasetSpec
from study.data import Dataset, load_dataset
from study.errors import DataError


def load(root: Path) -> Dataset:
    return load_dataset(DatasetSpec(name="fashion-mnist", root=str(root), validation=0))


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def fashion():
    """The four files of a small Fashion-MNIST, unpacked."""
    random = np.random.default_rng(0)
    files = {}
    for part, count in (("train", 20), ("t10k", 10)):
        files[f"{part}-images-idx3-ubyte"] = idx(random.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(count, dtype=np.uint8) % 10)
    return files


@pytest.mark.parametrize("below", ["", "raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_fashion_packed_or_not_wherever_it_lies(fashion, tmp_path, below, packed):
    folder = tmp_path / "root" / below
    folder.mkdir(parents=True)
    for name, content in fashion.items():
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    data = load(tmp_path / "root")
    assert data.image_shape == (1, 28, 28)
    assert (len(data.train), len(data.test)) == (20, 10)
    assert data.classes[9] == "Ankle boot"
    assert data.test.images.numpy().tobytes() == fashion["t10k-images-idx3-ubyte"][16:]
    assert data.test.labels.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-images-idx3-ubyte", lambda data: data[:-1], r"15,679 bytes of data where its header says 20 x 28 x 28"),
        ("train-images-idx3-ubyte", lambda data: data[:9], "ends within its header"),
        ("train-images-idx3-ubyte", lambda data: b"\0\0\r\3" + data[4:], "isn't an IDX file of unsigned bytes"),
        ("t10k-images-idx3-ubyte", lambda data: b"", "isn't an IDX file"),
        ("t10k-labels-idx1-ubyte", lambda data: idx(np.zeros(9, np.uint8)), "must hold N images of 28x28"),
        ("t10k-labels-idx1-ubyte", lambda data: idx(np.full(10, 10, np.uint8)), "must be from 0 to 9"),
        ("t10k-images-idx3-ubyte", lambda data: idx(np.zeros((10, 14, 56), np.uint8)), "images of 28x28"),
    ],
)
def test_fashion_damaged(fashion, tmp_path, name, change, message):
    for file, content in fashion.items():
        (tmp_path / file).write_bytes(change(content) if file == name else content)
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_fashion_cut_short_in_its_packing(fashion, tmp_path):
    for file, content in fashion.items():
        (tmp_path / f"{file}.gz").write_bytes(gzip.compress(content)[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz can't be read: .*end"):
        load(tmp_path)
