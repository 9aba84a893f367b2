"""Images to predict: those of the test, where a place says which they are, with ids by which their owner knows them."""

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from study.data.decode import decode
from study.data.unlabelled import open_images
from study.errors import DataError

from .conftest import WriteImage, pixels
from .test_parquet import png, shard, write

STACK = np.stack([pixels(seed, 9, 9) for seed in range(6)])


def seeds(place: Path) -> dict[str, int]:
    """Return which of the made-up images each id is of."""
    named, listing = open_images(place)
    assert not listing.bad
    decoded = {name: decode(listing.read(file)) for name, file in named.items()}
    return {
        name: next(seed for seed in range(20) if np.array_equal(image, pixels(seed, *image.shape[:2])))
        for name, image in decoded.items()
    }


@pytest.mark.parametrize(
    ("arrays", "first", "used"),
    [
        ({"x_test": STACK}, 0, "x_test"),
        ({"x_train": STACK[:2], "y_train": np.arange(2), "x_test": STACK[2:], "y_test": np.arange(4)}, 2, "x_test"),
        ({"train_images": STACK[:3], "train_labels": np.arange(3), "val_images": STACK[3:]}, 3, "val_images"),
        ({"Images": STACK, "labels": np.arange(6)}, 0, "Images"),
        ({"arr_0": STACK}, 0, "arr_0"),
    ],
)
def test_rows_of_an_archive_are_numbered(tmp_path: Path, arrays: dict[str, np.ndarray], first: int, used: str) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "A.NPZ.npz", **arrays)
        (tmp_path / "A.NPZ.npz").rename(tmp_path / "a.NPZ")
        assert seeds(tmp_path / "a.NPZ") == {str(row): first + row for row in range(6 - first)}
        assert open_images(tmp_path / "a.NPZ")[1].notes == (f"the images of {used}",)


def test_rows_of_shards_are_numbered_through(tmp_path: Path) -> None:
    unlabelled = pa.table({"image": shard([3, 4], [0, 1])["image"]})
    write(tmp_path / "data" / "train-00000-of-00001.parquet", shard([0], [0]))
    write(tmp_path / "data" / "test-00000-of-00002.parquet", unlabelled)
    write(tmp_path / "data" / "test-00001-of-00002.parquet", shard([5, 6], [-1, 2]))
    assert seeds(tmp_path) == {"0": 3, "1": 4, "2": 5, "3": 6}
    assert open_images(tmp_path)[1].notes == ("the images of test-00000-of-00002.parquet, test-00001-of-00002.parquet",)
    assert seeds(tmp_path / "data" / "train-00000-of-00001.parquet") == {"0": 0}
    pq.write_table(pa.table({"bytes": [png(7), png(8)]}), tmp_path / "plain.parquet")
    assert seeds(tmp_path / "plain.parquet") == {"0": 7, "1": 8}


def test_rows_of_a_table_are_called_by_their_path(tmp_path: Path, write_image: WriteImage) -> None:
    for seed, name in enumerate(("b/1.png", "a/1.png", "2.png")):
        write_image(tmp_path / name, seed)
    table = tmp_path / "t.csv"
    table.write_text("id,Filename\n7,b/1.png\n8,./a/1.png\n9,2.png\n")
    assert seeds(table) == {"b/1.png": 0, "a/1.png": 1, "2.png": 2}
    assert open_images(table)[1].notes == ()
    table.write_text("path,label,split\nb/1.png,ape,train\nmissing.png,ape,train\na/1.png,,test\n2.png,bee,val\n")
    assert seeds(table) == {"a/1.png": 1}
    assert open_images(table)[1].notes == ("the rows of test; 3 of other splits aren't used",)


def test_rows_of_a_table_that_cannot_be_used_are_named(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "1.png")
    rows = ("1.png,test", "./1.png,test", "../1.png,test", "3.png,test", ",test", "1.png,tset", "4.png,train")
    (tmp_path / "t.csv").write_text("\n".join(["path,split", *rows]))
    _, listing = open_images(tmp_path / "t.csv")
    assert [f"{bad.name}: {bad.reason}" for bad in listing.bad] == [
        "./1.png: line 3: is in line 2 already",
        "../1.png: line 4: lies outside the table's folder: move the images, or the table, so that they lie below it",
        "3.png: line 5: there is no such file",
        "(no path): line 6: has no path",
        "1.png: line 7: is in line 2 already",
    ]


