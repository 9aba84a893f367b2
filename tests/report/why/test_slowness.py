import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest

from study.report.why.slowness import choose_threshold, constant_phase, crossings, slowness_chapter

from .probes import make_evidence

DEPTHS = (20, 32, 44, 56, 68)


def learning(time, depths=DEPTHS, seeds=3, noise=0.05, until=40_000):
    """Return the evidence of nets whose error falls from 90% to 20% in time(architecture, depth) iterations.

    The rate falls at `until`, where all errors do.
    """
    evidence = make_evidence([(kind, depth) for kind in ("plain", "residual") for depth in depths], seeds=seeds)
    random, parts = np.random.default_rng(0), []
    step = np.arange(1, 121) * until / 100
    for _, run in evidence.runs.iterrows():
        at = time(run["architecture"], run["depth"]) * math.exp(random.normal(0, noise))
        error = 90 * (20 / 90) ** (step / at)
        parts.append(
            pd.DataFrame(
                {
                    **{key: run[key] for key in ("run_id", "architecture", "depth", "net", "variant", "seed")},
                    "step": step,
                    "train_error": np.where(step > until, 1.0, error),
                    "lr": np.where(step > until, 0.01, 0.1),
                }
            )
        )
    return dataclasses.replace(evidence, curves=pd.concat(parts, ignore_index=True))


def doubling(kind, depth):
    """Return the paper's: plain nets double every 15 layers, residual ones take no longer."""
    return 3000 * 2 ** ((depth - 20) / 15) if kind == "plain" else 2500


def test_the_phase_of_constant_rate_ends_where_the_rate_first_falls():
    lr = [0.01, 0.1, 0.1, 0.01, 0.1]
    curves = pd.DataFrame({"run_id": "a", "step": [1, 2, 3, 4, 5], "train_error": 50.0, "lr": lr})
    assert constant_phase(curves)["step"].tolist() == [1, 2, 3]  # a warm-up ends nothing, a restart begins nothing
    assert constant_phase(curves.assign(lr=[5, 4, 3, 2, 1])).empty
    assert constant_phase(curves.assign(train_error=math.nan)).empty


def test_the_threshold_is_the_lowest_that_most_runs_of_each_kind_reach():
    least = {"plain": [4, 8, 12, 60], "residual": [1, 1, 1, 1]}
    curves = pd.DataFrame(
        [
            {"run_id": f"{kind}{i}", "architecture": kind, "depth": 8, "seed": i, "step": step, "train_error": error}
            for kind, errors in least.items()
            for i, last in enumerate(errors)
            for step, error in ((1, 90), (2, last))
        ]
    )
    assert choose_threshold(curves) == 20  # 4, 8 and 12 of four
    assert choose_threshold(curves.assign(train_error=curves["train_error"] + 6)) == 20
    assert choose_threshold(curves.assign(train_error=91.0)) == 5  # none reaches any: all are alike
    found = crossings(curves[curves["architecture"] == "plain"], 20)
    assert [run.state for run in found] == ["crossed", "crossed", "crossed", "late"]
    assert choose_threshold(curves.assign(train_error=curves["train_error"].clip(upper=25))) == 20
    # What is there at the first point isn't seen to cross.
    assert choose_threshold(curves.assign(train_error=curves["train_error"].clip(upper=15))) == 10


def test_an_exponential_rise_is_told_and_predicts_deeper_nets(tmp_path):
    chapter = slowness_chapter(learning(doubling, until=100_000), tmp_path)
    plain, residual, contrast, law = chapter.sentences
    assert "Plain nets take twice the iterations" in plain
    assert re.search(r"every 1[456] layers \(95% interval 1[345] to 1[567], 15 runs\)", plain)
    assert "the paper's, to 20%, with every 15" in plain
    assert "Whether residual nets take longer" in residual
    assert contrast == "With shortcuts the iterations rise less with depth than without."
    assert law.startswith("Fitted to 20, 32 and 44 layers, an exponential law predicts")
    assert law.endswith("the power law is excluded.")
    (picture,) = chapter.pictures
    assert "arrow" not in picture.caption
    frame = pd.read_csv(tmp_path / "why-slowness.csv")
    assert len(frame) == 30
    assert (frame["state"] == "crossed").all()
    assert [table.name for table in chapter.tables] == ["depth-laws", "depth-law-predictions"]
    predictions = chapter.tables[1].numbers
    assert set(predictions["depth"]) == {56, 68}
    powers = predictions[(predictions["architecture"] == "plain") & (predictions["law"] == "power")]
    telling = powers.loc[powers["p"].idxmin()]  # what excludes a law is what is told of it
    assert f"iterations at {telling['depth']} layers" in law


