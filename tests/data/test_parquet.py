import json
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet as pq

from study.config import DatasetSpec
from study.data import BadFilesError, load_dataset
from study.data import parquet as reader
from study.data.parquet import read_shards
from study.errors import DataError

from .conftest import pixels

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = ("bee", "ape", "cow")
LABELS = [0, 1, 2] * 4


def png(seed):
    buffer = BytesIO()
    Image.fromarray(pixels(seed, 12, 12)).save(buffer, "PNG")
    return buffer.getvalue()


def hub(names=NAMES, column="label"):
    """The metadata that the hub's library writes."""
    features = {"image": {"_type": "Image"}, column: {"names": list(names), "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def shard(seeds, labels, metadata=None, **columns):
    """A table of images with the seeds, as the hub keeps them; a seed may also be the bytes of a file."""
    content = [seed if isinstance(seed, bytes | None) else png(seed) for seed in seeds]
    images = pa.array([{"bytes": data, "path": f"../{i}.png"} for i, data in enumerate(content)], type=IMAGE)
    return pa.table({"image": images, "label": labels, **columns}).replace_schema_metadata(metadata or hub())


def write(path, table, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def load(root, **fields):
    return load_dataset(DatasetSpec(name="parquet", root=str(root), **{"validation": 0, "image_size": 12, **fields}))


def images(split):
    return split.images.permute(0, 2, 3, 1).numpy()


@pytest.fixture
def root(tmp_path):
    """Two shards to train on, one to test with, in the hub's places; row groups of five and of all rows."""
    folder = tmp_path / "pets"
    write(folder / "data" / "train-00000-of-00002.parquet", shard(range(12), LABELS), row_group_size=5)
    write(folder / "data" / "train-00001-of-00002.parquet", shard(range(12, 24), LABELS))
    write(folder / "data" / "test-00000-of-00001.parquet", shard(range(24, 36), LABELS), compression="zstd")
    return folder


def test_images_and_labels_are_those_of_the_rows(root):
    data = load(root)
    assert data.classes == NAMES
    assert data.notes == ("test: the images of test*.parquet",)
    assert np.array_equal(images(data.train), [pixels(seed, 12, 12) for seed in range(24)])
    assert np.array_equal(images(data.test), [pixels(seed, 12, 12) for seed in range(24, 36)])
    assert data.train.labels.tolist() == LABELS * 2
    assert data.train.names()[14] == "data/train-00001-of-00002.parquet row 2"


@pytest.mark.parametrize("place", [".", "data", "plain_text"])
def test_where_shards_lie(root, place):
    expected = load(root).fingerprint
    (root / "data").rename(root / "x")
    (root / ".cache").mkdir()
    (root / ".cache" / "train-0.parquet").write_bytes(b"a hidden one")
    for path in (root / "x").iterdir():
        (root / place).mkdir(exist_ok=True)
        path.rename(root / place / path.name)
    assert load(root).fingerprint == expected


def test_folders_of_splits_and_single_files(tmp_path):
    train = write(tmp_path / "default" / "train" / "0000.parquet", shard(range(12), LABELS))
    write(tmp_path / "default" / "validation" / "0000.parquet", shard(range(24, 36), LABELS))
    data = load(tmp_path / "default")
    assert data.notes == ("test: the images of validation*.parquet",)
    assert (len(data.train), len(data.test)) == (12, 12)
    data = load(train, test=3)
    assert data.notes == ("test: 3 (3 of 12 images, stratified by class, by split_seed 0)",)
    assert (len(data.train), len(data.test)) == (9, 3)


def test_what_is_not_used_is_told(root):
    for name in ("validation-00000-of-00001", "extra"):
        write(root / "data" / f"{name}.parquet", shard(range(12), LABELS))
    assert load(root).notes[1:] == ("not used: validation*.parquet", "not used: extra.parquet")
    write(root / "data" / "test-00000-of-00001.parquet", shard(range(12), [-1] * 12))
    assert load(root).notes == (
        "test: the images of validation*.parquet",
        "not used: test, without labels",
        "not used: extra.parquet",
    )


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint8(), pa.string(), pa.large_string(), "categories"])
def test_labels_of_many_types(tmp_path, kind):
    words = [str(label) for label in (10, 9, 2) * 4]
    column = pa.array(words).dictionary_encode() if kind == "categories" else pa.array(words).cast(kind)
    data = load(write(tmp_path / "a.parquet", shard(range(12), column, {"a": "b"})), test=3)
    assert data.classes == ("2", "9", "10")


@pytest.mark.parametrize("columns", [("image", "label"), ("img", "fine_label"), ("image", "species")])
def test_columns_of_other_names(root, tmp_path, columns):
    table = shard(range(12), LABELS, coarse=[0.5] * 12).rename_columns([*columns, "coarse"])
    path = write(tmp_path / "a.parquet", table.replace_schema_metadata(hub(column=columns[1])))
    assert load(path, test=3).classes == NAMES


def test_bytes_alone_are_images_too(tmp_path):
    table = pa.table({"image": pa.array([png(seed) for seed in range(12)], pa.large_binary()), "label": LABELS})
    data = load(write(tmp_path / "a.parquet", table), test=3)
    assert len(data.train) == 9


def test_classes_without_images_are_left_out_and_names_decide(root):
    write(root / "data" / "train-00001-of-00002.parquet", shard(range(12, 24), LABELS, hub(("cow", "ape", "bee"))))
    data = load(root)
    assert data.train.labels.tolist() == [0, 1, 2] * 4 + [2, 1, 0] * 4
    for path in (root / "data").iterdir():
        write(path, shard(range(12), [0, 2] * 6))
    assert load(root).classes == ("bee", "cow")


def damaged(root):
    """Five rows that can't be used, in two shards."""
    whole = png(3)
    seeds = [0, 1, 2, b"no image", whole[: len(whole) // 2], None, *range(6, 12)]
    write(root / "data" / "train-00000-of-00002.parquet", shard(seeds, [*LABELS[:11], -1]), row_group_size=4)
    write(root / "data" / "test-00000-of-00001.parquet", shard([b"", *range(25, 36)], LABELS))


def test_rows_that_cannot_be_used_are_named_and_skipped_when_asked_to(root):
    damaged(root)
    shards = "data/train-00000-of-00002.parquet", "data/test-00000-of-00001.parquet"
    with pytest.raises(BadFilesError) as caught:
        load(root)
    assert [(bad.name, bad.reason.split(" (")[0]) for bad in caught.value.bad] == [
        (f"{shards[0]} row 11", "has no label"),
        (f"{shards[0]} row 3", "not an image"),
        (f"{shards[0]} row 4", "image file is truncated"),
        (f"{shards[0]} row 5", "has no bytes"),
        (f"{shards[1]} row 0", "not an image"),
    ]
    data = load(root, skip_bad=True)
    assert (len(data.train), len(data.test), len(data.skipped)) == (20, 11, 5)
    assert data.train.labels.tolist() == [0, 1, 2, *LABELS[6:11], *LABELS]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"label": LABELS}), r"needs one column of images, each a struct of bytes and path, .*; it has label"),
        (shard(range(12), LABELS, other=[b""] * 12), r"one column of images, .*; it has several: other, image.bytes"),
        (shard(range(12), LABELS).rename_columns(["image", "x"]), r"needs one column 'label'; it has image, x"),
        (shard(range(12), [0.5] * 12), r"column 'label' holds double: labels must be whole numbers or words"),
        (shard(range(12), [*LABELS[:11], 3]), r"a.parquet row 11 has the label 3: labels must be from 0 to 2"),
        (shard(range(12), [*LABELS[:11], -2]), r"a.parquet row 11 has the label -2: labels must be from 0 to 2"),
        (shard(range(12), [*LABELS[:11], -2], {"a": "b"}), r"row 11 has the label -2: labels must be from 0 on"),
        (shard(range(12), [1] * 12), r"one class only \(ape\)"),
        (shard(range(12), [-1] * 12), r"a.parquet has no image that is read"),
        (shard(range(12), LABELS, hub(("a", "b", "\x1bc"))), r"class '\\x1bc' has a control character"),
        (shard([], pa.array([], pa.int64())), "has no image that is read"),
    ],
)
def test_shards_that_cannot_be_used(tmp_path, table, message):
    with pytest.raises(DataError, match=message) as caught:
        load(write(tmp_path / "a.parquet", table))
    assert str(caught.value).count("\n") < 2


