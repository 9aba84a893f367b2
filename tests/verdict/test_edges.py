import numpy as np
import pandas as pd
import pytest

from study.verdict import judge
from study.verdict import selection as c
from study.verdict.edges import Slack, find_edges
from study.verdict.searches import by_trial
from tests.report.frames import Truth, make_study

NETS = [(architecture, depth) for architecture in ("plain", "residual") for depth in (8, 20, 32)]


def on_edge(trials, **sides):
    trials = trials.copy()
    for net, side in sides.items():
        trials.loc[trials["net"] == net.replace("_", "-"), "edge"] = side
    return trials


def one(study, **sides):
    (verdict,) = judge(study.runs, trials=on_edge(study.trials, **sides))
    return verdict


@pytest.fixture(scope="module")
def level():
    """No rise anywhere, and errors that leave something to gain."""
    return make_study(Truth({net: (0.3, 0.1) for net in NETS}))


def test_edges_are_those_of_tuned_nets(digits):
    trials = by_trial(on_edge(digits.trials, plain_56="highest", plain_8="lowest"))
    kept = c.counted(digits.runs)
    assert find_edges(kept, trials) == {("plain", 56): "highest", ("plain", 8): "lowest"}
    assert find_edges(kept.assign(lr_tuned=False), trials) == {}
    assert find_edges(kept, None) == find_edges(kept, pd.DataFrame()) == {}
    assert find_edges(kept.iloc[:0], trials) == {}


def test_a_deep_net_on_the_edge_withholds_what_would_be_shown(digits):
    verdict = one(digits, plain_56="highest")
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", "edge")
    assert verdict.line.startswith("Verdict withheld: the rate of plain-56 is the highest tried")
    assert verdict.next_step.startswith("Search further out")
    assert verdict.edges == {"plain-56": "highest"}
    assert verdict.plain.train  # the numbers are told all the same
    assert verdict.explanations == ()
    assert verdict.remedy.edge


def test_a_shallow_net_on_the_edge_could_only_add_to_what_is_shown(digits):
    verdict = one(digits, plain_8="lowest")
    assert verdict.plain.status == "shown"
    assert "The rate of plain-8 is the lowest tried, which does not touch what is shown." in " ".join(verdict.sentences)
    assert not verdict.remedy.edge


def test_another_pair_may_carry_it(paper):
    """plain-56 is on the edge; that plain-44 is worse than plain-20 doesn't depend on it."""
    verdict = one(paper, plain_56="lowest")
    assert verdict.plain.status == "shown"
    assert (verdict.plain.headline.shallow, verdict.plain.headline.deep) == (20, 44)
    assert verdict.line.startswith("Degradation shown after 64,000 iterations: plain-44")


def test_a_shallow_net_on_the_edge_withholds_a_refutation(level):
    verdict = one(level, plain_8="lowest", plain_20="highest")
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", "edge")
    assert "the rate of plain-8 is the lowest tried" in verdict.line
    assert one(level, plain_32="lowest").plain.status == "not seen"
    assert verdict.residual.status == "not seen"


def test_a_net_without_errors_has_nothing_to_gain(digits):
    runs = digits.runs.copy()
    runs.loc[runs["architecture"] == "plain", "final_train_error"] = 0.0
    trials = on_edge(digits.trials, plain_8="lowest", plain_20="lowest", plain_32="lowest")
    (verdict,) = judge(runs, trials=trials)
    assert verdict.plain.status == "not seen"


def test_inconclusive_stays_inconclusive():
    study = make_study(Truth({("plain", 8): (1, 0.5), ("plain", 20): (1.6, 0.8)}))
    assert one(study, plain_20="highest").plain.reason == "imprecise"


def test_a_rise_that_only_the_order_shows_needs_all_but_the_shallowest(digits):
    runs = digits.runs.copy()
    for depth, errors in {8: [0, 0, 0], 20: [0, 0.08, 0], 32: [0.5, 0.6, 1.2], 56: [44.2, 57.5, 81.5]}.items():
        runs.loc[(runs["architecture"] == "plain") & (runs["depth"] == depth), "final_train_error"] = errors
    assert judge(runs, trials=on_edge(digits.trials, plain_8="lowest"))[0].plain.status == "shown"
    verdict = judge(runs, trials=on_edge(digits.trials, plain_32="lowest"))[0]
    assert verdict.plain.reason == "edge"
    assert "the rate of plain-32 is the lowest tried" in verdict.line


def test_slack_is_the_error_that_is_left():
    slack = Slack({20: 1.5, 8: 0.0})
    assert (slack.of(20), slack.of(8), slack.of(56)) == (1.5, 0, 0)
    assert slack.keeps_order([20, 32, 56])
    assert not slack.keeps_order([8, 20, 32])


def test_a_shared_rate_is_on_no_edge(digits):
    found = one(digits, plain_56="highest")
    assert np.isfinite(found.remedy.contrast.low)
