import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from study.config.command import Command
from study.verdict import judge
from study.verdict import selection as c
from study.verdict.edges import NO_SLACK
from study.verdict.findings import find
from study.verdict.optimum import reach
from study.verdict.rule import Failures, Rule, run_tests
from tests.report.frames import Truth, diverge, make_study


def turned(runs, architecture="plain"):
    found = {one.architecture: one.turn for one in find(runs, c.counted(runs), Rule())}
    return found[architecture]


def test_the_curve_of_plain_nets_turns_at_the_deepest_of_the_best(digits):
    runs = digits.runs.copy()
    runs.loc[(runs["architecture"] == "plain") & runs["depth"].isin([8, 20]), "final_train_error"] = 0.0
    found = turned(runs)
    assert (found.depth, found.net, found.error, found.equal) == (20, "plain-20", 0.0, ("plain-8",))
    assert found.deeper == ("plain-32", "plain-56")
    assert found.worse == ("plain-56",)
    text = " ".join(judge(runs)[0].sentences)
    assert "least at plain-20 (0.00%, as at plain-8); plain-56 is significantly worse by more than 0.5 points" in text


def test_a_curve_that_only_falls_does_not_turn(paper):
    runs = paper.runs[paper.runs["architecture"] == "residual"]
    found = turned(runs, "residual")
    assert (found.depth, found.deeper, found.worse) == (110, (), ())
    assert found.shallower_worse == ("resnet-20",)


def test_one_seed_has_a_place_and_no_claim(digits):
    runs = digits.runs[digits.runs["seed"] == 0]
    assert turned(runs).worse == ()
    text = next(text for text in judge(runs)[0].sentences if "is least at" in text)
    assert "significantly" not in text


def test_none_where_nothing_can_be_compared(digits):
    assert turned(digits.runs[digits.runs["depth"] == 8]) is None
    assert turned(digits.runs.assign(total_iterations=range(len(digits.runs)))) is None


def test_what_could_not_be_tested_is_not_called_harmless(digits):
    """A shallowest net of one seed is the best, and no pair with it has a test."""
    runs = digits.runs.copy()
    runs.loc[(runs["architecture"] == "plain") & (runs["depth"] != 8), "final_train_error"] += 1
    runs = runs[(runs["depth"] != 8) | (runs["seed"] == 0)]
    assert (turned(runs).depth, turned(runs).tested, turned(runs).worse) == (8, (), ())
    text = next(text for text in judge(runs)[0].sentences if "plain nets is least at" in text)
    assert text.endswith("is least at plain-8 (0.00%).")


GRID = """
name: pets
dataset: digits
recipe: {epochs: 1}
grid: {architecture: [plain, residual], depth: [8, 20], seed: [0, 1, 2]}
"""
LEVEL, WORSE = (0.3, 0.05), (3.0, 0.05)
BOTH = ("plain", "residual")


def started(words="", study="", grid=GRID):
    return Command(at=datetime.now(UTC), command=f"study run --grid pets.yaml {words}", grid=grid, study=study)


def deep(truth, **options):
    (verdict,) = judge(make_study(Truth(truth)).runs, commands=[started()], **options)
    return verdict.how_deep, verdict.deeper


def level(kinds=BOTH, depths=(8, 20, 56)):
    return {(kind, depth): LEVEL for kind in kinds for depth in depths}


def test_how_deep_where_plain_nets_lose_and_residual_ones_do_not():
    how_deep, command = deep(level() | {("plain", 56): WORSE})
    assert how_deep == "Deepest plain net without loss here: plain-20; residual nets: no limit seen up to resnet-56."
    assert command == "study run --grid pets.yaml --set grid.architecture=residual --set grid.depth=80,110"


def test_how_deep_where_none_loses():
    how_deep, command = deep(level())
    assert how_deep == "Plain nets: no limit seen up to plain-56; residual nets: no limit seen up to resnet-56."
    assert command == "study run --grid pets.yaml --set grid.depth=80,110"


def test_what_tests_leave_open_is_said():
    how_deep, command = deep(level(("plain",), (8, 20, 32, 56)) | {("plain", 32): (0.9, 0.3), ("plain", 56): WORSE})
    assert how_deep == "Deepest plain net without loss here: plain-20; plain-32 is undecided."
    assert command == ""
    how_deep, _ = deep(level(("plain",)) | {("plain", 20): WORSE, ("plain", 56): WORSE})
    assert how_deep == "Deepest plain net without loss here: plain-8, the shallowest."


def test_a_net_beyond_one_that_loses_is_undecided():
    """What is left of the level is nothing once a net on the way down isn't without loss."""
    how_deep, command = deep(level(("plain",)) | {("plain", 20): WORSE})
    assert how_deep == "Deepest plain net without loss here: plain-8, the shallowest; plain-56 is undecided."
    assert command == ""


def test_no_limit_is_what_the_rule_calls_not_seen(digits, paper):
    for study in (digits, paper):
        for finding in judge(study.runs)[0].findings:
            assert finding.reach is not None
            assert finding.reach.endless == (finding.status in ("not seen", "refuted"))
            assert set(finding.reach.worse) == {pair.deep_net for pair in finding.train if pair.worse}


