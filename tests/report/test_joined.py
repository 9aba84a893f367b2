import pandas as pd
import pytest

from study.report import build_report, join
from study.verdict.comparison import shared_runs
from study.verdict.selection import variants
from study.verdict.verdict import judge
from tests.report.studies import loaded, shifted
from tests.report.test_build import Page

A, B = loaded("a"), loaded("b", shifted(1.0), seed=1)


def test_one_study_stays_as_it_is():
    joined = join([A], "study report")
    assert joined.name == "a"
    assert joined.words == A.provenance.words | {"report_command": "study report"}
    pd.testing.assert_frame_equal(joined.runs, A.runs)


def test_each_study_is_judged_by_itself():
    joined = join([A, B], "study report -e a -e b")
    assert variants(joined.runs) == ["study=a", "study=b"]
    first, second = judge(joined.runs)
    alone = judge(A.runs)[0], judge(B.runs)[0]
    assert first.plain.status == "shown"
    for both, one in ((first, alone[0]), (second, alone[1])):
        assert both.plain.status == one.plain.status
        assert [pair.difference for pair in both.plain.train] == [pair.difference for pair in one.plain.train]


def test_variants_keep_their_own_labels_and_options_their_plain_nets():
    runs = A.runs.assign(variant=["shortcut=A" if kind == "residual" else "" for kind in A.runs["architecture"]])
    other = loaded("a")
    wide = type(A)("a", runs, A.curves.assign(variant=""), A.trials, A.provenance)
    joined = join([wide, type(A)("b", other.runs, other.curves, other.trials, other.provenance)], "")
    assert variants(joined.runs) == ["study=a, shortcut=A", "study=b"]
    assert judge(joined.runs)[0].plain is not None


def test_what_is_the_same_is_told_once():
    words = join([A, B], "again").words
    assert words["torch"] == "2.14.1"
    assert words["command"] == "study run --grid a.yaml\nstudy run --grid b.yaml"
    assert words["grid"] == "# a\nname: a\n\n# b\nname: b"
    assert words["report_command"] == "again"
    assert not words["rule"]
    joined = join([A, loaded("b", effect=2.0)], "again")
    assert joined.rule.smallest_effect == 0.5
    assert "a 0.5, b 2" in joined.words["rule"]


def test_equal_keys_are_one_training():
    twin = type(A)("twin", A.runs.iloc[:3], A.curves, A.trials, A.provenance)
    joined = join([A, twin], "")
    assert shared_runs(joined.runs) == 3
    assert joined.words["runs in several studies"].startswith("3 (equal keys")
    assert shared_runs(join([A, B], "").runs) == 0


@pytest.mark.usefixtures("sketched")
def test_the_page_of_several(tmp_path):
    joined = join([A, B], "study report --experiment a --experiment b")
    index = build_report(joined, tmp_path / "out")
    page = Page(index.read_text(encoding="utf-8"))
    assert "Study a + b" in page.text
    assert "With study=a: degradation shown" in page.text
    assert "study report --experiment a --experiment b" in page.text
    assert len(set(page.ids)) == len(page.ids)
    assert (tmp_path / "out" / "figures" / "depth-study-b.svg").exists()
    assert "24 of 24 runs are counted" in page.text
