import numpy as np
import pytest

from study.report.why.ended import against, deepest_pair, ended, plain_ends

from .probes import make_evidence, with_probe


def measured(evidence):
    return with_probe(evidence, "ranks", lambda run, random: [
        {"step": step, "share": float(step + run["seed"] + (run["depth"] == 56))} for step in (0, 220)
    ])  # fmt: skip


def test_only_the_last_measurement_of_runs_that_finished_is_kept():
    evidence = measured(make_evidence())
    assert set(ended(evidence, "ranks")["step"]) == {220}
    assert len(ended(evidence, "ranks")) == 12
    evidence.runs.loc[evidence.runs["net"] == "plain-56", "outcome"] = "diverged"
    assert set(ended(evidence, "ranks")["net"]) == {"plain-20", "resnet-20", "resnet-56"}
    assert ended(evidence, "lesion").empty


def test_nets_are_held_against_each_other_by_seed():
    rows = ended(measured(make_evidence()), "ranks")
    assert deepest_pair(rows) == ("plain-56", "resnet-56")
    assert plain_ends(rows) == ("plain-56", "plain-20")
    one = against(rows, "plain-56", "plain-20", "share")
    assert one.difference(0.1).estimate == pytest.approx(1.0)
    assert len(one.values) == 3
    rows.loc[rows["net"] == "plain-56", "share"] = [np.nan, np.inf, 221.0]
    assert against(rows, "plain-56", "plain-20", "share").values.tolist() == [221.0]


def test_nets_that_have_no_like_arent_compared():
    rows = ended(measured(make_evidence((("plain", 56), ("residual", 20)))), "ranks")
    assert deepest_pair(rows) is None
    assert plain_ends(rows) is None
