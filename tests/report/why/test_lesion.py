import dataclasses

import numpy as np
import pytest

from study.report.why.lesion import lesion_chapter

from .lesions import by_degrees, lesion_rows, with_lesions
from .probes import make_evidence, with_probe


def falls(run, tau):
    return 85.0 if run["architecture"] == "plain" else 100 * (1 - tau)


def test_the_papers_picture_is_told(tmp_path):
    chapter = lesion_chapter(with_lesions(make_evidence(seeds=1), order=falls), tmp_path)
    single, needed, several, order = chapter.sentences
    assert "in the mean over 5, plain-56 errs by 80.0 points more, resnet-56 over 6 by 4.17 (one seed each)" in single
    assert single.endswith("depends less on single blocks, as in Veit et al. 2016 (Figure 3).")
    assert "guessing" not in single
    assert "the 4th from the input (layer2.0, 20.0 points)" in needed
    assert "worth 20.0 in the mean, more than the others (1.0), as in" in needed
    assert "resnet-56 loses 10.5 points with 1 block out and 40.5 with 4 (40.0 to 41.0 over draws), by deg" in several
    assert "plain-56 loses 80.5 points with 1 block out and 80.5 with 4 (80.0 to 81.0 over draws), at once" in several
    assert "plain-56 errs by 85.0 points more and resnet-56 by 18.8" in order
    assert "rank correlation of -0.98 over 8 reorderings" in order
    lesion, groups = chapter.pictures
    assert (lesion.name, groups.name) == ("why-lesion", "why-lesion-groups")
    assert "resnet-56: mean 4.17, largest 20.0 at block 4 of 6" in lesion.alt
    assert "resnet-56: 10.5 without 1, 40.5 without 4" in groups.alt
    assert "1605.06431" in groups.caption


def test_the_opposite_is_told_too(tmp_path):
    def fragile(run, place, count):
        return 2.0 if run["architecture"] == "plain" else 1.0 if place == 4 else 50.0

    chapter = lesion_chapter(with_lesions(make_evidence(), fragile, lambda run, tau: 100 - falls(run, tau)), tmp_path)
    assert "depends more on single blocks, unlike in Veit et al. 2016" in chapter.sentences[0]
    assert "less than the others (50.0), unlike in Veit et al. 2016" in chapter.sentences[1]
    assert "resnet-56 loses 50.5 points with 1 block out" in chapter.sentences[2]
    assert "at once; plain-56" in chapter.sentences[2]
    assert "the residual net depends more on their order" in chapter.sentences[3]


def test_what_cant_be_told_isnt(tmp_path):
    single, needed, several, order = lesion_chapter(
        with_lesions(make_evidence(), lambda run, place, count: 3.0), tmp_path
    ).sentences
    assert "which depends more on single blocks can't be told" in single
    assert "much the same" in needed
    assert "at once" not in several
    assert "by degrees;" not in several
    assert "can't be told" in order


def test_several_seeds_have_an_interval(tmp_path):
    single = lesion_chapter(with_lesions(make_evidence()), tmp_path).sentences[0]
    assert "95% interval of the difference 75." in single
    assert "depends less on single blocks" in single


def test_the_room_that_is_left_to_guessing_is_told(tmp_path):
    evidence = with_lesions(make_evidence(), whole=lambda run: 54.0 if run["net"] == "plain-56" else 0.0)
    single = lesion_chapter(evidence, tmp_path).sentences[0]
    assert "though guessing would add only 36.0 to the error of plain-56" in single


def test_a_row_a_net_is_tabled(tmp_path):
    (table,) = lesion_chapter(with_lesions(make_evidence(), order=falls), tmp_path).tables
    assert list(table.shown["Net"]) == ["plain-20", "plain-56", "resnet-20", "resnet-56"]
    last = table.shown.iloc[3]
    assert (last["Blocks"], last["Mean rise"], last["Median rise"]) == ("6", "4.18", "1.01")
    assert last["Largest rise"] == "20.0 (layer2.0)"
    assert table.numbers["reordered"].iloc[0] == pytest.approx(85.0, abs=0.02)


@pytest.mark.parametrize("nets", [(("plain", 56),), (("residual", 20),), (("plain", 20), ("residual", 56))])
def test_nets_that_have_no_like_are_told_alone(nets, tmp_path):
    evidence = with_probe(make_evidence(nets, seeds=1), "lesion", lesion_rows(by_degrees))
    chapter = lesion_chapter(evidence, tmp_path)
    if nets[-1][0] == "plain":
        assert "Without one of its blocks plain-56 errs by 80.0 points more" in chapter.sentences[0]
    else:
        assert "needs most" in chapter.sentences[0]
    assert len(chapter.pictures) == 2


def test_rises_that_arent_numbers_are_left_out(tmp_path):
    evidence = with_lesions(make_evidence())
    rows = evidence.probes["lesion"]
    broken = rows.assign(rise=rows["rise"].where(rows["net"] != "plain-56"))
    chapter = lesion_chapter(dataclasses.replace(evidence, probes={**evidence.probes, "lesion": broken}), tmp_path)
    assert "plain-20 errs by 80.0" in chapter.sentences[0]
    assert "plain-56" not in chapter.pictures[0].alt


def test_nothing_measured_is_no_chapter(tmp_path):
    evidence = with_lesions(make_evidence())
    assert lesion_chapter(make_evidence(), tmp_path) is None
    lost = evidence.probes["lesion"].assign(rise=np.nan)
    assert lesion_chapter(dataclasses.replace(evidence, probes={"lesion": lost}), tmp_path) is None
    runs = evidence.runs.assign(outcome="diverged")
    assert lesion_chapter(dataclasses.replace(evidence, runs=runs), tmp_path) is None