def test_a_split_that_is_none_hides_no_rows_of_others(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "1.png")
    (tmp_path / "t.csv").write_text("path,split\n1.png,train\n2.png,tset\n")
    named, listing = open_images(tmp_path / "t.csv")
    assert list(named) == ["1.png"]
    assert [bad.name for bad in listing.bad] == ["2.png"]
    assert listing.notes == ()


def test_image_files_beside_shards_are_counted(tmp_path: Path, write_image: WriteImage) -> None:
    write(tmp_path / "a.parquet", shard([0], [0]))
    write_image(tmp_path / "below" / "1.png")
    write_image(tmp_path / "2.png")
    assert seeds(tmp_path) == {"0": 0}
    assert open_images(tmp_path)[1].notes == ("the images of a.parquet", "not used: 2 image files beside the shards")
    assert open_images(tmp_path / "a.parquet")[1].notes == ("the images of a.parquet",)


def test_files_are_ordered_by_their_names_numbers_first(tmp_path: Path, write_image: WriteImage) -> None:
    for seed, name in enumerate(("x/b.png", "y/10.png", "9.png")):
        write_image(tmp_path / "f" / name, seed)
    assert list(seeds(tmp_path / "f").items()) == [("9", 2), ("10", 1), ("b", 0)]
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        for path in sorted((tmp_path / "f").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
    assert seeds(tmp_path / "f.zip") == seeds(tmp_path / "f")
    write_image(tmp_path / "f" / "9.bmp")
    with pytest.raises(DataError, match=r"9\.(png|bmp) and 9\.(png|bmp) have the same id, '9'; rename one"):
        open_images(tmp_path / "f")


def damaged_archive(path: Path) -> None:
    np.savez(path, x_test=STACK)
    content = bytearray(path.read_bytes())
    content[-400] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("a.npz", lambda path: np.savez(path, a=STACK, b=STACK), "needs images as x_test or .* it has a, b$"),
        ("a.npz", lambda path: np.savez(path), "needs images as x_test or .* it has none$"),
        ("a.npz", lambda path: np.savez(path, x_test=STACK, test_images=STACK), "has several arrays for one split"),
        ("a.npz", lambda path: np.savez(path, x_test=STACK / 255), r"holds float64: .* save \(255"),
        ("a.npz", lambda path: np.savez(path, x_test=STACK.transpose(0, 3, 1, 2)), r"x.transpose\(0, 2, 3, 1\)"),
        ("a.npz", lambda path: np.savez(path, x_test=STACK[:0]), "is empty"),
        ("a.npz", damaged_archive, "Bad CRC-32 for file 'x_test.npy'\nmake or download it again"),
        ("a.npz", lambda path: path.write_bytes(b"PK"), "File is not a zip file"),
        ("a.parquet", lambda path: path.write_bytes(b"PAR1 PAR1"), "can't be read"),
        ("a.parquet", lambda path: pq.write_table(pa.table({"label": [1]}), path), "needs one column of images"),
        ("a.parquet", lambda path: pq.write_table(shard([], []), path), "has no images"),
        ("a.csv", lambda path: path.write_text("name,label\n1,2\n"), r"needs a column of paths .* it has name, label$"),
        ("a.csv", lambda path: path.write_text("path\n"), "has no rows"),
        ("a.csv", lambda path: path.write_text("path,image\na,b\n"), "needs a column of paths"),
        ("a.csv", lambda path: path.write_bytes(b"\xff\xfe\x00"), "isn't text in UTF-8"),
        ("a.csv", lambda path: path.write_text('path\n"1.png\n'), "line 2: unexpected end"),
        (
            "a.txt",
            lambda path: path.write_text("1.png"),
            "can't be predicted: give a folder of images or shards, a zip",
        ),
        ("a", Path.mkdir, "a has no images$"),
        ("a", lambda path: None, "doesn't exist: give a folder"),
    ],
)
def test_what_cannot_be_listed_is_told(tmp_path: Path, name: str, make, said: str) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=said) as told:
        open_images(tmp_path / name)
    assert all(line.isprintable() for line in str(told.value).splitlines())
