import dataclasses

import pandas as pd
import pytest

from study.report.figures.drawing import Drawing
from study.report.page import Part
from study.report.why.chapter import Findings, chapter

from .probes import make_evidence


@pytest.mark.parametrize(("variant", "name"), [("", "why-lines"), ("batch_size=64", "why-lines-batch_size-64")])
def test_a_chapter_s_pictures_are_saved_under_the_name_of_their_variant(variant, name, tmp_path, monkeypatch):
    evidence = make_evidence((("plain", 8),), seeds=1)
    evidence = dataclasses.replace(evidence, runs=evidence.runs.assign(variant=variant))
    data = pd.DataFrame({"x": [1, 2]})
    texts = ("Lines", "Two lines.", "Chart of two lines.")
    drawing = Drawing(
        "why-lines", texts, lambda figure, axes: axes[1][0].plot(data["x"]), data, width=3.4375, options={"rows": 2}
    )
    monkeypatch.setattr("study.report.why.chapter.write", lambda template, **facts: (f"{template}: {facts}.",))
    built = chapter("lines", "Are there lines?")(lambda evidence: Findings({"lines": 2}, [drawing]))(evidence, tmp_path)
    (picture,) = built.pictures
    sentences = ("why/lines: {'lines': 2}.",)
    assert built == Part("Are there lines?", "why-lines", sentences=sentences, pictures=(picture,))
    assert (picture.name, picture.variant, picture.title) == (name, variant, "Lines")
    assert picture.share == 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.{kind}" for kind in ("csv", "pdf", "png", "svg")
    ]
    assert picture.files[-1] == f"figures/{name}.csv"
    assert picture.image.startswith("data:image/")
