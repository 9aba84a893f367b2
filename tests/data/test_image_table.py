import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config import DatasetSpec
from study.data import BadFilesError, load_dataset
from study.data.image_table import read_table
from study.errors import DataError

from .conftest import pixels

ROWS = [("a/0.png", "bee"), ("a/1.png", "ape"), ("2.png", "bee"), ("3.png", "ape"), ("4.png", "bee"), ("5.png", "ape")]
SPLITS = ["train"] * 4 + ["test"] * 2


def load(path, **fields):
    return load_dataset(
        DatasetSpec(name="csv", root=str(path), **{"validation": 0, "image_size": 12, "test": 0.34, **fields})
    )


@pytest.fixture
def table(tmp_path, write_image):
    """Write six images and a table of the given lines; return its path."""
    for seed, (name, _) in enumerate(ROWS):
        write_image(tmp_path / "pets" / name, seed)

    def table(lines, heading="path,label", encoding="utf-8"):
        path = tmp_path / "pets" / "pets.csv"
        path.write_text(
            "\n".join([heading, *(line if isinstance(line, str) else ",".join(line) for line in lines)]), encoding
        )
        return path

    return table


def images(split):
    return split.images.permute(0, 2, 3, 1).numpy()


def test_images_and_labels_are_those_of_the_table(table):
    path = table([(*row, split) for row, split in zip(ROWS, SPLITS, strict=True)], "path,label,split")
    data = load(path, test=0.2)
    assert data.classes == ("ape", "bee")
    assert data.notes == ("test: the images of test",)
    assert np.array_equal(images(data.train), [pixels(seed, 12, 12) for seed in range(4)])
    assert np.array_equal(images(data.test), [pixels(seed, 12, 12) for seed in (4, 5)])
    assert data.train.labels.tolist() == [1, 0, 1, 0]
    assert data.train.names() == ["a/0.png", "a/1.png", "2.png", "3.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("heading", ["path,label", "Image, Class", '"filename","category"', "file_name,target"])
def test_headings(table, heading, encoding):
    data = load(table(ROWS, heading, encoding))
    assert data.notes == ("test: 0.34 (2 of 6 images, stratified by class, by split_seed 0)",)
    assert (len(data.train), len(data.test), data.classes) == (4, 2, ("ape", "bee"))


def test_validation_images_are_the_test_where_there_is_no_other(table):
    lines = [(*row, split.upper()) for row, split in zip(ROWS, ["train"] * 4 + ["val"] * 2, strict=True)]
    assert load(table(lines, "path,label,split"), test=0.2).notes == ("test: the images of validation",)


def test_other_columns_and_blank_lines_are_passed_over(table):
    lines = [f"7,{name},x,{label}" for name, label in ROWS]
    assert load(table([lines[0], "", *lines[1:]], "id,path,note,label")).fingerprint == load(table(ROWS)).fingerprint


def test_numbers_are_in_the_order_of_their_values(table):
    lines = [(name, "10" if label == "ape" else "9") for name, label in ROWS]
    assert load(table(lines)).classes == ("9", "10")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("none.png,ape", "none.png: line 8: there is no such file"),
        ("a,ape", "a: line 8: there is no such file"),
        ("2.png,ape", "2.png: line 8: is in line 4 already"),
        ("./a//1.png,ape", "./a//1.png: line 8: is in line 3 already"),
        ("../pets/2.png,ape", r"../pets/2.png: line 8: lies outside the table's folder"),
        ("a/../../pets/2.png,ape", r"a/../../pets/2.png: line 8: lies outside"),
        ("/etc/passwd,ape", r"/etc/passwd: line 8: lies outside"),
        ("C:\\x.png,ape", r"C:\\x.png: line 8: lies outside"),
        (",ape", r"\(no path\): line 8: has no path"),
        ("6.png,", "6.png: line 8: has no label"),
        ("6.png", "6.png: line 8: has no label"),
        ("6.png,  ", "6.png: line 8: has no label"),
        ("pets.csv,ape", "pets.csv: not an image"),
        ("x" * 300 + ",ape", "x{300}: line 8: there is no such file"),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_skipped_when_asked_to(table, write_image, tmp_path, line, problem):
    write_image(tmp_path / "pets" / "6.png", 6)
    path = table([*ROWS, line])
    with pytest.raises(BadFilesError, match=rf"^1 of 7 image files can't be used:\n  {problem}"):
        load(path)
    data = load(path, skip_bad=True)
    assert (len(data.train), len(data.test), len(data.skipped)) == (4, 2, 1)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_of_spreadsheets_in_any_language(table, separator, encoding):
    lines = [separator.join(row) for row in ROWS]
    assert load(table(lines, f"path{separator}label", encoding)).fingerprint == load(table(ROWS)).fingerprint


def test_paths_may_be_written_in_other_ways(table, tmp_path):
    expected = load(table(ROWS))
    (tmp_path / "alias").symlink_to(tmp_path / "pets")
    inner = tmp_path / "pets" / "store"
    inner.symlink_to(tmp_path / "pets" / "a")
    ways = [
        lambda name: str(tmp_path / "pets" / name),
        lambda name: f"{tmp_path}/alias/{name}",
        lambda name: f"{tmp_path}/pets/../alias/./{name}",
        lambda name: name.replace("/", "\\"),
    ]
    for way in ways:
        data = load(table([(way(name), label) for name, label in ROWS]))
        assert (data.fingerprint, data.train.names()) == (expected.fingerprint, expected.train.names())
    table(ROWS)
    through_alias = load(tmp_path / "alias" / "pets.csv")
    assert through_alias.fingerprint == expected.fingerprint
    table([(str(tmp_path / "pets" / name), label) for name, label in ROWS])
    assert load(tmp_path / "alias" / "pets.csv").fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "path", ["{}/outside.png", "{}/pets/../outside.png", "{}/petshop/1.png", "{}/out/1.png", "//etc/x"]
)
def test_absolute_paths_that_lead_elsewhere(table, write_image, tmp_path, path):
    for name in ("outside.png", "petshop/1.png"):
        write_image(tmp_path / name, 9)
    (tmp_path / "out").symlink_to(tmp_path / "petshop")
    with pytest.raises(BadFilesError, match="line 8: lies outside the table's folder"):
        load(table([*ROWS, (path.format(tmp_path), "ape")]))


