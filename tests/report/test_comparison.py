import math

import numpy as np
import pandas as pd
import pytest

from study.report import compare_runs, conclusions, join, warnings
from study.report.comparison_section import sentences
from study.statistics.welch import difference, difference_in_differences
from tests.report.frames import Truth
from tests.report.studies import TRUTH, Loaded, loaded, shifted

pytestmark = pytest.mark.usefixtures("all_sketched")

TRAIN = "final_train_error"


def found(a: Loaded, b: Loaded):
    return compare_runs(join([a, b], "").runs, (a.name, b.name), 0.5)


def cell(study: Loaded, architecture: str, depth: int, metric: str = TRAIN):
    runs = study.runs
    return runs.loc[(runs["architecture"] == architecture) & (runs["depth"] == depth), metric].to_numpy()


@pytest.fixture(scope="module")
def pair():
    a, b = loaded("a"), loaded("b", shifted(12.0), seed=1, normalize="none")
    return a, b, found(a, b)


def test_nets_are_compared_by_the_reports_own_statistics(pair):
    a, b, result = pair
    assert [(one.net, one.metric) for one in result.nets[:4]] == [
        (net, TRAIN) for net in ("plain-8", "plain-20", "resnet-8", "resnet-20")
    ]
    assert len(result.nets) == 8
    for one in result.nets:
        first, second = (cell(study, one.architecture, one.depth, one.metric) for study in (a, b))
        step = 100 / (1293 if one.metric == TRAIN else 360)
        assert one.change == difference(second, first, step)
        assert one.change.estimate == pytest.approx(second.mean() - first.mean())
        assert one.p_holm >= one.change.p
    (deep,) = [one for one in result.of(TRAIN) if one.net == "plain-20"]
    assert deep.p_holm < 0.05


def test_what_depth_costs_is_a_difference_in_differences(pair):
    a, b, result = pair
    plain, residual = result.depths
    assert (plain.shallow_net, plain.deep_net, residual.deep_net) == ("plain-8", "plain-20", "resnet-20")
    cells = [cell(study, "plain", depth) for study in (b, a) for depth in (20, 8)]
    assert plain.change == difference_in_differences(*cells, 100 / 1293)
    assert plain.change.estimate == pytest.approx(plain.b.estimate - plain.a.estimate)
    assert plain.change.estimate == pytest.approx(7.0, abs=0.5)
    assert plain.change.low < plain.change.estimate < plain.change.high
    _, first, second = conclusions(result)
    assert "From plain-8 to plain-20" in first
    assert first.endswith("depth costs more in b than in a.")
    assert "depth costs" in second
    assert "more in b" not in second


def test_settings_that_differ_and_those_that_agree(pair):
    result = pair[2]
    assert [(one.name, one.a, one.b, one.kind) for one in result.differing] == [
        ("normalize", "channel", "none", "setting")
    ]
    assert result.agreeing >= 10
    assert "One setting differs between a and b: normalize (channel; none)" in conclusions(result)[0]
    assert warnings(result) == ()


def test_what_is_not_comparable_is_said():
    a = loaded("a")
    b = loaded(
        "b", dataset="cifar10", fingerprint="g" * 20, total_iterations=440, lr_tuned=False, batch_size="64", classes=100
    )
    result = found(a, b)
    told = " ".join(warnings(result))
    for wanted in ("the data sets differ (a: digits; b: cifar10)", "(a: 220; b: 440 iterations)", "tuned for each net"):
        assert wanted in told
    assert "settings differ" in conclusions(result)[0]
    assert "No difference can be put down to one of them alone" in conclusions(result)[0]
    images = found(a, loaded("b", fingerprint="g" * 20, train_images=900))
    assert "the images aren't the same (a: 1,293; b: 900 training images)" in warnings(images)[0]


