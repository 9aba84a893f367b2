import numpy as np
import pandas as pd
import pytest

from study.verdict import Rule, judge
from tests.report.conftest import DIGITS
from tests.report.frames import Truth, diverge, make_study, unfinish

NETS = [(architecture, depth) for architecture in ("plain", "residual") for depth in (8, 20, 32)]


def one(runs, **options):
    (verdict,) = judge(runs, **options)
    return verdict


def told(verdict):
    return " ".join([verdict.line, *verdict.sentences, verdict.next_step])


def test_shown(digits):
    verdict = one(digits.runs)
    assert verdict.plain.status == "shown"
    assert verdict.residual.status == "not seen"
    assert (verdict.plain.headline.shallow, verdict.plain.headline.deep) == (8, 56)
    assert len(verdict.plain.train) == 6
    assert verdict.remedy.contrast.estimate == pytest.approx(32, abs=3)
    assert verdict.remedy.contrast.low > 20
    assert verdict.line.startswith("Degradation shown after 220 iterations: plain-56 ends with 3")
    assert "3 seeds each" in verdict.line
    assert "the shortcuts remove 3" in verdict.line
    assert "Overfitting does not explain the rise in plain nets" in told(verdict)


def test_numbers_of_the_line_are_those_of_the_runs(digits):
    runs = digits.runs
    means = runs.groupby("net")["final_train_error"].mean()
    line = one(runs).line
    assert f"{means['plain-56'] - means['plain-8']:.1f} points more training error than plain-8" in line


def test_sentences_tell_training_before_test(digits):
    sentences = one(digits.runs).sentences
    first_test = next(i for i, text in enumerate(sentences) if text.startswith("On test images"))
    assert any("training error" in text for text in sentences[:first_test])
    assert not any("pairs of plain nets" in text for text in sentences[first_test:])


def test_not_shown():
    runs = make_study(Truth({net: (0.3, 0.1) for net in NETS})).runs
    verdict = one(runs)
    assert verdict.plain.status == "not seen"
    assert verdict.line.startswith("No degradation seen after 220 iterations: plain-32 minus plain-8 is")
    assert "remove" not in verdict.line
    assert verdict.next_step.startswith("Try deeper nets: at these depths no degradation of plain nets is seen")


GUESSING = (90.0, 0.2)


@pytest.mark.parametrize(
    ("depths", "kinds", "tried", "nets"),
    [
        ((8, 20), ("plain",), "a longer training", "plain"),
        ((18, 34), ("plain",), "a longer training", "plain"),
        ((20, 32), ("plain",), "shallower nets, a longer training", "plain"),
        ((20,), ("plain", "residual"), "shallower nets, a longer training", "plain and residual"),
        ((8, 20), ("residual",), "a longer training", "residual"),
    ],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_nets_that_learn_nothing_tell_nothing_of_depth(depths, kinds, tried, nets, seeds):
    truth = Truth({(kind, depth): GUESSING for kind in kinds for depth in depths}, seeds=seeds)
    start = f"Try {tried} or other learning rates first: all runs of {nets} nets diverged or ended within 10 points"
    assert one(make_study(truth).runs).next_step.startswith(start)


def test_a_line_on_nets_that_learn_nothing_says_so():
    truth = Truth({("plain", 8): (90, 0.05), ("plain", 20): (90, 0.05)}, seeds=5)
    verdict = one(make_study(truth).runs)
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", "guessing")
    assert verdict.line == (
        "Inconclusive: every run of plain nets diverged or ended within 10 points of guessing, "
        "which tells nothing of depth."
    )


def test_a_plain_net_that_learns_is_enough_to_go_on():
    runs = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): GUESSING}, seeds=5)).runs
    assert one(runs).next_step.startswith("Add `residual` to the grid's architectures, to see whether")
    level = {("plain", 8): (1, 0.1), ("plain", 20): (1, 0.1), ("residual", 8): GUESSING, ("residual", 20): GUESSING}
    assert "all runs of residual nets diverged or" in one(make_study(Truth(level)).runs).next_step


