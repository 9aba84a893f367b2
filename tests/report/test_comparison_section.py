import json

import pytest

from study.report import build_report, compare_runs, conclusions, join
from tests.report.frames import Truth
from tests.report.studies import Loaded, loaded, shifted
from tests.report.test_build import Page

pytestmark = pytest.mark.usefixtures("all_sketched")


def build(tmp_path, a: Loaded, b: Loaded):
    joined = join([a, b], f"study compare {a.name} {b.name}")
    found = compare_runs(joined.runs, (a.name, b.name), joined.rule.smallest_effect)
    index = build_report(joined, tmp_path / "out", comparison=found)
    return index.read_text(encoding="utf-8"), index.parent, found


def test_the_page_of_two(tmp_path):
    text, folder, found = build(tmp_path, loaded("a"), loaded("b", shifted(12.0), seed=1, normalize="none"))
    page = Page(text)
    assert all(sentence in page.text for sentence in conclusions(found))
    for wanted in (
        "table-compare-nets",
        "table-compare-depths",
        "table-compare-settings",
        "figure-compare",
        "compared",
    ):
        assert wanted in page.ids
    assert page.text.index("Figure 1. Final error against depth, a and b") < page.text.index("Figure 2.")
    assert len(set(page.ids)) == len(page.ids)
    assert all((folder / one).is_file() for one in page.addresses if not one.startswith(("data:", "#")))
    told = json.loads((folder / "verdict.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert told["comparison"]["names"] == ["a", "b"]
    assert told["comparison"]["depths"][0]["change"]["low"] < told["comparison"]["depths"][0]["change"]["high"]
    assert (folder / "tables" / "compare-nets.csv").read_text().count("\n") == 9
    alt = next(alt for alt in page.alts if "two studies" in alt)
    assert "b, Final training error, plain nets: 8 layers" in alt


def test_without_common_nets_there_is_a_page_all_the_same(tmp_path):
    other = Truth({("plain", 32): (5.0, 0.2), ("plain", 44): (6.0, 0.2)}, trials=0)
    text, folder, _ = build(tmp_path, loaded("a"), loaded("b", other))
    assert "a and b have no net in common" in Page(text).text
    assert not (folder / "tables" / "compare-nets.csv").exists()
    assert (folder / "figures" / "compare.svg").exists()


def test_names_from_outside_are_escaped(tmp_path):
    bad = "<script>alert(1)</script>$x$"
    text, folder, _ = build(tmp_path, loaded(bad), loaded("b", seed=1, normalize=bad))
    assert "script" not in Page(text).tags
    assert "&lt;script&gt;alert(1)" in text
    assert all("<" not in path.name for path in folder.rglob("*"))
