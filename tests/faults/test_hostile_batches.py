"""Files of CIFAR and Fashion-MNIST from strangers: pickles that are not obeyed, headers that lie, packed bombs."""

import gzip
import io
import pickle
import pickletools
import random
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from study.config import DatasetSpec
from study.data import Dataset, cifar, load_dataset
from study.data.cifar_batches import read_batch, read_names, unpickle
from study.data.download import Remote
from study.data.fashion_mnist import read_idx
from study.errors import DataError

from .images import FAULTS, damaged, put
from .limits import below, within
from .scale import injections

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
LABELS = [0, 2, 1]


def python2(pixels: np.ndarray = PIXELS, labels: list[int] = LABELS, order: str = "C") -> bytes:
    """Return a batch as Python 2 pickled the real ones: protocol 2, texts as bytes, NumPy's old names."""
    rows, columns = pixels.shape
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07U\x01bq\x08\x87q\tRq\n"
        b"(K\x01" + struct.pack("<cHcH", b"M", rows, b"M", columns) + b"\x86q\x0b"
        b"cnumpy\ndtype\nq\x0cU\x02u1q\rK\x00K\x01\x87q\x0eRq\x0f(K\x03U\x01|q\x10NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x11b"
        + (b"\x88" if order == "F" else b"\x89")
        + struct.pack("<ci", b"T", pixels.size)
        + pixels.tobytes(order)
        + b"q\x12tq\x13b"
    )
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x05a setq\x03U\x06labelsq\x04]("
        + numbers
        + b"eU\x04data"
        + array
        + b"U\tfilenamesq\x14](U\x05a.pngU\x05b.pngeu."
    )


VALID = [
    python2(),
    python2(order="F"),
    python2(labels=[]),
    pickle.dumps({"label_names": ["ant", "bee", "cow"]}, protocol=2),
    *(pickle.dumps({"data": PIXELS, "fine_labels": LABELS}, protocol=protocol) for protocol in (3, 4)),
]
SMALL = [python2(PIXELS[:, :7]), *(pickle.dumps(PIXELS[:, :5], protocol=protocol) for protocol in (3, 4)), VALID[3]]
"""So short that most faults meet what is not pixels."""
OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]


def read(data: bytes) -> bool:
    """Read a file of CIFAR in every way; return whether it was good in one."""
    ways = (lambda: read_batch(data, 3, "a"), lambda: read_names(data, "label_names", "a"), lambda: unpickle(data, "a"))
    good = 0
    for way in ways:
        told = "nothing"
        try:
            way()
            good += 1
        except DataError as error:
            told = str(error)
        assert told.isprintable()
        assert 0 < len(told) < 400
    return good > 0


def test_batches_are_read_as_python_2_wrote_them():
    """The real files are of that age; an array may lie column by column."""
    for data in (VALID[0], VALID[1], VALID[4], VALID[5]):
        images, labels = read_batch(data, 3, "a")
        assert np.array_equal(images.reshape(3, -1), PIXELS)
        assert labels.tolist() == LABELS
    assert read_names(VALID[3], "label_names", "a") == ("ant", "bee", "cow")


def test_damaged_pickles():
    """Bits turned, opcodes put in and mixed, lengths that lie: values, or a `DataError`."""
    draw, good, total = random.Random(5), 0, injections(3000)
    for _ in range(total):
        data = draw.choice(SMALL if draw.random() < 0.8 else VALID)
        for _ in range(draw.choice([1, 2, 4])):
            if draw.random() < 0.5:
                place = draw.randint(0, len(data))
                data = data[:place] + draw.choice(OPCODES) + data[place + draw.randint(0, 1) :]
            else:
                data = draw.choice(FAULTS)(data, draw, SMALL)
        with within(5):
            good += read(data)
    assert 0.01 * total < good < 0.9 * total


