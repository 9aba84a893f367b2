import base64
from xml.etree import ElementTree

import pytest

from study.report.figures.drawing import data_uri, slim
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
    kind, text = uri.split(";base64,")
    return kind, base64.b64decode(text)


def test_a_drawing_stays_a_drawing_and_gets_smaller(folder):
    whole = (folder / "one.svg").read_bytes()
    kind, svg = decoded(data_uri(folder, "one"))
    assert kind == "data:image/svg+xml"
    assert len(svg) < 0.95 * len(whole)
    before, after = (list(ElementTree.fromstring(text).iter()) for text in (whole, svg))
    shown = [
        one for one in before if not any(word in one.tag for word in ("metadata", "RDF", "Work", "type", "format"))
    ]
    assert [one.tag for one in after] == [one.tag for one in shown]
    # Nothing that is seen has changed: attributes, and the texts with what looks like markup.
    for old, new in zip(shown, after, strict=True):
        assert {k: v.split() for k, v in old.attrib.items()} == {k: v.split() for k, v in new.attrib.items()}
        assert (old.text or "").strip() == (new.text or "").strip()
    assert "<!-- a --> & > b" in [one.text for one in after]


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
