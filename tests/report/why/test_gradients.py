import dataclasses
import math

import numpy as np
import pytest

from study.report.moments import END, at_moments
from study.report.why.gradients import gradients_chapter, growth_table, growths

from .probes import gradient_rows, make_evidence, with_probe


def explode(run, step):
    """Return 1.2 a layer of plain nets at first, 1.02 later; residual ones 1.01."""
    if run["architecture"] == "residual":
        return 1.01
    return 1.2 if step == 0 else 1.02


def measured(growth=explode, evidence=None, **options):
    return with_probe(evidence or make_evidence(), "gradients", gradient_rows(growth, **options))


def test_growth_is_fitted_to_every_net_and_moment():
    evidence = measured()
    nets = growths(at_moments(evidence.rows("gradients"), evidence.runs))
    assert [net.net for net in nets] == ["plain-20", "plain-56", "resnet-20", "resnet-56"]
    assert list(nets[1].means) == [0, 1, 100, END]
    assert nets[1].layers == 54  # all but the first, whose input is the image
    assert nets[1].means[0].estimate == pytest.approx(1.2, rel=0.01)
    assert nets[1].means[END].estimate == pytest.approx(1.02, rel=0.01)
    assert nets[1].means[0].seeds == 3
    table = growth_table(nets)
    assert list(table.shown["Net"]) == ["plain-20", "plain-56", "resnet-20", "resnet-56"]
    assert table.shown["Initialisation"].iloc[1].startswith("1.")
    assert len(table.numbers) == 16


def test_an_explosion_is_told_and_what_is_left_of_it(tmp_path):
    chapter = gradients_chapter(measured(norm_growth=lambda run, step: 30.0 if step else 1.0), tmp_path)
    assert chapter.id == "why-gradients"
    said = chapter.sentences
    assert "plain-56" in said[0]
    assert said[0].count("it explodes") == 1
    assert "1.211" in said[0]
    assert "neither explodes nor vanishes" in said[1]
    assert "less than at initialisation" in said[2]
    assert "11% of the initial exponent" in said[2]  # log 1.02 / log 1.2
    assert "the first layers are held back; in resnet-56 that is" in said[-1]
    assert [picture.name for picture in chapter.pictures] == ["why-gradients", "why-weights"]
    for picture in chapter.pictures:
        assert {path.suffix for path in tmp_path.glob(f"{picture.name}.*")} == {".png", ".svg", ".pdf", ".csv"}
    assert "One seed" not in chapter.pictures[0].caption
    assert "1.211" in chapter.pictures[0].caption


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.8, "it vanishes"),
        (1.0, "neither explodes nor vanishes"),
        (1.3, "less than here"),
        (1.211, "which the interval holds"),
    ],
)
def test_the_numbers_decide_what_is_said(rate, words, tmp_path):
    noise = 0.01 if rate == 1.211 else 0.001
    (said, *_) = gradients_chapter(measured(lambda run, step: rate, noise=noise), tmp_path).sentences
    assert words in said


def test_what_did_not_change_is_not_said_to_have(tmp_path):
    chapter = gradients_chapter(measured(lambda run, step: 1.2, noise=0.01), tmp_path)
    assert "can't be told from so few seeds" in chapter.sentences[2]
    grown = gradients_chapter(measured(lambda run, step: 1.1 if step == 0 else 1.3), tmp_path)
    assert "more than at initialisation" in grown.sentences[2]
    assert "whether the first layers are held back can't be told" in chapter.sentences[-1]


def test_one_seed_has_no_interval(tmp_path):
    chapter = gradients_chapter(measured(evidence=make_evidence(seeds=1)), tmp_path)
    assert "one seed, so no interval" in chapter.sentences[0]
    assert "as far as one seed can tell" in chapter.sentences[0]
    assert "nan" not in " ".join(chapter.sentences)
    assert chapter.tables[0].shown["Initialisation"].str.endswith("(1)").all()


def test_one_plain_net_alone(tmp_path):
    chapter = gradients_chapter(measured(evidence=make_evidence((("plain", 20),))), tmp_path)
    assert all("resnet" not in sentence for sentence in chapter.sentences)
    assert "above" not in chapter.pictures[0].caption


def test_a_diverged_seed_is_left_out_and_has_no_end(tmp_path):
    evidence = measured()
    broken = evidence.runs["name"] == "plain-56 seed 1"
    rows = evidence.probes["gradients"]
    mine = rows["run_id"].isin(evidence.runs.loc[broken, "run_id"])
    rows = rows[~mine | (rows["step"] < 220)].copy()
    rows.loc[mine & (rows["step"] == 100), ["input_gradient", "weight_norm"]] = math.nan
    runs = evidence.runs.assign(outcome=np.where(broken, "diverged", "finished"))
    chapter = gradients_chapter(dataclasses.replace(evidence, runs=runs, probes={"gradients": rows}), tmp_path)
    numbers = chapter.tables[0].numbers.set_index(["net", "moment"])["n"]
    assert numbers["plain-56"].to_dict() == {0: 3, 1: 3, 100: 2, END: 2}
    assert not any("nan" in sentence for sentence in chapter.sentences)


def test_turns_that_were_not_measured_are_not_told(tmp_path):
    evidence = measured()
    rows = evidence.probes["gradients"].assign(turn=math.nan)
    chapter = gradients_chapter(dataclasses.replace(evidence, probes={"gradients": rows}), tmp_path)
    assert len(chapter.sentences) == 4
    assert "none measured" in chapter.pictures[1].alt


def test_without_measurements_there_is_no_chapter(tmp_path):
    assert gradients_chapter(make_evidence(), tmp_path) is None
    too_shallow = measured(lambda run, step: math.nan)
    assert gradients_chapter(too_shallow, tmp_path) is None