@pytest.mark.parametrize(
    "metadata", ["{", "[]", '{"info": 3}', "[" * 10**5, '{"info": {"features": {"label": {"names": [3]}}}}']
)
def test_damaged_metadata_name_no_classes(tmp_path, metadata):
    path = write(tmp_path / "a.parquet", shard(range(12), LABELS, {"huggingface": metadata}))
    assert load(path, test=3).classes == ("0", "1", "2")


def test_folders_without_shards_or_with_several_sets(tmp_path, root):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no shards: files such as train-00000-of-00001.parquet"):
        load(tmp_path / "empty")
    with pytest.raises(
        DataError, match=r"^parquet needs the folder of its shards: dataset: \{name: parquet, root: DIR"
    ):
        load_dataset("parquet")
    write(tmp_path / "pets" / "other" / "train-0.parquet", shard(range(12), LABELS))
    with pytest.raises(DataError, match=r"pets holds several data sets: .*data, .*other: give one of these folders"):
        load(root)
    write(tmp_path / "tests" / "test-0.parquet", shard(range(12), LABELS))
    with pytest.raises(DataError, match=r"tests has no shard to train on"):
        load(tmp_path / "tests")
    with pytest.raises(DataError, match=r"test_parquet.py has no shards"):
        load(__file__)


