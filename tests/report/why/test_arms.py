import numpy as np
import pandas as pd
import pytest

from study.report.why.arms import arms, doses, in_words
from study.statistics.welch import difference_in_differences
from study.track.tags import PROBE_COLUMNS

from .remedied import FAILS, GOOD, HALF, PAPER, REMEDIES, SCALES, WORSE, remedied

PLAIN = {net: found for net, found in PAPER.items() if net[0] == "plain"}


def by_name(evidence):
    return {(arm.variant, arm.architecture): arm for arm in arms(evidence)}


def test_the_nets_without_a_remedy_come_first_and_every_variant_follows():
    found = arms(remedied(REMEDIES))
    assert [(arm.variant, arm.architecture) for arm in found[:2]] == [("", "plain"), ("", "residual")]
    assert [arm.variant for arm in found[2:]] == sorted(REMEDIES)
    assert {(arm.shallow, arm.deep) for arm in found} == {(8, 56)}


def test_what_is_removed_is_the_difference_of_rises():
    evidence = remedied({"preactivation=true": HALF})
    arm = by_name(evidence)["preactivation=true", "plain"]
    errors = evidence.others.set_index(["variant", "net"])["final_train_error"]
    cells = [errors["", "plain-56"], errors["", "plain-8"], arm.deep_errors, arm.shallow_errors]
    assert arm.removed == difference_in_differences(*cells, 100 / 1293)
    assert arm.share == pytest.approx(0.5, abs=0.05)
    assert sorted(arm.deep_errors) == sorted(errors["preactivation=true", "plain-56"])


@pytest.mark.parametrize("seeds", [1, 3])
def test_effects_rest_on_the_rise_and_on_the_plain_nets(seeds):
    found = by_name(remedied(REMEDIES, seeds=seeds))
    assert found["", "residual"].effect == "removes"
    assert found["initialisation=orthogonal", "plain"].effect == "removes"
    assert found["preactivation=true", "plain"].effect == "partly"
    assert found["activation=tanh", "plain"].effect == "worse"
    assert found["batch_norm=none", "plain"].effect == "fails"  # both nets guess, so that there's no rise


@pytest.mark.parametrize(
    ("train", "effect"),
    [
        ({("plain", 8): (1.0, 0.1), ("plain", 56): (41.0, 0.1)}, "not"),
        ({("plain", 8): (1.0, 0.1), ("plain", 56): (39.0, 9.0)}, "unclear"),
        ({("plain", 56): (1.0, 0.1)}, "removes"),  # held against the shallow net without a remedy
        ({("plain", 8): (1.0, 0.1)}, "alone"),
    ],
)
def test_what_is_not_known_is_not_said(train, effect):
    assert by_name(remedied({"width=2": train}))["width=2", "plain"].effect == effect


def test_where_there_is_no_rise_none_can_be_removed():
    flat = {("plain", 8): (1.0, 0.1), ("plain", 56): (1.0, 0.1)}
    found = by_name(remedied({"width=2": GOOD, "width=4": WORSE}, flat))
    assert found["width=2", "plain"].effect == "same"
    assert found["width=4", "plain"].effect == "worse"


def test_without_plain_nets_nothing_is_judged():
    residual = {net: found for net, found in PAPER.items() if net[0] == "residual"}
    found = by_name(remedied({"width=2": residual}, residual))
    assert {arm.effect for arm in found.values()} == {"alone"}


def test_a_diverged_run_counts_with_the_error_of_guessing():
    arm = by_name(remedied({"width=2": GOOD}, diverged="plain-56 seed 1"))["width=2", "plain"]
    assert arm.diverged == 1
    assert 90.0 in arm.deep_errors
    assert arm.effect == "unclear"


def test_plain_nets_that_options_of_the_shortcut_share_are_the_plain_nets():
    residual = {net: found for net, found in PAPER.items() if net[0] == "residual"}
    evidence = remedied({"shortcut=A": residual, "shortcut=B": residual, "width=2": FAILS}, PLAIN)
    found = by_name(evidence)
    assert list(found) == [("", "plain"), ("", "residual"), ("shortcut=B", "residual"), ("width=2", "plain")]
    assert found["shortcut=B", "residual"].effect == "removes"


def test_growth_of_gradients_is_fitted_at_initialisation():
    evidence = remedied({"width=2": GOOD})
    rows = [
        {
            **{key: run[key] for key in PROBE_COLUMNS},
            "step": step,
            "layer": layer,
            "input_gradient": (1.2 if run["variant"] == "" else 1.05) ** (54 - layer) if step == 0 else 1.0,
        }
        for _, run in evidence.others.iterrows()
        if run["net"] == "plain-56"
        for step in (0, 220)
        for layer in range(55)
    ]
    evidence = remedied({"width=2": GOOD}, probes={"gradients": pd.DataFrame(rows)})
    found = by_name(evidence)
    assert found["", "plain"].growth.estimate == pytest.approx(1.2)
    assert found["width=2", "plain"].growth.estimate == pytest.approx(1.05)
    assert found["width=2", "plain"].growth.seeds == 3
    assert np.isnan(found["", "residual"].growth.estimate)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("", ""),
        ("initialisation=delta-orthogonal", "delta-orthogonal weights"),
        ("batch_norm=none, initialisation=dirac, activation=dks", "no batch norm + Dirac + DKS"),
        ("shortcut_scale=0.5", "shortcut times 0.5"),
        ("scaling=rezero", "ReZero"),
        ("shortcut=B, width=2", "option B + width=2"),
        ("milestones=[0.5, 0.75]", "milestones=[0.5, 0.75]"),
    ],
)
def test_remedies_have_names(variant, words):
    assert in_words(variant) == words


def test_the_plain_net_stands_at_0_and_the_residual_one_at_1():
    evidence = remedied(SCALES)
    scaled = doses(evidence)
    assert list(scaled["depth"].unique()) == [8, 56]
    deep = scaled[scaled["depth"] == 56].groupby("shortcut_scale")["error"]
    assert list(deep.groups) == [0.0, 0.25, 0.5, 0.75, 1.0]
    ends = evidence.runs.groupby("net")["final_train_error"]
    assert sorted(deep.get_group(0.0)) == sorted(ends.get_group("plain-56"))
    assert sorted(deep.get_group(1.0)) == sorted(ends.get_group("resnet-56"))
    assert abs(deep.get_group(0.25).mean() - 20) < 1


def test_what_differs_in_more_than_the_scale_is_no_dose():
    more = {f"{name}, width=2": train for name, train in SCALES.items()}
    assert doses(remedied(more)).empty
    assert doses(remedied({"initialisation=orthogonal": GOOD})).empty
    assert doses(remedied({"shortcut_scale=half": SCALES["shortcut_scale=0.5"]})).empty


def test_a_depth_without_its_ends_has_those_scales_that_there_are():
    plain = {net: found for net, found in PAPER.items() if net[0] == "plain" and net[1] == 8}
    scaled = doses(remedied({"shortcut_scale=0.5": {("residual", 8): (1.0, 0.1)}}, plain))
    assert list(scaled["shortcut_scale"].unique()) == [0.0, 0.5]


def test_a_diverged_run_is_counted():
    deep = doses(remedied(SCALES, diverged="resnet-56 seed 0")).query("depth == 56")
    assert list(deep.groupby("shortcut_scale")["diverged"].max()) == [0, 1, 1, 1, 0]
