import math

import pytest

from study.verdict import selection as c
from study.verdict.pairs import compare_depths
from study.verdict.rule import Failures

PLANNED = {8: "plain-8", 20: "plain-20", 32: "plain-32", 56: "plain-56"}
NO_FAILURES = {depth: Failures(net, 0, 3) for depth, net in PLANNED.items()}


def pairs(cells, planned, metric, smallest):
    return compare_depths(cells, planned, metric, NO_FAILURES, smallest)[1]


@pytest.fixture(scope="module")
def plain(digits):
    return c.counted(digits.runs[digits.runs["architecture"] == "plain"])


def test_every_pair_once_with_all_that_is_told_of_it(plain):
    found = pairs(plain, PLANNED, "final_train_error", 0.5)
    assert [(one.shallow, one.deep) for one in found] == [(8, 20), (8, 32), (8, 56), (20, 32), (20, 56), (32, 56)]
    ends = found[2]
    assert ends.worse
    assert not ends.harmless
    assert ends.permutation.p == ends.permutation.least == pytest.approx(0.1)
    assert ends.probability.estimate == 1
    assert ends.bootstrap.low > ends.difference.low
    assert ends.equivalence.p_below > 0.99


def test_only_an_undecided_pair_needs_seeds(plain):
    for one in pairs(plain, PLANNED, "final_train_error", 0.5):
        assert (one.needed is None) == (one.worse or one.harmless)
    wide = pairs(plain, PLANNED, "final_train_error", 33)[2]
    assert wide.needed > 3


def test_tests_that_cannot_be_made_count_in_the_adjustment(plain):
    few = plain[(plain["depth"] != 8) | (plain["seed"] == 0)]
    found = {(one.shallow, one.deep): one for one in pairs(few, PLANNED, "final_train_error", 0.5)}
    assert math.isnan(found[8, 56].p_worse)
    assert found[8, 56].needed is None
    assert found[20, 56].p_worse >= min(1, 6 * found[20, 56].difference.p / 2)
    assert pairs(plain.iloc[:0], PLANNED, "final_train_error", 0.5) == ()