def test_all_diverged(digits):
    study = digits
    for name in digits.runs["name"]:
        study = diverge(study, name)
    assert "all runs of plain and residual nets diverged" in one(study.runs).next_step


@pytest.mark.parametrize(("depths", "start"), [((18, 34), "Try deeper nets"), ((101, 152), "Try other data")])
def test_a_family_that_ends_has_no_deeper_nets(depths, start):
    runs = make_study(Truth({("plain", depth): (0.3, 0.1) for depth in depths})).runs
    assert one(runs).next_step.startswith(start)


def test_shortcuts_have_nothing_to_undo_where_nothing_is_seen():
    runs = make_study(Truth({("plain", 8): (0.3, 0.1), ("plain", 20): (0.3, 0.1)})).runs
    assert "residual" not in one(runs).next_step
    assert one(runs.assign(lr_tuned=False)).next_step.startswith("Tune the learning rate")


def test_residual_nets_that_lose_are_no_sign_of_a_plain_one():
    truth = {("plain", 8): (1, 0.1), ("plain", 20): (1, 0.1), ("residual", 8): (1, 0.1), ("residual", 20): (9, 0.1)}
    verdict = one(make_study(Truth(truth)).runs)
    assert verdict.residual.status == "shown"
    assert "no degradation of plain nets is seen" in verdict.next_step


def test_the_smallest_effect_decides():
    runs = make_study(Truth({("plain", 8): (1.0, 0.02), ("plain", 20): (1.6, 0.02)}, train_images=50_000)).runs
    assert one(runs, rule=Rule(0.3)).plain.status == "shown"
    assert one(runs, rule=Rule(2.0)).plain.status == "not seen"


def test_inconclusive():
    runs = make_study(Truth({("plain", 8): (1, 0.5), ("plain", 20): (1.6, 0.8)})).runs
    verdict = one(runs)
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", "imprecise")
    assert "neither shows nor excludes an effect of 0.5 points" in verdict.line
    assert verdict.next_step.startswith("Add seeds: if the difference and the spread stay as they are, about ")


def test_a_large_spread_asks_for_less_spread():
    runs = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): (4, 4)}), seed=1).runs
    assert "Lower the spread between seeds of plain-8 and plain-20" in one(runs).next_step


def test_one_seed():
    verdict = one(make_study(Truth(DIGITS.train, seeds=1)).runs)
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", "one seed")
    assert "without an interval" in verdict.line
    assert "p =" not in told(verdict)
    assert "nan" not in told(verdict)
    assert verdict.remedy is None


def test_one_cell_with_one_seed_does_not_hide_what_others_show(digits):
    runs = digits.runs
    few = runs[~((runs["net"] == "plain-20") & (runs["seed"] > 0))]
    verdict = one(few)
    assert verdict.plain.status == "shown"
    assert "of which 3 could be tested" in told(verdict)
    lost = one(runs[~((runs["net"] == "plain-56") & (runs["seed"] > 0))])
    assert (lost.plain.status, lost.plain.reason, lost.plain.detail) == ("inconclusive", "one seed", "plain-56")


def test_diverged_runs_count(digits):
    study = diverge(digits, "plain-56 seed 1")
    verdict = one(study.runs)
    assert verdict.plain.headline.difference.n[0] == 3
    assert verdict.plain.headline.difference.estimate > 45
    assert "plain-56 seed 1 diverged and counts with the error of guessing." in verdict.sentences
    for seed in (0, 2):
        study = diverge(study, f"plain-56 seed {seed}")
    verdict = one(study.runs)
    assert verdict.plain.status == "shown"
    assert verdict.plain.headline.difference.estimate == pytest.approx(90, abs=0.2)


@pytest.mark.parametrize("outcome", ["failed", "interrupted", "running"])
def test_unfinished_runs_are_named_and_left_out(digits, outcome):
    verdict = one(unfinish(digits, "plain-56 seed 1", outcome).runs)
    assert verdict.plain.headline.difference.n[0] == 2
    assert "2 and 3 seeds" in verdict.line
    reason = "still running" if outcome == "running" else outcome
    assert f"1 of 24 runs is not counted: plain-56 seed 1 ({reason})." in verdict.sentences
    start = "Run the study again, unless it is at work" if outcome == "running" else "Run the study again"
    assert verdict.next_step == f"{start}: 1 run has no result yet."


