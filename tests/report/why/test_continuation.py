import dataclasses

import pytest

from study.report.figures.continuation import continuation_data
from study.report.why.continuation import continuation_chapter, outcomes, percent

from .built import come_back, continued, leave, stay
from .probes import make_evidence


def fates(evidence):
    data = continuation_data(evidence.rows("continuation"), evidence.runs)
    return [one.fate for one in outcomes(data, 0.08, evidence.smallest_effect)]


def test_fates_rest_on_the_course_and_its_end():
    assert fates(continued(stay)) == ["stays"] * 6
    assert fates(continued(come_back)) == ["returns", "returns", "leaves"] * 2
    assert fates(continued(leave)) == ["leaves"] * 6
    assert fates(continued(lambda run, noise: (0.0, -0.9))) == ["improves"] * 6
    assert fates(continued(lambda run, noise: (9.0, 4.0 * run["seed"]))) == ["unclear"] * 6


def test_the_solution_of_a_noisy_net_is_that_of_the_net_as_built():
    evidence = continued(stay)
    rows = evidence.probes["continuation"]
    noisy = (rows["noise"] == 1.0) & (rows["iteration"] < 200)
    rows.loc[noisy, "error"] = 90.0  # the noise takes the solution away, and training finds it again
    assert fates(evidence) == ["stays", "stays", "returns"] * 2


def test_without_the_net_as_built_only_noise_is_told(tmp_path):
    evidence = continued(come_back, noises=(0.01, 1.0))
    assert fates(evidence) == ["returns", "leaves"] * 2
    (said,) = continuation_chapter(evidence, tmp_path).sentences
    assert said.startswith("With noise on the inserted blocks, plain-56 built from plain-8")


def test_staying_is_told_with_how_far_the_weights_moved(tmp_path):
    said = continuation_chapter(continued(stay), tmp_path).sentences
    assert "SGD stays there in plain-56 built from plain-8, at rate 0.1 (" in said[0]
    assert "weights moved by 20% of their norm" in said[0]
    assert "3 seeds" in said[0]
    assert "drive" not in said[1]  # nothing was lost that the rate could be to blame for


def test_leaving_is_told_beside_the_shallow_net_and_training_from_scratch(tmp_path):
    chapter = continuation_chapter(continued(come_back), tmp_path)
    built, own, noise, scratch = chapter.sentences
    assert "SGD leaves it and comes back in plain-56 built from plain-8" in built
    assert "above it from iteration 5 on" in built
    assert "keeps its error in plain-8 at rate 0.1" in own
    assert "the rate alone doesn't drive a net away" in own
    assert "ends at the solution from noise 0.01 and above it from noise 1" in noise
    assert "From scratch at rate 0.1 plain-56 ends at 18" in scratch
    assert "doesn't find what training from a built start does" in scratch
    assert [picture.name for picture in chapter.pictures] == ["why-continuation"]
    assert {path.suffix for path in tmp_path.glob("why-continuation.*")} == {".png", ".svg", ".pdf", ".csv"}
    assert list(chapter.tables[0].shown["Training"][:3]) == ["leaves, comes back", "leaves, comes back", "leaves"]


def test_a_rate_too_high_for_the_shallow_net_is_told(tmp_path):
    said = continuation_chapter(continued(leave, own=leave), tmp_path).sentences
    assert "leaves it and doesn't come back" in said[0]
    assert "too high for the shallow net too" in said[1]
    assert said[-1].endswith("training from scratch ends better.")


def test_many_rates_are_counted(tmp_path):
    chapter = continuation_chapter(continued(come_back, rates=(0.01, 0.02, 0.04, 0.08)), tmp_path)
    assert "in 8 of 8 cases (rates 0.01 to 0.08)" in chapter.sentences[0]
    assert "keeps its error in all 8 cases" in chapter.sentences[1]
    assert "in 8 of 8 cases from noise 0.01 and 0 of 8 cases from noise 1" in chapter.sentences[2]


def test_one_seed_and_a_loss_that_is_not_finite(tmp_path):
    chapter = continuation_chapter(continued(breaks=0, seeds=1, depths=(8,)), tmp_path)
    assert "one seed a net, so no intervals" in chapter.sentences[0]
    assert "the loss stopped being finite in 1 of 1" in chapter.sentences[0]
    assert "nan" not in " ".join(chapter.sentences)
    assert "Crosses" in chapter.pictures[0].caption
    assert "One seed a line" in chapter.pictures[0].caption


def test_a_deep_net_that_was_not_trained_is_not_compared(tmp_path):
    evidence = continued()
    without = dataclasses.replace(evidence, runs=evidence.runs.query("net != 'plain-56'"))
    assert "From scratch" not in " ".join(continuation_chapter(without, tmp_path).sentences)


def test_there_is_no_chapter_where_nothing_was_trained_on(tmp_path):
    assert continuation_chapter(make_evidence(), tmp_path) is None


@pytest.mark.parametrize(("share", "text"), [(0.0, "0"), (0.0031, "0.31"), (0.3, "30"), (3.1, "310")])
def test_shares_are_short(share, text):
    assert percent(share) == text