def test_one_image_by_two_paths_is_named_twice(table, tmp_path):
    with pytest.raises(BadFilesError, match=r"2.png: line 8: is in line 4 already"):
        load(table([*ROWS, (str(tmp_path / "pets" / "2.png"), "ape")]))


def test_unknown_splits(table):
    lines = [(*row, "train") for row in ROWS[:4]] + [(*ROWS[4], "hold-out"), (*ROWS[5], "")]
    with pytest.raises(BadFilesError) as caught:
        load(table(lines, "path,label,split"))
    assert [bad.reason for bad in caught.value.bad] == [
        "line 6: its split 'hold-out' is none of train, test and val",
        "line 7: its split '' is none of train, test and val",
    ]


@pytest.mark.parametrize(
    ("lines", "heading", "message"),
    [
        (ROWS, "path,colour", r"pets.csv needs a column of paths .* and one of labels .*; it has path, colour"),
        (ROWS, "path|label", r"one of each; it has path\|label"),
        (ROWS, "path,image", r"one of each; it has path, image"),
        ([], "", "it has none"),
        ([], "path,label", "names no image to train on that is there"),
        (
            [("x.png", "ape")],
            "path,label",
            r"names no image to train on that is there\n  x.png: line 2: there is no such",
        ),
        ([(*row, "test") for row in ROWS], "path,label,split", "names no image to train on"),
        ([*ROWS, '"2.png,ape'], "path,label", r"pets.csv: line 8: unexpected end of data"),
        ([(name, "ape") for name, _ in ROWS], "path,label", r"one class only \(ape\)"),
        ([(name, f"a\x1b{label}") for name, label in ROWS], "path,label", r"class 'a\\x1bape' has a control character"),
        ([(name, label * 100) for name, label in ROWS], "path,label", r"has a control character, or more than 255"),
        (
            [(*row, split) for row, split in zip(ROWS, ["train"] * 5 + ["test"], strict=True)],
            "path,label,split",
            r"classes differ between the splits: only in train: bee",
        ),
    ],
)
def test_tables_that_cannot_be_used(table, lines, heading, message):
    with pytest.raises(DataError, match=message) as caught:
        load(table(lines, heading))
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_a_table_in_another_encoding(table):
    path = table(ROWS)
    path.write_bytes(path.read_bytes().replace(b"bee", b"b\xe4r"))
    with pytest.raises(DataError, match="isn't text in UTF-8"):
        load(path)


def test_changed_images_and_labels_are_noticed(table, write_image, tmp_path):
    first = load(table(ROWS)).fingerprint
    assert load(table([(name, {"ape": "bee", "bee": "ape"}[label]) for name, label in ROWS])).fingerprint != first
    os.utime(write_image(tmp_path / "pets" / "2.png", 77))
    assert load(table(ROWS)).fingerprint != first


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=8), st.sampled_from('",;\t'))
def test_any_text_is_a_list_of_images_or_one_line(tmp_path_factory, words, mark):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(f"path,label,split\na.png,b,train\n{mark.join(words)}".encode())
    path.with_name("a.png").write_bytes(b"")
    told, names = "", set()
    try:
        names = {file.name for part in read_table(path).parts for file in part.files}
    except DataError as error:
        told = str(error)
    assert names <= {"a.png", "a.csv"}
    assert all(line.isprintable() for line in told.splitlines())