@pytest.mark.parametrize(
    ("truth", "seeds"),
    [
        (level(), 1),
        (level(depths=(8,)), 3),
        (dict.fromkeys(level(), (90.0, 0.1)), 3),
        (level(("plain",)) | {("plain", 20): (5, 4), ("plain", 56): (5, 4)}, 3),
    ],
)
def test_nothing_is_said_where_nothing_can_be(truth, seeds):
    (verdict,) = judge(make_study(Truth(truth, seeds=seeds)).runs, commands=[started()])
    assert (verdict.how_deep, verdict.deeper) == ("", "")


def test_a_run_that_failed_on_the_way_down_silences_it():
    study = make_study(Truth(level(("plain",)) | {("plain", 56): WORSE}))
    assert judge(study.runs)[0].how_deep == "Deepest plain net without loss here: plain-20."
    for name, how_deep in (
        ("plain-8 seed 0", ""),
        ("plain-56 seed 0", "Deepest plain net without loss here: plain-20"),
    ):
        assert judge(diverge(study, name).runs)[0].how_deep.startswith(how_deep or " ") == bool(how_deep)


def test_a_rate_on_the_edge_leaves_it_open():
    study = make_study(Truth(level(("plain",)), trials=4))
    assert judge(study.runs, trials=study.trials)[0].how_deep == "Plain nets: no limit seen up to plain-56."
    runs = study.runs.copy()
    runs["final_train_error"] += 1
    edge = study.trials.assign(edge=["highest" if net == "plain-20" else "" for net in study.trials["net"]])
    verdict = judge(runs, trials=edge)[0]
    assert verdict.plain.reason == "edge"
    assert verdict.how_deep == "Deepest plain net without loss here: plain-20; plain-56 is undecided."


def test_a_loss_that_another_rate_may_undo_is_no_loss_yet():
    study = make_study(Truth(level(("plain",)) | {("plain", 56): WORSE}, trials=4))
    edge = study.trials.assign(edge=["lowest" if net == "plain-56" else "" for net in study.trials["net"]])
    verdict = judge(study.runs, trials=edge)[0]
    assert verdict.plain.reason == "edge"
    limit = "Deepest plain net without loss here: plain-20"
    assert verdict.how_deep == f"{limit}; plain-56 may err less at a rate beyond the search."
    truth = level(("plain",), (8, 20, 32, 56)) | {("plain", 32): WORSE, ("plain", 56): WORSE}
    study = make_study(Truth(truth, trials=4, seeds=5))
    edge = study.trials.assign(edge=["lowest" if net == "plain-32" else "" for net in study.trials["net"]])
    verdict = judge(study.runs, trials=edge)[0]
    assert (verdict.plain.status, verdict.plain.reach.worse) == ("shown", ("plain-56",))
    assert verdict.how_deep == f"{limit}; plain-32 may err less at a rate beyond the search."


def test_families_end():
    how_deep, command = deep(level(("plain",), (18, 34)))
    assert how_deep == "Plain nets: no limit seen up to plain-34."
    assert command == "study run --grid pets.yaml --set grid.architecture=plain --set grid.depth=50"
    truth = level(("residual",), (101, 152))
    assert deep(truth) == ("Residual nets: no limit seen up to resnet-152.", "")


def test_nets_of_other_depths_go_on_by_themselves():
    _, command = deep(level(("plain",)) | level(("residual",), (8, 20, 56, 110)))
    assert command == "study run --grid pets.yaml --set grid.architecture=plain --set grid.depth=80,110"


def test_the_newest_command_that_can_is_changed():
    runs = make_study(Truth(level())).runs
    commands = [started(), started("--set recipe.epochs=2"), started("--set grid.seed=3"), started("--lr-from b")]
    (verdict,) = judge(runs, commands=commands)
    assert verdict.deeper == "study run --grid pets.yaml --set recipe.epochs=2 --set grid.depth=80,110"


def test_each_variant_and_each_study_has_its_own():
    runs = make_study(Truth(level())).runs
    lost = make_study(Truth(level() | {("plain", 56): WORSE})).runs
    both = pd.concat([runs.assign(variant="study=a"), lost.assign(variant="study=b, width=2")], ignore_index=True)
    first, second = judge(both, commands=[started(study="a"), started("--set recipe.epochs=3", study="b")])
    assert first.deeper == "study run --grid pets.yaml --set grid.depth=80,110"
    assert second.how_deep.startswith("Deepest plain net without loss here: plain-20; residual nets: no limit")
    assert "recipe.epochs=3" in second.deeper


def test_a_net_at_the_smallest_effect_is_seldom_without_loss():
    """Within four standard errors of the 2.5% that the fixed sequence keeps, however many depths come after it."""
    draws, random, beyond = 200, np.random.default_rng(3), 0
    means = np.array([5.0, 5.25, 5.5, 5.5, 5.5])[:, None]
    failures = {depth: Failures(f"plain-{depth}", 0, 3) for depth in (8, 14, 20, 32, 56)}
    for cells in random.normal(means, 0.05, (draws, 5, 3)):
        tests = run_tests(dict(zip(failures, cells, strict=True)), failures, 0.5, 0.001)
        found = reach(tests, failures, Rule(), NO_SLACK)
        assert found is None or found.depth >= 14
        beyond += found is not None and found.depth > 14
    assert beyond / draws <= 0.025 + 4 * math.sqrt(0.025 * 0.975 / draws)
