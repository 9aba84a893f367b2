import dataclasses

import numpy as np
import pytest

from study.report.why.ranks import over_stages, ranks_chapter

from .probes import make_evidence, with_probe


def measured(share, evidence=None, noise=0.0):
    """Return evidence of features of two stages that fill share(run, stage) of 16 and 32 channels."""

    def rows(run, random):
        for step in (0, 220):
            for stage, channels in ((1, 16), (2, 32)):
                part = (share(run, stage) if step else 1.0) + random.normal(0, noise)
                yield {"step": step, "stage": stage, "channels": channels, "rank": part * channels, "share": part}

    return with_probe(evidence or make_evidence(seeds=1), "ranks", rows)


def as_paper(run, stage):
    return 0.4 if run["net"] == "plain-56" else 0.8


def test_dependent_features_are_told(tmp_path):
    chapter = ranks_chapter(measured(as_paper), tmp_path)
    shortcuts, depth = chapter.sentences
    assert "The features of plain-56 fill 40% and 40% of the channels of its 2 stages, those of resnet-56" in shortcuts
    assert "40.0 points less (one seed each): the plain net's depend more on each other, as Orhan" in shortcuts
    assert depth.endswith("fewer dimensions are filled with depth.")
    (picture,) = chapter.pictures
    assert picture.name == "why-ranks"
    assert "plain, stage 2: 80% at 20, 40% at 56" in picture.alt
    assert "One seed a net" in picture.caption
    (table,) = chapter.tables
    assert list(table.shown["Net"]) == ["plain-20", "plain-56", "resnet-20", "resnet-56"]
    assert list(table.shown["Stage 2"]) == ["25.6 of 32", "12.8 of 32", "25.6 of 32", "25.6 of 32"]


def test_the_opposite_is_told_too(tmp_path):
    shortcuts, depth = ranks_chapter(measured(lambda run, stage: 1.2 - as_paper(run, stage)), tmp_path).sentences
    assert "depend less on each other, unlike in Orhan and Pitkow 2017" in shortcuts
    assert "40.0 points more" in shortcuts
    assert "more dimensions are filled with depth" in depth


def test_a_stage_that_differs_is_named(tmp_path):
    def share(run, stage):
        return (0.3 if stage == 1 else 0.9) if run["net"] == "plain-56" else 0.8

    shortcuts, depth = ranks_chapter(measured(share), tmp_path).sentences
    assert shortcuts.endswith("as Orhan and Pitkow 2017 have it, though not in stage 2.")
    assert depth.endswith("though not in stage 2.")


def test_small_differences_of_one_seed_and_noisy_ones_of_several_arent_told(tmp_path):
    near = measured(lambda run, stage: 0.8 - 0.03 * (run["net"] == "plain-56"))
    noisy = measured(lambda run, stage: 0.8 - 0.03 * (run["net"] == "plain-56"), make_evidence(), noise=0.1)
    for evidence in (near, noisy):
        shortcuts, depth = ranks_chapter(evidence, tmp_path).sentences
        assert "can't be told" in shortcuts
        assert "can't be told" in depth


def test_several_seeds_have_an_interval(tmp_path):
    chapter = ranks_chapter(measured(as_paper, make_evidence(), noise=0.01), tmp_path)
    assert "95% interval of the difference -4" in chapter.sentences[0]
    assert "depend more on each other" in chapter.sentences[0]
    assert "(3 seeds)" in chapter.pictures[0].caption


def test_the_mean_is_over_stages():
    evidence = measured(lambda run, stage: 0.2 * stage)
    rows = evidence.rows("ranks")
    means = over_stages(rows[rows["step"] == 220].assign(percent=lambda frame: 100 * frame["share"]))
    assert list(means["percent"]) == [pytest.approx(30)] * 4


@pytest.mark.parametrize("nets", [(("plain", 56),), (("residual", 20),)])
def test_one_net_is_told_alone(nets, tmp_path):
    chapter = ranks_chapter(measured(as_paper, make_evidence(nets)), tmp_path)
    assert chapter.sentences[0].endswith("there is no net to compare it with.")


def test_nothing_measured_is_no_chapter(tmp_path):
    evidence = measured(as_paper)
    assert ranks_chapter(make_evidence(), tmp_path) is None
    lost = evidence.probes["ranks"].assign(share=np.nan)
    assert ranks_chapter(dataclasses.replace(evidence, probes={"ranks": lost}), tmp_path) is None
    runs = evidence.runs.assign(outcome="diverged")
    assert ranks_chapter(dataclasses.replace(evidence, runs=runs), tmp_path) is None
