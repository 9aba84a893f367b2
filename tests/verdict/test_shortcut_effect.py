import numpy as np
import pytest

from study.statistics.welch import difference_in_differences
from study.verdict import judge
from study.verdict import selection as c
from study.verdict.findings import find
from study.verdict.rule import Rule
from study.verdict.shortcut_effect import shortcut_effects


def found(runs, edges=None):
    kept = c.counted(runs)
    return shortcut_effects(kept, find(runs, kept, Rule(), edges), edges)


def test_every_common_depth_against_the_shallowest(paper):
    made = found(paper.runs)
    assert [(one.shallow, one.deep) for one in made.depths] == [(20, 32), (20, 44), (20, 56)]
    assert made.headline == made.depths[-1]
    values = [
        c.values(paper.runs[paper.runs["architecture"] == kind], depth, "final_train_error")
        for kind in ("plain", "residual")
        for depth in (44, 20)
    ]
    assert made.depths[1].contrast == difference_in_differences(*values, 100 / 45_000)
    assert all(one.p_adjusted >= one.contrast.p for one in made.depths)


def test_the_verdict_has_them(paper):
    (verdict,) = judge(paper.runs)
    assert verdict.remedies == found(paper.runs).depths
    assert verdict.remedy == verdict.remedies[-1]
    told = next(text for text in verdict.sentences if text.startswith("What the shortcuts remove"))
    assert "at 32 (95% interval" in told
    assert told.endswith("; significantly removed at 32, 44 and 56.")


@pytest.mark.parametrize(
    ("edges", "edge"),
    [
        ({}, [False, False, False]),
        ({("plain", 56): "highest"}, [False, False, True]),
        ({("plain", 20): "lowest"}, [False, False, False]),  # would add to what is removed
        ({("residual", 56): "lowest"}, [False, False, False]),
        ({("residual", 20): "lowest"}, [True, False, False]),  # 0.64% at most could be gained there
    ],
)
def test_an_edge_that_could_explain_the_sign(paper, edges, edge):
    assert [one.edge for one in found(paper.runs, edges).depths] == edge


def test_none_without_both_architectures_or_common_depths(paper):
    plain = paper.runs[paper.runs["architecture"] == "plain"]
    assert found(plain).depths == ()
    assert found(plain).lacking == ""
    once = paper.runs[(paper.runs["architecture"] == "plain") | (paper.runs["depth"] == 20)]
    assert "fewer than two depths in common" in found(once).lacking


def test_added_is_told_as_such(digits):
    runs = digits.runs.copy()
    swap = {"plain": "residual", "residual": "plain"}
    values = {
        key: group["final_train_error"].to_numpy(copy=True) for key, group in runs.groupby(["architecture", "depth"])
    }
    for kind, depth in values:
        mine = (runs["architecture"] == kind) & (runs["depth"] == depth)
        runs.loc[mine, "final_train_error"] = values[swap[kind], depth]
    text = " ".join(judge(runs)[0].sentences)
    assert "(below zero: add to it)" in text
    assert "significantly added at" in text
    assert np.isfinite(found(runs).headline.contrast.low)