NESTED = b"(" + b"lp0\n" + b"".join(b"(g%d\ng%d\nlp%d\n" % (i, i, i + 1) for i in range(60))
TUPLES = b")" + b"2\x86" * 60
HOSTILE = {
    "os.system": b"cos\nsystem\n(S'touch harm'\ntR.",
    "eval": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
    "getattr": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'__class__'\ntR.",
    "a path of names": b"\x80\x04\x8c\x05numpy\x8c\x0ef2py.os.system\x93\x8c\x04true\x85R.",
    "numpy.load": b"cnumpy\nload\n(S'harm'\ntR.",
    "an object of a class": b"\x80\x02cnumpy\nndarray\n(K\x01tR.",
    "a class's own new": b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x81.",
    "an extension": b"\x82\x01.",
    "a persistent id": b"Pharm\n.",
    "state of a function": b"cnumpy\ndtype\n}(S'_make'\nK\x00ub.",
    "slots of a function": b"cnumpy\ndtype\n(N}(S'_make'\nK\x00utb.",
    "an array of objects": b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
    "a memo of billions": b"K\x00r\xff\xff\xff\x7f.",
    "a memo of billions in words": b"K\x00p2147483647\n.",
    "bytes of exabytes": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.",
    "bytes of gigabytes": b"\x80\x03B\xff\xff\xff\xff.",
    "a text of gigabytes": b"X\xff\xff\xff\x7f.",
    "an old text of gigabytes": b"T\xff\xff\xff\x7f.",
    "an array of bytes of terabytes": b"\x80\x05\x96\x00\x00\x00\x00\x00\x01\x00\x00.",
    "a number of gigabytes": b"\x8b\xff\xff\xff\x7f.",
    "a number of digits": b"L" + b"9" * 10**6 + b"L\n.",
    "a frame of exabytes": b"\x80\x04\x95" + b"\xff" * 7 + b"\x0f.",
    "a key that is never hashed": b"}" + TUPLES + b"K\x00s.",
    "keys that are never hashed": b"(" + TUPLES + b"K\x00d.",
    "nested marks": b"(" * 10**5 + b".",
    "nested lists": b"]" + b"]a" * 10 + b"(" * 10**5 + b"l" * 10**5 + b"b.",
    "labels that double": b"(dS'data'\nN" + b"sS'labels'\n" + NESTED + b"s.",
    "names that double": b"(dS'label_names'\n" + NESTED + b"s.",
    "a list that holds itself": b"(dS'label_names'\n(lp0\ng0\nas.",
    "nothing": b"",
    "no stop": b"K\x00",
    "an empty stack": b".",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles(data, tmp_path, monkeypatch):
    """Nothing is called, made or filled: what a pickle asks for is an error, soon and in little memory."""
    monkeypatch.chdir(tmp_path)
    with within(5), below(30):
        for way in (lambda: read_batch(data, 3, "a"), lambda: read_names(data, "label_names", "a")):
            with pytest.raises(DataError, match=r"^a (can't be read|has no|must have)"):
                way()
    assert not list(tmp_path.iterdir())
    assert unpickle(pickle.dumps(PIXELS, protocol=4)).sum() == PIXELS.sum()  # and the next file is read as ever


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


IDX = [idx(np.zeros((5, 28, 28), np.uint8)), idx(np.arange(5, dtype=np.uint8)), idx(np.ones((2, 3, 1, 4), np.uint8))]


def test_damaged_idx_files(tmp_path):
    """Sizes that lie and packing that breaks off: an array of just that size, or a `DataError`."""
    draw, good, total = random.Random(6), 0, injections(1500)
    for _ in range(total):
        data = draw.choice(IDX)
        path = tmp_path / draw.choice(["a", "a.gz"])
        if path.suffix and draw.random() < 0.5:
            data = damaged(gzip.compress(data, 1), draw, [gzip.compress(one) for one in IDX])
        else:
            data = damaged(data, draw, IDX)
            data = gzip.compress(data, 1) if path.suffix else data
        put(path, data)
        with within(5):
            try:
                good += read_idx(path).dtype == np.uint8
            except DataError as error:
                told = str(error)
        assert good or told.isprintable()
    assert 0.01 * total < good < 0.9 * total


def test_idx_bombs(tmp_path):
    """No more is unpacked than the header says, and no memory taken for what it says and isn't there."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(IDX[1] + bytes(2**28), 1))
    with below(10), pytest.raises(DataError, match="more bytes of data where its header says 5"):
        read_idx(path)
    path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 1000, 1000, 1000)))
    with below(10), pytest.raises(DataError, match="0 bytes of data where its header says 1000 x 1000 x 1000"):
        read_idx(path)
    for count in (2**32 - 1, 0):
        path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, count, 2**32 - 1, 2**32 - 1)))
        with pytest.raises(DataError, match="more than 1024 MiB"):
            read_idx(path)


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


FOLDER = datasets.CIFAR10.base_folder
MEMBERS = {f"{FOLDER}/{name}": VALID[0] for name, _ in (*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list)}
MEMBERS |= {f"{FOLDER}/batches.meta": VALID[3], f"{FOLDER}/{'x' * 200}": b"needs a longer header"}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load CIFAR-10 from an archive's bytes, as if its checksum were right: that alone keeps strangers' out."""
    monkeypatch.setattr(cifar, "has_md5", lambda path, md5: True)

    def load_bytes(data: bytes) -> Dataset:
        put(tmp_path / datasets.CIFAR10.filename, data)
        return load_dataset(DatasetSpec(name="cifar10", root=str(tmp_path), validation=0))

    return load_bytes


def test_damaged_cifar_archives(load, tmp_path):
    """Whatever the archive or its batches hold, it is a data set or a `DataError`, and nothing is unpacked to disk."""
    draw, outcomes, whole = random.Random(7), set(), packed(MEMBERS)
    assert len(load(whole).train) == 15
    for _ in range(max(60, injections(60) // 20)):
        kind, data = draw.randrange(3), whole
        if kind == 0:
            data = damaged(whole, draw, [whole])
        elif kind == 1:
            data = gzip.compress(damaged(gzip.decompress(whole), draw, [b"\0" * 1024]), 1)
        else:
            name = draw.choice(list(MEMBERS))
            data = packed(MEMBERS | {name: damaged(MEMBERS[name], draw, SMALL)})
        with within(10):
            outcomes.add(outcome(load, data))
    assert outcomes == {Dataset, DataError}
    assert [path.name for path in tmp_path.iterdir()] == [datasets.CIFAR10.filename]


def outcome(load: Any, data: bytes) -> type:
    try:
        return type(load(data))
    except DataError as error:
        told = error
    assert all(line.isprintable() for line in str(told).splitlines())
    return type(told)


def test_cifar_archive_bombs(load, tmp_path, monkeypatch):
    """An archive is unpacked to some bytes and no more, and to memory alone."""
    monkeypatch.setattr(cifar, "MAX_UNPACKED", 2**24)
    bomb = packed({f"{FOLDER}/batches.meta": bytes(2**28)})
    with below(90), pytest.raises(DataError, match="more than 16 MiB when unpacked"):
        load(bomb)
    outside = packed(MEMBERS | {"../../harm": b"x", "/harm": b"x"})
    assert len(load(outside).train) == 15
    assert not list(tmp_path.parent.rglob("harm"))
    with pytest.raises(DataError, match=r"has no cifar-10-batches-py/batches.meta: delete it"):
        load(packed({"other": b"x"}))


def test_what_is_downloaded_is_checked_before_it_is_opened():
    """The first wall: every file of these data sets has a checksum in torchvision, and one that differs is refused."""
    assert all(len(md5) == 32 for _, md5 in (*datasets.CIFAR10.train_list, *datasets.CIFAR100.train_list))
    assert {field for field in Remote.__dataclass_fields__} == {"name", "url", "md5"}
    assert Path(cifar.__file__).read_text(encoding="utf-8").count("pickle") == 0
