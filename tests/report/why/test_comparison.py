import numpy as np
import pytest

from study.report.why.comparison import compare, deepest_pair, plain_ends

from .probes import make_evidence, with_probe


def measured(evidence):
    return with_probe(
        evidence,
        "ranks",
        lambda run, random: [
            {"step": step, "share": float(step + run["seed"] + (run["depth"] == 56))} for step in (0, 220)
        ],
    )


def test_only_the_last_measurement_of_runs_that_finished_counts():
    evidence = measured(make_evidence())
    assert set(evidence.ended("ranks")["step"]) == {220}
    assert len(evidence.ended("ranks")) == 12
    evidence.runs.loc[evidence.runs["net"] == "plain-56", "outcome"] = "diverged"
    assert set(evidence.ended("ranks")["net"]) == {"plain-20", "resnet-20", "resnet-56"}
    assert evidence.ended("lesion").empty


def test_nets_are_compared_by_seed():
    rows = measured(make_evidence()).ended("ranks")
    assert deepest_pair(rows) == ("plain-56", "resnet-56")
    assert plain_ends(rows) == ("plain-56", "plain-20")
    comparison = compare(rows, ("plain-56", "plain-20"), "share", 5.0)
    assert comparison.difference.estimate == pytest.approx(1.0)
    assert len(comparison.values) == 3
    assert comparison.direction == 0
    rows.loc[rows["net"] == "plain-56", "share"] = [np.nan, np.inf, 221.0]
    assert compare(rows, ("plain-56", "plain-20"), "share", 5.0).values.tolist() == [221.0]


@pytest.mark.parametrize(("clear", "direction"), [(0.5, 1), (5.0, 0)])
def test_single_seeds_must_be_clearly_apart(clear, direction):
    rows = measured(make_evidence(seeds=1)).ended("ranks")
    assert compare(rows, ("plain-56", "plain-20"), "share", clear).direction == direction
    assert compare(rows, ("plain-20", "plain-56"), "share", clear).direction == -direction
    assert compare(rows, ("plain-20", "plain-56"), "share", clear).single


def test_nets_without_a_counterpart_are_not_compared():
    rows = measured(make_evidence((("plain", 56), ("residual", 20)))).ended("ranks")
    assert deepest_pair(rows) is None
    assert plain_ends(rows) is None