def test_a_net_without_a_result(digits):
    study = digits
    for seed in range(3):
        study = unfinish(study, f"plain-56 seed {seed}", "failed")
    verdict = one(study.runs)
    assert (verdict.plain.reason, verdict.line) == ("no result", "Inconclusive: plain-56 has no finished run.")
    assert (verdict.remedy.shallow, verdict.remedy.deep) == (8, 32)


def test_before_any_result(digits):
    runs = digits.runs.assign(outcome="running", final_train_error=np.nan, final_test_error=np.nan)
    verdict = one(runs)
    assert verdict.line == "Inconclusive: plain-8, plain-20, plain-32 and plain-56 have no finished run."
    assert verdict.next_step == "Run the study again, unless it is at work: 24 runs have no result yet."
    assert judge(runs.iloc[:0]) == []


def test_a_seed_run_twice_is_one_observation(digits):
    runs = digits.runs
    again = runs[runs["net"] == "plain-56"].assign(
        run_id=lambda frame: "again" + frame["run_id"], start_time=pd.Timestamp("2026-02-01")
    )
    again["final_train_error"] += 1
    verdict = one(pd.concat([runs, again]))
    assert verdict.plain.headline.difference.n[0] == 3
    expected = one(runs).plain.headline.difference.estimate + 1
    assert verdict.plain.headline.difference.estimate == pytest.approx(expected)
    assert "3 of 27 runs are not counted" in told(verdict)


def test_plain_only(digits):
    verdict = one(digits.runs[digits.runs["architecture"] == "plain"])
    assert verdict.plain.status == "shown"
    assert verdict.residual is None
    assert verdict.remedy is None
    assert "shortcuts" not in " ".join([verdict.line, *verdict.sentences])
    assert "Add `residual`" in verdict.next_step


def test_residual_only(digits):
    verdict = one(digits.runs[digits.runs["architecture"] == "residual"])
    assert verdict.plain is None
    assert verdict.line.startswith(
        "No verdict on depth alone: the study has no plain nets; no degradation seen in residual nets"
    )
    assert "Add `plain`" in verdict.next_step


def test_one_depth(digits):
    verdict = one(digits.runs[digits.runs["depth"] == 56])
    assert verdict.plain.reason == "one depth"
    assert verdict.line.startswith("No verdict: plain-56 is the only one of its kind")
    assert "Add depths" in verdict.next_step


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("total_iterations", 440, "unequal training"),
        ("train_images", 100, "unequal data"),
        ("dataset", "cifar10", "unequal data"),
    ],
)
def test_unfair_comparisons_are_withheld(digits, column, value, reason):
    runs = digits.runs.copy()
    runs.loc[runs["net"] == "plain-56", column] = value
    verdict = one(runs)
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", reason)
    assert verdict.plain.train == ()
    assert verdict.remedy is None
    assert verdict.line.startswith("Verdict withheld: the nets were trained")
    assert str(value) in verdict.line
    assert verdict.residual.status == "not seen"


def test_the_remedy_needs_equal_training(digits):
    runs = digits.runs.copy()
    runs.loc[runs["architecture"] == "residual", "total_iterations"] = 440
    verdict = one(runs)
    assert verdict.plain.status == "shown"
    assert verdict.remedy is None
    assert "remove" not in verdict.line
    assert "What the shortcuts remove was not computed" in told(verdict)
    assert verdict.next_step.startswith("Train plain and residual nets")


def test_the_remedy_is_at_common_depths(paper):
    runs = paper.runs
    verdict = one(runs[~((runs["architecture"] == "residual") & (runs["depth"] == 20))])
    assert (verdict.plain.headline.shallow, verdict.plain.headline.deep) == (20, 56)
    assert (verdict.remedy.shallow, verdict.remedy.deep) == (32, 56)


