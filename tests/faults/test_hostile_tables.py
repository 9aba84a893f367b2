"""Archives of arrays, Parquet shards and tables from strangers: each is a data set, or a `DataError`."""

import random
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as pq

from study.config import DatasetSpec
from study.data import Dataset, load_dataset
from study.data.npz import load as load_npz
from study.errors import DataError
from study.inference import Predictions, Predictor, predict_files

from .images import damaged, put, saved
from .limits import below, within
from .scale import injections

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (12, 5, 5), dtype=np.uint8)
LABELS = np.arange(12) % 2


def archives() -> list[bytes]:
    """Return whole archives of arrays, packed and not."""
    contents = []
    for save in (np.savez, np.savez_compressed):
        for labels in (LABELS, LABELS.astype("<U1"), LABELS.astype(np.uint8)[:, None]):
            buffer = BytesIO()
            save(buffer, x_train=PIXELS, y_train=labels, x_test=PIXELS[:4], y_test=labels[:4])
            contents.append(buffer.getvalue())
    return contents


def shards() -> list[bytes]:
    """Return whole shards, in several encodings."""
    contents = []
    files = [{"bytes": saved(Image.fromarray(image), "PNG"), "path": None} for image in PIXELS]
    images = pa.array(files, type=pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    metadata = {"huggingface": '{"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}'}
    for labels in (pa.array(LABELS), pa.array([str(label) for label in LABELS])):
        table = pa.table({"image": images, "label": labels}).replace_schema_metadata(metadata)
        for options in (
            {},
            {"compression": "zstd", "row_group_size": 5},
            {"use_dictionary": False, "compression": "none"},
        ):
            buffer = BytesIO()
            pq.write_table(table, buffer, **options)
            contents.append(buffer.getvalue())
    return contents


def tables() -> list[bytes]:
    """Return tables of labels of the images that lie beside them."""
    rows = [f"{row}.png,{label},{'train' if row < 8 else 'test'}" for row, label in enumerate(LABELS)]
    return ["\r\n".join(["path,label,split", *rows]).encode(), "\n".join(['"image","class",', *rows]).encode()]


def load(kind: str, path: Path, *, skip_bad: bool = False) -> Dataset:
    fields = {"image_size": 6, "validation": 0, "skip_bad": skip_bad and kind != "npz"}
    return load_dataset(DatasetSpec(name=kind, root=str(path), **fields))


@pytest.mark.parametrize(("kind", "contents"), [("npz", archives), ("parquet", shards), ("csv", tables)])
def test_damaged_files(kind: str, contents: Callable[[], list[bytes]], tmp_path: Path, predictor: Predictor) -> None:
    """Bits turned, fields that lie, parts cut and mixed: the images that are left, or an error in lines of text."""
    for row, image in enumerate(PIXELS):
        Image.fromarray(image).save(tmp_path / f"{row}.png")
    draw, path, whole = random.Random(6), tmp_path / f"a.{kind}", contents()
    for content in whole:
        assert len(load(kind, put(path, content)).train) in (8, 10, 12)
    outcomes, total = [], injections(150)
    for number in range(total):
        put(path, damaged(draw.choice(whole), draw, whole))
        for use in (partial(load, kind, path), partial(predict_files, predictor, path)):
            told = ""
            with within(20):
                try:
                    outcomes.append(type(use(skip_bad=number % 2 > 0)))
                except DataError as error:
                    outcomes.append(DataError)
                    told = str(error)
            assert all(line.isprintable() for line in told.splitlines())
    assert {*outcomes} == {Dataset, Predictions, DataError}
    assert 0.02 * total < outcomes.count(DataError)
    assert {entry.suffix for entry in tmp_path.iterdir() if entry.is_file()} == {
        ".png",
        f".{kind}",
    }  # nothing was unpacked


def member(shape: str, content: bytes, kind: str = "|u1") -> bytes:
    """Return an array as NumPy writes it, with any shape in its header."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(header)) + header + content


def pack(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


def test_arrays_that_unpack_to_more_than_their_archive_can_hold(tmp_path: Path) -> None:
    """Millions of images in a few kilobytes: they are refused before a list is made of them."""
    path = pack(tmp_path / "a.npz", x_train=member("(30000000, 1, 1)", bytes(30_000_000)), y_train=b"")
    assert path.stat().st_size < 2**16
    with (
        below(20),
        within(10),
        pytest.raises(DataError, match=r"says that it has 30,000,000 images in \d\d,\d\d\d bytes"),
    ):
        load("npz", path)


@pytest.mark.parametrize(
    "shape",
    [
        "(12, 99999999999, 99999999999)",
        "(12, -1, 5)",
        "(12, 0, 5)",
        "(12, 2.5, 5)",
        "(12,",
        "()",
        "(True, 5, 5)",
        "[12]",
    ],
)
def test_shapes_that_lie(shape: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.npz", x_train=member(shape, PIXELS.tobytes()), y_train=member("(12,)", bytes(12)))
    with below(20), within(10), pytest.raises(DataError, match=r"x_train in .*a.npz (says|is|has)"):
        load("npz", path)


def test_headers_and_labels_of_enormous_size(tmp_path: Path) -> None:
    """A header's length may be four gigabytes: no more than NumPy's own limit is read of it."""
    header = np.lib.format.magic(2, 0) + struct.pack("<I", 2**32 - 1) + b" " * 50_000_000
    path = pack(tmp_path / "a.npz", x_train=member("(12, 5, 5)", PIXELS.tobytes()), y_train=header)
    with below(20), within(10), pytest.raises(DataError, match=r"y_train in .* is no array of NumPy"):
        load("npz", path)
    labels = member("(12,)", bytes(12 * 24_000_000), "<U6000000")
    path = pack(tmp_path / "a.npz", x_train=member("(12, 5, 5)", PIXELS.tobytes()), y_train=labels)
    with (
        below(20),
        within(10),
        pytest.raises(DataError, match="labels must be whole numbers from 0 on, or short words"),
    ):
        load("npz", path)


def test_large_arrays_are_read_row_by_row(tmp_path: Path) -> None:
    """An array of 96 MiB is decoded in a few."""
    images = RANDOM.integers(0, 256, (32, 1024, 1024, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(32) % 2)
    del images
    spec = DatasetSpec(name="npz", root=str(tmp_path / "a.npz"), image_size=8)
    with below(48), within(60):
        assert len(load_npz(spec).train) == 32
