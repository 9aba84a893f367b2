import dataclasses
import math

import numpy as np
import pytest

from study.report.why.shattering import shattering_chapter

from .probes import make_evidence, with_probe

POINTS = 64


def measured(near, evidence=None, noise=0.01, constant=False):
    """Return evidence of gradients whose autocorrelation is near(run, step) ** lag; by default 3 seeds of 4 nets."""

    def rows(run, random):
        for step in (0, 220):
            value = near(run["architecture"], run["depth"], step) + random.normal(0, noise)
            half = math.inf if value <= 0 else math.log(0.5) / math.log(value) / (POINTS - 1)
            for lag in range(POINTS // 2):
                found = math.nan if constant else 1.0 if lag == 0 else value * abs(value) ** (lag - 1)
                yield {
                    "step": step,
                    "lag": lag,
                    "distance": lag / (POINTS - 1),
                    "autocorrelation": found,
                    "cosine": 1.0,
                    "white": 1.0 if lag == 0 else -1 / (POINTS - 1),
                    "half_distance": half,
                    "constant": constant,
                }

    return with_probe(evidence or make_evidence(), "shattering", rows)


def shattered(kind, depth, step):
    """Return white noise of the deep plain net at first."""
    if step:
        return 0.9
    return (0.5 if depth == 20 else -1 / (POINTS - 1)) if kind == "plain" else (0.9 if depth == 20 else 0.8)


def test_white_noise_is_told(tmp_path):
    chapter = shattering_chapter(measured(shattered), tmp_path)
    plain, residual, contrast, later, residual_later = chapter.sentences
    assert "0.016 of a line apart is 0.5" in plain
    assert "in plain-20" in plain
    assert "it falls with depth, and the deepest net's gradients can't be told from white noise (-0.02)" in plain
    assert "even the deepest net's gradients aren't white noise" in residual
    assert contrast.startswith("There resnet-56 minus plain-56 is 0.8")
    assert contrast.endswith("shortcuts keep gradients alike.")
    assert "At the end it is 0.90 in plain-56" in later
    assert "more than at initialisation" in later
    assert "resnet-56" in residual_later
    (picture,) = chapter.pictures
    assert "1702.08591" in picture.caption
    assert "plain nets above, residual nets below" in picture.caption


def test_the_opposite_is_told_too(tmp_path):
    def opposite(kind, depth, step):
        return depth / 100 if kind == "plain" else 0.4 if step == 0 else 0.2

    said = shattering_chapter(measured(opposite), tmp_path).sentences
    assert "it rises with depth" in said[0]
    assert "no change with depth can be told" in said[1] or "with depth" in said[1]
    assert "don't keep gradients alike" in said[2]
    assert "not shown to differ from that at initialisation" in said[3]
    assert "less than at initialisation" in said[4]


def test_half_distances_stand_in_a_table(tmp_path):
    (table,) = shattering_chapter(measured(shattered, noise=0.0), tmp_path).tables
    shown = table.shown.set_index("Net")
    # 0.8 ** lag is a half at 3.1 steps of 63; 0.5 ** lag at one
    assert shown.loc["resnet-56", "Half at, initialisation"] == "0.049"
    assert shown.loc["plain-20", "Neighbours, initialisation"] == "0.50 (3)"
    assert shown.loc["plain-56", "Half at, initialisation"] == "nowhere"
    faster = measured(lambda kind, depth, step: 0.2, noise=0.0)
    (table,) = shattering_chapter(faster, tmp_path).tables
    assert set(table.shown["Half at, initialisation"]) == {"< 0.016"}


def test_one_seed_is_not_tested(tmp_path):
    said = shattering_chapter(measured(shattered, make_evidence(seeds=1)), tmp_path).sentences
    assert "one seed can't be tested against it" in said[0]
    assert said[2].endswith("(one seed, so no interval).")
    assert not any("nan" in text for text in said)


def test_an_interval_ends_at_one(tmp_path):
    chapter = shattering_chapter(measured(lambda *_: 0.9, make_evidence(seeds=2), noise=0.05), tmp_path)
    assert any("to 1.00, 2 seeds" in text for text in chapter.sentences)


def test_a_net_without_shortcuts_alone(tmp_path):
    said = shattering_chapter(measured(shattered, make_evidence((("plain", 20),))), tmp_path).sentences
    assert len(said) == 2
    assert "with depth" not in said[0]


def test_nothing_that_changes_is_no_chapter(tmp_path):
    assert shattering_chapter(make_evidence(), tmp_path) is None
    assert shattering_chapter(measured(shattered, constant=True), tmp_path) is None


def test_a_seed_of_constant_gradients_is_left_out(tmp_path):
    evidence = measured(shattered)
    rows = evidence.probes["shattering"]
    mine = (rows["net"] == "plain-56") & (rows["seed"] == 0) & (rows["step"] == 0)
    rows = rows.assign(autocorrelation=np.where(mine, np.nan, rows["autocorrelation"]))
    chapter = shattering_chapter(dataclasses.replace(evidence, probes={"shattering": rows}), tmp_path)
    assert "2 seeds)" in chapter.sentences[0]
    assert "Means over 2 to 3 seeds" in chapter.pictures[0].caption
    assert chapter.tables[0].numbers["seeds"].min() == pytest.approx(2)