OWN = {"family": "nets.py:build@0123456789ab", "shortcut": "own"}


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (OWN, {}, "depths are counted by other functions (a: nets.py:build@0123456789ab; b: cifar)"),
        (OWN, OWN | {"family": "vit.py:build@ba9876543210"}, "(a: nets.py:build@0123456789ab; b: vit.py:build@"),
        (OWN, OWN | {"family": "nets.py:build@ba9876543210"}, ""),
        (OWN, OWN, ""),
    ],
)
def test_of_nets_of_ones_own_the_family_differs_and_what_a_depth_is(
    a: dict[str, str], b: dict[str, str], told: str
) -> None:
    result = found(loaded("a", **{"family": "cifar"} | a), loaded("b", **{"family": "cifar"} | b))
    assert [one.name for one in result.differing if one.kind == "setting"] == ["family"] * (a != b)
    assert told in " ".join(warnings(result))
    assert bool(warnings(result)) == bool(told)


def test_no_common_nets():
    other = Truth({("plain", 32): (5.0, 0.2), ("plain", 44): (6.0, 0.2)}, trials=0)
    result = found(loaded("a"), loaded("b", other))
    assert result.nets == result.depths == ()
    assert conclusions(result)[1:] == (
        "a and b have no net in common, so there is nothing to compare: a has plain-8, plain-20, resnet-8 and "
        "resnet-20; b has plain-32 and plain-44.",
    )


def test_no_common_variants_though_nets_have_the_same_names():
    a, b = (loaded(name) for name in ("a", "b"))
    studies = [
        Loaded(
            one.name,
            pd.concat([one.runs.assign(variant=value) for value in values]),
            one.curves,
            one.trials,
            one.provenance,
        )
        for one, values in ((a, ("width=1", "width=2")), (b, ("lr=1", "lr=2")))
    ]
    result = found(*studies)
    assert result.nets == ()
    assert conclusions(result)[-1] == (
        "a and b have several variants each and none in common, so there is nothing to compare."
    )


def test_one_common_depth():
    other = Truth({("plain", 20): (15.0, 0.2)}, trials=0)
    result = found(loaded("a"), loaded("b", other))
    assert result.depths == ()
    _, told = conclusions(result)
    assert "no two depths of an architecture in common: a has plain-8, plain-20, resnet-8 and resnet-20; b has" in told
    assert "plain-20 by" in told


def test_one_seed_has_numbers_and_no_claim():
    lone = Truth(TRUTH.train, seeds=1, trials=0)
    result = found(loaded("a", lone), loaded("b", lone, seed=1))
    assert all(math.isnan(one.p_holm) and math.isnan(one.change.low) for one in result.nets)
    assert not any(np.isnan(one.change.estimate) for one in result.nets)
    assert all("without an interval" in sentence for sentence in conclusions(result)[1:])
    assert any("With one seed in a study there is no interval" in sentence for sentence in sentences(result))
    assert "significant" not in " ".join((*conclusions(result), *sentences(result)))


def test_the_same_training_in_both_is_said():
    a = loaded("a")
    twin = Loaded("b", a.runs, a.curves, a.trials, a.provenance)
    result = found(a, twin)
    assert result.shared == len(a.runs)
    assert "12 runs are the same training in both" in " ".join(sentences(result))
    assert all(one.change.estimate == 0 for one in result.nets)


def test_variants_are_matched_by_name_or_one_with_all():
    a, b = loaded("a"), loaded("b", seed=1)
    both = [
        type(a)(one.name, one.runs.assign(variant="width=2"), one.curves, one.trials, one.provenance) for one in (a, b)
    ]
    assert [couple.shown for couple in found(*both).couples] == [""]
    wide = b.runs.assign(variant="width=1"), b.runs.assign(variant="width=2")
    several = type(b)("b", pd.concat(wide), b.curves, b.trials, b.provenance)
    result = found(a, several)
    assert [couple.b for couple in result.couples] == ["study=b, width=1", "study=b, width=2"]
    assert {one.variant for one in result.depths} == {"all / width=1", "all / width=2"}
    assert len(result.of(TRAIN)) == 8
