import dataclasses

import numpy as np
import pytest

from study.report.why.overfitting import find_changes, overfitting_chapter

from .probes import make_evidence

NETS = tuple((kind, depth) for kind in ("plain", "residual") for depth in (8, 20, 56))


def errors(plain, seeds=3, spread=0.1):
    """Return evidence of plain nets with these (training, test) errors by depth; residual ones have 1 and 8%."""
    evidence = make_evidence(NETS, seeds=seeds)
    random = np.random.default_rng(0)
    found = [
        plain[depth] if kind == "plain" else (1.0, 8.0)
        for kind, depth in zip(evidence.runs["architecture"], evidence.runs["depth"], strict=True)
    ]
    noise = random.normal(0, spread, (len(found), 2))
    values = {
        "final_train_error": [train for train, _ in found] + noise[:, 0],
        "final_test_error": [test for _, test in found] + noise[:, 1],
    }
    return dataclasses.replace(evidence, runs=evidence.runs.assign(**values))


@pytest.mark.parametrize(
    ("deep", "words"),
    [
        ((6.0, 11.0), ("isn't overfitting", "narrows")),
        ((0.5, 12.0), ("which is overfitting", "widens")),
        ((2.0, 6.0), ("there is nothing to explain", "narrows")),
        ((2.0, 12.0), ("can't be told, nor", "widens")),
        ((4.0, 11.0), ("isn't overfitting", "can't be told")),
        ((3.0, 9.0), ("worse on test images can't be told", "narrows")),
    ],
)
def test_the_errors_decide_whether_it_is_overfitting(deep, words, tmp_path):
    # plain-8 is too small for its images; the net to compare with is plain-20
    chapter = overfitting_chapter(errors({8: (9.0, 14.0), 20: (2.0, 9.0), 56: deep}), tmp_path)
    said = chapter.sentences
    assert said[0].startswith("From plain-20, the best of the shallower plain nets on test images, to plain-56")
    assert words[0] in said[0]
    assert words[1] in said[1]


def test_changes_are_differences_of_means():
    changes = find_changes(errors({8: (9.0, 14.0), 20: (2.0, 9.0), 56: (6.0, 11.0)}, spread=0.0).runs)
    assert (changes["shallow"], changes["deep"]) == ("plain-20", "plain-56")
    assert [changes[key].estimate for key in ("test", "train", "gaps")] == pytest.approx([2, 4, -2])
    assert changes["gap"] == pytest.approx(7)


def test_one_seed_can_t_tell(tmp_path):
    chapter = overfitting_chapter(errors({8: (9.0, 14.0), 20: (2.0, 9.0), 56: (6.0, 11.0)}, seeds=1), tmp_path)
    assert "one seed can't tell" in chapter.sentences[0]
    assert "can't be told" in chapter.sentences[1]
    assert not any("nan" in text for text in chapter.sentences)


def test_the_picture_says_what_it_shows(tmp_path):
    evidence = errors({8: (9.0, 14.0), 20: (2.0, 9.0), 56: (6.0, 11.0)})
    (picture,) = overfitting_chapter(evidence, tmp_path).pictures
    assert "18 runs" in picture.caption
    assert "logarithmic" not in picture.caption
    assert "the gap of plain-20" in picture.caption
    assert "residual 56 layers" in picture.alt
    wide = evidence.runs.assign(final_train_error=evidence.runs["final_train_error"] ** 2)
    (picture,) = overfitting_chapter(dataclasses.replace(evidence, runs=wide), tmp_path).pictures
    assert "logarithmic above" in picture.caption


def test_without_two_nets_with_test_errors_there_is_no_chapter(tmp_path):
    assert overfitting_chapter(make_evidence((("plain", 20), ("residual", 20))), tmp_path) is None
    evidence = make_evidence(NETS)
    blind = evidence.runs.assign(final_test_error=np.nan)
    assert overfitting_chapter(dataclasses.replace(evidence, runs=blind), tmp_path) is None