def test_shortcuts_that_make_it_worse():
    truth = {("plain", 8): (1, 0.2), ("plain", 20): (6, 0.2), ("residual", 8): (1, 0.2), ("residual", 20): (9, 0.3)}
    verdict = one(make_study(Truth(truth)).runs)
    assert verdict.residual.status == "shown"
    assert "with shortcuts the rise is larger by" in verdict.line
    assert any(text.startswith("Residual nets train worse with depth") for text in verdict.sentences)


def test_overfitting_is_told_from_degradation():
    runs = make_study(Truth({("plain", 8): (1, 0.05), ("plain", 20): (4, 0.05)})).runs
    deep = runs["depth"] == 20
    runs.loc[deep, "final_test_error"] += 6
    assert "Overfitting adds to the rise in plain nets" in told(one(runs))


@pytest.mark.parametrize(
    ("tuned", "rates", "sentence"),
    [
        ([True, True], [0.1, 0.01], "tuned for each net apart"),
        ([False, False], [0.1, 0.1], "a learning rate of 0.1, not tuned"),
        ([False, False], [0.1, 0.01], "set by the grid, not tuned"),
        ([True, False], [0.1, 0.1], "tuned for some nets and set for others"),
    ],
)
def test_how_rates_were_set(digits, tuned, rates, sentence):
    runs = digits.runs.copy()
    first = runs["depth"] == 8
    runs["lr_tuned"] = np.where(first, *tuned)
    runs["lr"] = np.where(first, *rates)
    assert sentence in told(one(runs))


def test_variants_are_judged_apart(digits, paper):
    runs = pd.concat([digits.runs.assign(variant="width=1"), paper.runs.assign(variant="width=2")])
    first, second = judge(runs)
    assert first.line.startswith("With width=1: degradation shown after 220 iterations: plain-56 ends with 3")
    assert second.line.startswith("With width=2: degradation shown after 64,000 iterations: plain-56 ends with 4.")
    assert len(second.residual.train) == 10


def test_without_test_errors(digits):
    verdict = one(digits.runs.assign(final_test_error=np.nan))
    assert verdict.plain.status == "shown"
    assert "test images" not in told(verdict)
    assert "nan" not in told(verdict)


def test_shown_by_the_fixed_sequence(digits):
    """Three seeds that spread widely: no pair passes Holm's rule over all, but the rise, and after it the outermost."""
    runs = digits.runs.copy()
    for depth, errors in {8: [0, 0, 0], 20: [0, 0.08, 0], 32: [0.5, 0.6, 1.2], 56: [44.2, 57.5, 81.5]}.items():
        runs.loc[(runs["architecture"] == "plain") & (runs["depth"] == depth), "final_train_error"] = errors
    verdict = one(runs)
    ends = verdict.plain.headline
    assert (ends.shallow, ends.deep) == (8, 56)
    assert 6 * ends.difference.p > 0.05
    assert verdict.plain.status == "shown"
    assert "against 0.5 points or less" in verdict.line
    assert "training error of plain nets rises with depth (Jonckheere-Terpstra" in told(verdict)


def test_a_rise_too_small_to_matter_is_not_shown(digits):
    runs = digits.runs.copy()
    for rank, depth in enumerate((8, 20, 32, 56)):
        mine = (runs["architecture"] == "plain") & (runs["depth"] == depth)
        runs.loc[mine, "final_train_error"] = [0.1 * rank, 0.1 * rank + 0.01, 0.1 * rank + 0.02]
    verdict = one(runs)
    assert verdict.plain.trend.p_adjusted < 0.05
    assert verdict.plain.status == "not seen"


def test_plain_nets_are_compared_with_every_option_of_the_shortcut(digits):
    runs = digits.runs
    residual = runs["architecture"] == "residual"
    options = [runs[residual].assign(variant=f"shortcut={option}", run_id=runs["run_id"] + option) for option in "AB"]
    verdicts = judge(pd.concat([runs[~residual], *options], ignore_index=True))
    assert [verdict.variant for verdict in verdicts] == ["shortcut=A", "shortcut=B"]
    alone = one(runs)
    for verdict in verdicts:
        assert verdict.remedy == alone.remedy
        assert [finding.status for finding in verdict.findings] == ["shown", "not seen"]
