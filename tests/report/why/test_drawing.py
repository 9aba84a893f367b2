import dataclasses

import pandas as pd
import pytest

from study.report.why.drawing import make_picture

from .probes import make_evidence


@pytest.mark.parametrize(("variant", "name"), [("", "why-lines"), ("batch_size=64", "why-lines-batch_size-64")])
def test_a_picture_is_saved_under_the_name_of_its_variant(variant, name, tmp_path):
    evidence = make_evidence((("plain", 8),), seeds=1)
    evidence = dataclasses.replace(evidence, runs=evidence.runs.assign(variant=variant))
    data = pd.DataFrame({"x": [1, 2]})
    texts = ("Lines", "Two lines.", "Chart of two lines.")
    picture = make_picture(evidence, tmp_path, "lines", texts, lambda figure, axes: axes[1][0].plot(data["x"]), data,
                           rows=2, width=3.4375)  # fmt: skip
    assert (picture.name, picture.variant, picture.title) == (name, variant, "Lines")
    assert picture.share == 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.{kind}" for kind in ("csv", "pdf", "png", "svg")
    ]
    assert picture.files[-1] == f"figures/{name}.csv"
    assert picture.image.startswith("data:image/")