def test_a_power_is_told_from_an_exponential(tmp_path):
    chapter = slowness_chapter(learning(lambda kind, depth: 500 * (depth / 20) ** 2, noise=0.02), tmp_path)
    assert "the exponential law is excluded" in chapter.sentences[-1]
    assert "can't be told" in chapter.sentences[2]  # shortcuts change nothing


def test_runs_that_were_not_there_count_as_slower(tmp_path):
    chapter = slowness_chapter(learning(doubling, until=12_000), tmp_path)
    assert "didn't get there" in chapter.sentences[0]
    assert "arrow" in chapter.pictures[0].caption
    assert "more than" in chapter.pictures[0].alt
    table = chapter.tables[0].numbers.set_index(["architecture", "law"])
    assert table.loc[("plain", "exponential"), "late"] > 0
    assert table.loc[("plain", "exponential"), "early"] == 0
    assert table.loc[("plain", "exponential"), "doubling"] == pytest.approx(15, rel=0.15)


def test_runs_that_were_there_at_once_count_as_faster(tmp_path):
    evidence = learning(doubling)
    late = evidence.curves[(evidence.curves["architecture"] == "residual") | (evidence.curves["step"] >= 8000)]
    chapter = slowness_chapter(dataclasses.replace(evidence, curves=late), tmp_path)
    table = chapter.tables[0].numbers.set_index(["architecture", "law"])
    early = int(table.loc[("plain", "exponential"), "early"])
    assert early > 0
    assert f"runs, of which {early} were there at their first point" in chapter.sentences[0]
    assert table.loc[("plain", "exponential"), "doubling"] == pytest.approx(15, rel=0.15)
    assert f"Hollow marks with an arrow down ({early})" in chapter.pictures[0].caption
    assert "layers at most 8,000" in chapter.pictures[0].alt
    assert (pd.read_csv(tmp_path / "why-slowness.csv")["state"] == "early").sum() >= early


def test_rates_that_differ_much_are_told(tmp_path):
    evidence = learning(doubling)
    runs = evidence.runs.assign(lr=[0.01 if net == "plain-68" else 0.1 for net in evidence.runs["net"]])
    chapter = slowness_chapter(dataclasses.replace(evidence, runs=runs), tmp_path)
    assert any("differ by a factor of 10 (plain-68 has 0.01, resnet-68 0.1)" in text for text in chapter.sentences)
    assert "rates, 0.01 to 0.1, which differ by a factor of 10" in chapter.pictures[0].caption
    near = dataclasses.replace(evidence, runs=runs.assign(lr=runs["lr"].clip(lower=0.05)))
    chapter = slowness_chapter(near, tmp_path)
    assert not any("factor of" in text and "rates" in text for text in chapter.sentences)
    assert "rates, 0.05 to 0.1." in chapter.pictures[0].caption


def test_deep_nets_may_be_the_faster(tmp_path):
    chapter = slowness_chapter(learning(lambda kind, depth: 40_000 / depth), tmp_path)
    assert "Plain nets take fewer iterations" in chapter.sentences[0]


def test_too_few_say_that_they_are(tmp_path):
    evidence = learning(doubling, depths=(20, 32), seeds=1)
    chapter = slowness_chapter(evidence, tmp_path)
    assert "can't be timed: of 2 runs 0 didn't reach" in chapter.sentences[0]
    assert "Too few runs" in chapter.pictures[0].caption
    assert chapter.tables == ()
    assert "More depths that get there would tell" in chapter.sentences[-1]
    assert slowness_chapter(learning(doubling, depths=(20,)), tmp_path) is None
    assert slowness_chapter(dataclasses.replace(evidence, curves=evidence.curves.iloc[:0]), tmp_path) is None
