import base64
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.image import imread

from study.report.figures.drawing import Drawing, data_uri, slim
from study.report.figures.layers import name_row
from study.report.figures.points import name_points
from study.report.figures.style import new_figure, save

TEXT = "<!-- a --> & > b\n  c"


@pytest.fixture
def folder(tmp_path):
    with new_figure() as (figure, axes):
        axes[0, 0].plot(range(400), [i % 7 for i in range(400)])
        axes[0, 0].set_title(TEXT)
        save(figure, tmp_path, "one")
    return tmp_path


def decoded(uri):
    assert not set("'\n") & set(uri)
    kind, text = uri.split(",", 1)
    return kind.removesuffix(";base64"), base64.b64decode(text) if "base64" in kind else unquote(text).encode()


def is_ground(element):
    return element.get("id", "").startswith("patch_") and element[0].get("style") == "fill: #ffffff"


def test_a_drawing_stays_a_drawing_and_gets_smaller(folder):
    whole = (folder / "one.svg").read_bytes()
    kind, svg = decoded(data_uri(folder, "one"))
    assert kind == "data:image/svg+xml"
    assert len(svg) < 0.95 * len(whole)
    before, after = (ElementTree.fromstring(text) for text in (whole, svg))
    grounds = [(group, one) for group in before.iter() for one in group if is_ground(one)]
    assert len(grounds) == 2  # of the figure, and of its one panel
    for group, ground in grounds:
        group.remove(ground)
    before, after = list(before.iter()), list(after.iter())
    shown = [
        one for one in before if not any(word in one.tag for word in ("metadata", "RDF", "Work", "type", "format"))
    ]
    assert [one.tag for one in after] == [one.tag for one in shown]
    # Nothing that is seen has changed: attributes, and the texts with what looks like markup.
    for old, new in zip(shown, after, strict=True):
        assert new.attrib.keys() <= old.attrib.keys()
        for name, text in old.attrib.items():
            if name in ("d", "x", "y"):  # places are there to 0.01 points
                pairs = zip(*(re.findall(r"[a-zA-Z]|-?\d[\d.]*", each) for each in (text, new.get(name))), strict=True)
                assert all(a == b if a.isalpha() else float(a) == pytest.approx(float(b), abs=0.01) for a, b in pairs)
            elif name in new.attrib:
                assert "".join(text.split()) == "".join(new.get(name).split())
            else:  # a group's id, and a turn by nothing
                assert name == "id" or text.startswith("rotate(-0 ")
        assert (old.text or "").strip() == (new.text or "").strip()
    assert "<!-- a --> & > b" in [one.text for one in after]


def test_the_page_shines_through_what_is_embedded_and_white_marks_stay(tmp_path):
    with new_figure(columns=2) as (figure, axes):
        axes[0, 0].plot([1, 2], "o", markerfacecolor="white")
        axes[0, 1].set_facecolor("#bdbdbd")
        save(figure, tmp_path, "one")
    svg = decoded(data_uri(tmp_path, "one"))[1]
    styles = [style for style in re.findall(rb'<path d="[^"]*z" style="([^"]*)', svg) if b"#bdbdbd" not in style]
    assert styles == []
    assert b"fill:#bdbdbd" in svg
    assert svg.count(b"fill:#ffffff;stroke:") == 2
    assert (tmp_path / "one.svg").read_bytes().count(b'style="fill: #ffffff"') == 2
    assert (imread(tmp_path / "one.png")[0, 0] == 1).all()


def test_a_large_drawing_is_embedded_as_pixels(folder):
    kind, png = decoded(data_uri(folder, "one", largest=100))
    assert kind == "data:image/svg+xml"  # the PNG is the larger one here
    (folder / "one.png").write_bytes(png := b"\x89PNG small")
    assert decoded(data_uri(folder, "one", largest=100)) == ("data:image/png", png)
    assert decoded(data_uri(folder, "one"))[0] == "data:image/svg+xml"


def test_slimming_again_changes_nothing(folder):
    once = slim((folder / "one.svg").read_bytes())
    assert slim(once) == once
    ElementTree.fromstring(once)


def drawing(columns, **options):
    def draw(figure, axes):
        for i, ax in enumerate(axes[0]):
            name_points(ax.plot([1, 2], [3, 4 + i])[0], f"net {i}")
        axes[0][0].set_ylabel("Error (%)")

    return Drawing("one", ("Title", "Caption.", "Alt."), draw, pd.DataFrame({"a": [1]}), columns, options=options)


@pytest.mark.parametrize("columns", [2, 3])
def test_panels_of_a_row_stand_one_below_the_other_on_a_narrow_page(columns, tmp_path):
    picture = drawing(columns, sharey=True).save(tmp_path)
    wide, narrow = (ElementTree.fromstring(decoded(uri)[1]) for uri in (picture.image, picture.narrow))
    assert float(wide.get("width")[:-2]) > 2 * float(narrow.get("width")[:-2])
    assert float(wide.get("height")[:-2]) < float(narrow.get("height")[:-2])
    first, second, *_ = picture.panels
    assert first["box"][1] == second["box"][1]
    assert first["box"][0] < second["box"][0]
    assert first["narrow"][0] == second["narrow"][0]
    assert first["narrow"][1] + first["narrow"][3] < second["narrow"][1]
    assert decoded(picture.narrow)[1].decode().count("Error (%)") == columns  # lower panels have labels of its own
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{kind}" for kind in ("csv", "pdf", "png", "svg")]


def test_a_panel_of_a_grid_has_the_title_and_labels_of_its_row_and_column_on_a_narrow_page(tmp_path):
    def draw(_, axes):
        for row, kind in zip(axes, ("plain nets", "residual nets"), strict=True):
            for ax in row:
                ax.plot([1, 2], [3, 4])
            row[0].set_ylabel("Norm")
            name_row(row[-1], kind)
        for above, below, moment in zip(*axes, ("start", "end"), strict=True):
            above.set_title(moment)
            below.set_xlabel("Layer")

    options = {"rows": 2, "sharex": "col", "sharey": "row"}
    picture = Drawing("one", ("T", "C.", "A."), draw, pd.DataFrame({"a": [1]}), 2, options=options).save(tmp_path)
    narrow = decoded(picture.narrow)[1].decode()
    for kind in ("plain nets", "residual nets"):
        for moment in ("start", "end"):
            assert f"{kind}, {moment}" in narrow
    assert (narrow.count(">Layer<"), narrow.count(">Norm<")) == (4, 4)
    assert decoded(picture.image)[1].decode().count(">Layer<") == 2


@pytest.mark.parametrize(("columns", "stacks"), [(1, True), (9, True), (2, False)])
def test_other_figures_have_one_drawing(columns, stacks, tmp_path):
    picture = drawing(columns)._replace(stacks=stacks).save(tmp_path)
    assert picture.narrow == ""
    assert len(picture.panels) == columns
