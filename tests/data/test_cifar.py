import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from study.config import DatasetSpec
from study.data import cifar as module
from study.data import load_dataset
from study.data.cifar_batches import unpickle
from study.errors import DataError


def old_array(array: np.ndarray) -> bytes:
    """Pickle a uint8 array as Python 2 did, by hand: the real files are of that age."""
    size = "".join(f"I{n}\n" for n in array.shape)
    text = "".join(f"\\x{byte:02x}" for byte in array.tobytes())
    return (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
        f"({size}tcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'{text}'\ntb"
    ).encode()


def old_batch(pixels: np.ndarray, labels: list[int], key: str) -> bytes:
    numbers = "".join(f"I{label}\na" for label in labels)
    return b"(dS'data'\n" + old_array(pixels) + f"sS'{key}'\n(l{numbers}s.".encode()


def old_names(key: str, names: list[str]) -> bytes:
    return f"(dS'{key}'\n(l{''.join(f'S{name!r}{chr(10)}a' for name in names)}s.".encode()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture(params=["cifar10", "cifar100"])
def cifar(request, tmp_path, monkeypatch):
    """A small data set in the files of CIFAR, with torchvision's checksums set to theirs."""
    known = datasets.CIFAR10 if request.param == "cifar10" else datasets.CIFAR100
    key, names_key = ("labels", "label_names") if request.param == "cifar10" else ("fine_labels", "fine_label_names")
    random = np.random.default_rng(0)
    files, lists = {}, {}
    for part in ("train_list", "test_list"):
        lists[part] = []
        for name, _ in getattr(known, part):
            pixels = random.integers(0, 256, (4, 3072), dtype=np.uint8)
            files[name] = old_batch(pixels, [0, 1, 2, 1], key)
            lists[part].append([name, md5(files[name])])
        monkeypatch.setattr(known, part, lists[part])
    names = known.meta["filename"]
    files[names] = old_names(names_key, ["ant", "bee", "cow"])
    monkeypatch.setattr(known, "meta", {**known.meta, "md5": md5(files[names])})
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / known.filename, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{known.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(known, "tgz_md5", md5((root / known.filename).read_bytes()))
    monkeypatch.setattr(known, "url", (root / known.filename).as_uri())
    return request.param, known, root, files


def load(name, root=None, progress=None):
    spec = DatasetSpec(name=name, root=None if root is None else str(root), validation=0)
    return load_dataset(spec, progress=progress)


def test_cifar_from_archive_folder_and_inside_it(cifar, tmp_path):
    name, known, root, files = cifar
    data = load(name, root)
    assert data.classes == ("ant", "bee", "cow")
    assert data.image_shape == (3, 32, 32)
    assert len(data.train) == 4 * len(known.train_list)
    assert data.train.labels[:4].tolist() == [0, 1, 2, 1]
    # channels first: a row of the file is 1,024 reds, then greens, then blues
    first = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
    assert np.array_equal(data.train.images[1, 2].flatten(), first[1, 2048:])
    assert data.train.pixels.is_contiguous(memory_format=torch.channels_last)  # as batches want them
    unpacked = tmp_path / "other" / known.base_folder
    unpacked.mkdir(parents=True)
    for file, content in files.items():
        (unpacked / file).write_bytes(content)
    assert load(name, unpacked.parent).fingerprint == data.fingerprint
    assert load(name, unpacked).fingerprint == data.fingerprint


def test_cifar_is_downloaded_once_into_the_data_folder(cifar, tmp_path):
    name, known, _, _ = cifar
    told = []
    data = load(name, progress=lambda what, part: told.append((what, part)))
    assert told[-1] == (f"downloading {known.filename}", 1.0)
    kept = [path.name for path in (tmp_path / "data" / name).iterdir() if path.suffix != ".lock"]
    assert kept == [known.filename]
    told.clear()
    assert load(name, progress=lambda what, part: told.append((what, part))).fingerprint == data.fingerprint
    assert told == []


def test_nothing_damaged_is_unpickled(cifar, tmp_path):
    name, known, root, files = cifar
    unpacked = tmp_path / "other"
    unpacked.mkdir()
    for file, content in files.items():
        (unpacked / file).write_bytes(content)
    batch = known.test_list[0][0]
    (unpacked / batch).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataError, match=rf"{batch} is damaged"):
        load(name, unpacked)
    (unpacked / batch).unlink()
    with pytest.raises(DataError, match=rf"{batch} is missing"):
        load(name, unpacked)
    (root / known.filename).write_bytes(b"half")
    with pytest.raises(DataError, match=r"tar.gz is damaged .*delete it"):
        load(name, root)


def test_unpickler_makes_arrays_and_nothing_else():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for data in (old_array(array) + b".", pickle.dumps(array, protocol=4)):
        assert np.array_equal(unpickle(data), array)
    for data in (b"cos\nsystem\n(S'true'\ntR.", b"cnumpy\nload\n(S'x'\ntR.", b"", b"\x80"):
        with pytest.raises(DataError, match="can't be read"):
            unpickle(data)


@pytest.mark.parametrize(
    ("name", "known", "files"),
    [
        ("cifar10", datasets.CIFAR10, "cifar-10-python.tar.gz"),
        ("cifar100", datasets.CIFAR100, "cifar-100-python.tar.gz"),
        ("fashion-mnist", datasets.FashionMNIST, "train-images-idx3-ubyte.gz, .*t10k-labels-idx1-ubyte.gz"),
    ],
)
def test_offline_says_which_file_belongs_where(name, known, files, monkeypatch, tmp_path, capfd):
    nobody = "http://127.0.0.1:9/"  # the discard port: refused at once
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(known, "mirrors", [nobody], raising=False)
    monkeypatch.setattr(known, "url", nobody + "file", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waits for who has refused"))
    with pytest.raises(DataError) as caught:
        load(name)
    folder = tmp_path / "data" / name
    assert caught.match(rf"can't download {files} \(.*refused\); put (it|them) in {folder}\n")
    assert caught.match(rf"dataset: \{{name: {name}, root: DIR\}}")
    assert str(caught.value).count("\n") == 1
    assert [path.name for path in folder.iterdir()] == [".download.lock"]
    assert capfd.readouterr() == ("", "")


def test_cifar10_from_a_tree_of_image_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CIFAR10_IMAGES", (20, 10))
    for part, count in (("train", 2), ("test", 1)):
        for label, name in enumerate(module.CIFAR10):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (32, 32), (label, 20 * i, 7)).save(tmp_path / part / name / f"{i}.png")
    data = load("cifar10", tmp_path)
    assert (data.name, data.classes, data.image_shape) == ("cifar10", module.CIFAR10, (3, 32, 32))
    assert data.test.labels.tolist() == list(range(10))
    assert data.test.images[:, 0, 0, 0].tolist() == list(range(10))
    assert "not quite the paper's" in data.notes[0]
    (tmp_path / "train" / "cat" / "1.png").rename(tmp_path / "train" / "dog" / "2.png")  # 20 images all the same
    with pytest.raises(DataError, match="isn't CIFAR-10, which has 20 images in train/ and 10 in test/"):
        load("cifar10", tmp_path)