def test_changed_images_and_labels_are_noticed(root):
    first = load(root).fingerprint
    path = root / "data" / "train-00001-of-00002.parquet"
    write(path, shard([*range(12, 23), 99], LABELS))
    second = load(root).fingerprint
    write(path, shard(range(12, 24), [*LABELS[:11], 1]))
    assert len({first, second, load(root).fingerprint}) == 3
    write(path, shard(range(12, 24), LABELS), row_group_size=1, compression="gzip")
    assert load(root).fingerprint == first  # content alone


def test_a_shard_cut_short(root):
    path = root / "data" / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-00001-of-00002.parquet can't be read: .*: download it again"):
        load(root)


def test_damage_in_a_row_group_is_told_of_each_of_its_later_rows(root):
    path = root / "data" / "train-00000-of-00002.parquet"
    plain = {"use_dictionary": False, "write_statistics": False, "compression": "none"}
    write(path, shard(range(12), LABELS), row_group_size=5, write_page_checksum=True, **plain)
    content = bytearray(path.read_bytes())
    content[content.index(png(7)) + 50] ^= 255
    path.write_bytes(content)
    with pytest.raises(BadFilesError, match=r"5 of 36 image files can't be used:\n  .*parquet row 5: .*CRC"):
        load(root)
    assert len(load(root, skip_bad=True).train) == 19


@given(st.lists(st.integers(0, 22), min_size=1, max_size=40), st.integers(1, 23))
def test_rows_are_read_in_any_order(tmp_path_factory, order, group_size):
    content = [bytes([seed]) * (seed + 1) for seed in range(23)]
    table = shard(content, [seed % 3 for seed in range(23)])
    path = write(tmp_path_factory.mktemp("p") / "a.parquet", table, row_group_size=group_size)
    catalogue = read_shards(path)
    assert [catalogue.read(catalogue.train.files[row]) for row in order] == [content[row] for row in order]


def test_memory_is_that_of_a_few_images_of_a_row_group(tmp_path):
    """The same large image two hundred times takes few bytes in a file, and 200 MiB in memory if read as a whole."""
    path = write(tmp_path / "a.parquet", shard([bytes(2**20)] * 200, [0, 1] * 100), dictionary_pagesize_limit=2**30)
    assert path.stat().st_size < 2**17
    catalogue = read_shards(path)
    before, most = pa.total_allocated_bytes(), 0
    for file in catalogue.train.files:
        assert len(catalogue.read(file)) == 2**20
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 64 * 2**20


def test_more_rows_than_bytes_are_refused(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.nulls(10**6, kind), "label": pa.nulls(10**6, pa.int64())})
    with pytest.raises(DataError, match=r"says that it has 1,000,000 images in [\d,]+ bytes"):
        read_shards(write(tmp_path / "a.parquet", table))


def test_rows_of_too_many_bytes_are_refused_unread(root, monkeypatch):
    monkeypatch.setattr("study.data.decode_all.MAX_FILE_BYTES", 100)
    monkeypatch.setattr(reader, "_rows", lambda *_: pytest.fail("it was read"))
    with pytest.raises(BadFilesError, match=r"36 of 36 .*\n.*larger than"):
        load(root)
