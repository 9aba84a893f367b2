from study.report.why.doses import doses

from .remedied import GOOD, PAPER, SCALES, remedied


def test_the_plain_net_stands_at_0_and_the_residual_one_at_1():
    evidence = remedied(SCALES)
    found = doses(evidence)
    assert [line.depth for line in found.lines] == [8, 56]
    assert found.deepest.scales == (0.0, 0.25, 0.5, 0.75, 1.0)
    ends = evidence.runs.groupby("net")["final_train_error"]
    assert sorted(found.deepest.errors[0]) == sorted(ends.get_group("plain-56"))
    assert sorted(found.deepest.errors[-1]) == sorted(ends.get_group("resnet-56"))
    assert abs(found.deepest.errors[1].mean() - 20) < 1


def test_what_differs_in_more_than_the_scale_is_no_dose():
    more = {f"{name}, width=2": train for name, train in SCALES.items()}
    assert doses(remedied(more)) is None
    assert doses(remedied({"initialisation=orthogonal": GOOD})) is None
    assert doses(remedied({"shortcut_scale=half": SCALES["shortcut_scale=0.5"]})) is None


def test_a_depth_without_its_ends_has_those_scales_that_there_are():
    plain = {net: found for net, found in PAPER.items() if net[0] == "plain" and net[1] == 8}
    found = doses(remedied({"shortcut_scale=0.5": {("residual", 8): (1.0, 0.1)}}, plain))
    assert found.lines[0].scales == (0.0, 0.5)


def test_a_diverged_run_is_counted():
    assert doses(remedied(SCALES, diverged="resnet-56 seed 0")).deepest.diverged == (0, 1, 1, 1, 0)
