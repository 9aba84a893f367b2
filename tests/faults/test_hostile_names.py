"""Names from strangers: of classes, files and studies, on the page, on the terminal and as folders."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from study.cli.report import report_folder
from study.config import DatasetSpec
from study.data import BadFile, BadFilesError, Dataset, load_dataset
from study.data.describe import describe
from study.errors import DataError
from study.inference import Predictions, Predictor, submission, write_csv
from study.report import Joined, build_report, join
from study.report.figures.drawing import slug
from tests.report.data import Record
from tests.report.frames import Truth, make_study
from tests.report.sketches import sketches
from tests.report.studies import loaded
from tests.report.test_build import Page

CLASSES = (
    "<script>alert(1)<script>",
    "<img src=x onerror=alert(1)>",
    "a' b\"c & d;",
    "$x_1^{$ \\input{x} %",
    "=cmd|' '!A0",
    "{{ 7*7 }}{% raw %}",
    "-rf",
    "&lt;b&gt;",
    "[x](javascript:alert(1))",
    "c" * 200,
)
SKIPPED = "bad\x1b[2J<b>\n\u202e.png"
"""The name of a file that is no image."""


def image_tree(root: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write an image folder with two images a class to train on and one to test on, of many sizes."""
    for part, count in (("train", 2), ("test", 1)):
        for label, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.full((9 + label, 9 + i, 3), 20 * label, dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"<i>{i}.png")
    return root


def load(root: Path, **fields: object) -> Dataset:
    return load_dataset(DatasetSpec(name="image-folder", root=str(root), image_size=8, validation=0, **fields))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The report of a study on images whose classes and files have such names."""
    root = image_tree(tmp_path_factory.mktemp("images"))
    (root / "train" / CLASSES[0] / SKIPPED).write_bytes(b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_CACHE", str(tmp_path_factory.mktemp("cache")))
        dataset = load(root, skip_bad=True)
        found = describe(dataset)
    record = Record(
        dataset.name,
        dataset.fingerprint,
        pd.DataFrame(found.table),
        found.statistics,
        found.samples,
        found.sample_labels,
        found.mean_image,
    )
    study = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1)}, trials=0))
    runs = study.runs.assign(fingerprint=dataset.fingerprint)
    out = tmp_path_factory.mktemp("reports") / "out"
    return build_report(Joined("s", runs, study.curves, study.trials, datasets=(record,)), out).parent


def test_the_page_shows_names_as_text(report):
    """A class called <script> stands on the page as it is written, and nothing of it is a tag, a link or a picture."""
    text = (report / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.tags).isdisjoint({"script", "b", "i", "iframe", "object"})
    assert all(address.startswith(("data:", "#", "figures/", "tables/", "verdict.json")) for address in page.addresses)
    assert text.count("<img ") == len(page.alts) == text.count("<img src='data:image/")
    for name in CLASSES:
        assert " ".join(name.split()) in page.text
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_figures_and_tables_show_names_as_text(report):
    """Figures are pictures that run nothing; a table's Markdown has no HTML, its CSV no formula."""
    for path in report.rglob("*.svg"):
        elements = list(ElementTree.parse(path).iter())
        assert not {element.tag.rpartition("}")[2] for element in elements} & {"script", "img", "foreignObject", "a"}
        assert not [key for element in elements for key in element.attrib if key.lower().startswith("on")]
    for path in report.rglob("*.md"):
        assert not any(mark in path.read_text(encoding="utf-8").replace("\\<", "") for mark in ("<", "\x1b"))
    assert r"\input" not in (report / "tables" / "data-classes.tex").read_text(encoding="utf-8")
    with (report / "tables" / "data-classes.csv").open(encoding="utf-8", newline="") as file:
        names = {row["class"] for row in csv.DictReader(file)}
    assert names == {f"'{name}" if name[0] in "=-" else name for name in CLASSES}
    json.loads((report / "verdict.json").read_text(encoding="utf-8"))


def test_bad_files_are_named_escaped(report):
    r"""A file's name reaches neither page nor table with what would steer a terminal: it is shown as \x1b."""
    text = Page((report / "index.html").read_text(encoding="utf-8")).text
    assert r"bad\x1b[2J<b>\n\u202e.png" in text
    for path in (*report.rglob("*.md"), *report.rglob("*.csv"), *report.rglob("*.tex")):
        assert "\x1b" not in path.read_text(encoding="utf-8")


def test_bad_files_are_told_escaped(tmp_path):
    """So does an error: the terminal is sent text alone."""
    root = image_tree(tmp_path / "images", ("a", "b"))
    (root / "train" / "a" / SKIPPED).write_bytes(b"no image")
    with pytest.raises(BadFilesError) as caught:
        load(root)
    assert [bad.name for bad in caught.value.bad] == [r"train/a/bad\x1b[2J<b>\n\u202e.png"]
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert BadFile("a\udcff\x07.png", "b\x9b").name == r"a\udcff\x07.png"  # bytes that are no text, and the bell


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "a\tb", "\x7f", "a\x9bb", "\u202etxt", "a\u2028b"])
def test_classes_whose_names_would_steer_a_terminal(name, tmp_path):
    """The name of a class is printed, drawn and written in many places: such a folder has to be renamed."""
    root = image_tree(tmp_path / "images", (name, "b"))
    with pytest.raises(DataError, match="has a control character, or more than 255: rename it") as caught:
        load(root)
    assert all(line.isprintable() for line in str(caught.value).splitlines())


HOSTILE = ("../../up", "/etc/passwd", "a/b", "<script>", "\x1b[2J", "..", "", "x" * 300, "a\0b", "CON:", "-rf")


@pytest.mark.parametrize("name", HOSTILE)
def test_report_folders_stay_below_reports(name):
    """A study may come from a stranger's MLflow, with any name: its report's folder is one below `reports`."""
    for found in (report_folder([name], None), report_folder([name, "b"], None)):
        assert found.parent == Path("reports")
        assert found.name.isprintable()
        assert found.name not in (".", "..")
        assert len(found.name) <= 200
        assert not found.name.startswith(("-", "."))


def test_reports_of_studies_of_any_name_stay_in_their_folder(tmp_path):
    """Names of studies are parts of figures' names on a page of several: no file of it lies elsewhere."""
    out = tmp_path / "reports" / "out"
    study = join([loaded("../../<script>\x1b[2J"), loaded("x" * 300, seed=1)], "study report")
    with sketches():
        page = Page(build_report(study, out).read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert len(set(page.ids)) == len(page.ids)
    assert all((out / address).is_file() for address in page.addresses if not address.startswith(("data:", "#")))
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["out"]
    assert slug("x" * 300 + "a") != slug("x" * 300 + "b")


def test_predictions_quote_names(tmp_path):
    """A class whose name has commas, quotes or lines is one cell of Kaggle's file."""
    classes = ("a,b", 'c"d', "e\nf")
    spec = type("Spec", (), {"dataset": DatasetSpec(name="image-folder", root="x")})()
    predictor = Predictor(torch.nn.Identity(), None, spec, classes, (3, 4, 4), torch.device("cpu"))  # type: ignore[arg-type]
    predictions = Predictions(["1", "2,3", "4"], torch.eye(3), ())
    write_csv(tmp_path / "s.csv", submission(predictions, predictor, probabilities=False))
    with (tmp_path / "s.csv").open(newline="", encoding="utf-8") as file:
        assert [*csv.reader(file)] == [["id", "label"], ["1", "a,b"], ["2,3", 'c"d'], ["4", "e\nf"]]
