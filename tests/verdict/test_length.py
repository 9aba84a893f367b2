import pandas as pd
import pytest

from study.verdict import judge
from tests.report.conftest import DIGITS
from tests.report.frames import Truth, make_study

LEVEL = Truth(dict.fromkeys(DIGITS.train, (0.0, 0.02)))
SMALLER = Truth(DIGITS.train | {("plain", 56): (10.0, 1.0)})


def longer(short, long, variants=("epochs=20", "epochs=60"), times=3):
    runs = [frame.assign(variant=variant) for frame, variant in zip((short.runs, long.runs), variants, strict=True)]
    runs[1]["run_id"] = "x" + runs[1]["run_id"]
    runs[1]["total_iterations"] = times * runs[0]["total_iterations"].iloc[0]
    return pd.concat(runs, ignore_index=True)


def headline_nets(study):
    runs = study.runs[study.runs["depth"].isin([8, 56])]
    return study.__class__(runs, study.curves, study.trials)


def length(verdict):
    return next(item for item in verdict.explanations if item.name == "training length")


@pytest.mark.parametrize(
    ("truth", "status", "words"),
    [
        (DIGITS, "excluded", "the rise stays"),
        (SMALLER, "not excluded", "the rise shrinks by 2"),
        (LEVEL, "not excluded", "the rise vanishes"),
    ],
)
def test_three_words_for_what_longer_training_does(digits, truth, status, words):
    runs = longer(digits, make_study(truth, seed=4))
    verdict = judge(runs)[0]
    assert length(verdict).status == status
    assert words in length(verdict).sentence
    assert length(verdict).sentence.count(" (") <= 2  # the difference and, where it shrinks, by how much: each once
    assert f"with 3 times the iterations {words}" in verdict.line


def test_nothing_is_longer_than_the_longest(digits):
    runs = longer(digits, make_study(DIGITS, seed=4))
    assert length(judge(runs)[1]).sentence == "Longer trainings were not tried."


def test_a_budget_is_judged_with_the_nets_that_it_belongs_to(digits):
    runs = longer(digits, headline_nets(make_study(SMALLER, seed=4)), ("", "budget=3"))
    (verdict,) = judge(runs)
    assert verdict.variant == ""
    assert verdict.line.startswith("Degradation shown after 220 iterations: plain-56 ends with 3")
    text = length(verdict).sentence
    assert text.startswith(
        "With 3 times the iterations, at the rates tuned for once as many, plain-56 minus plain-8 is "
    )
    assert length(verdict).numbers["longer"][0]["change"] == "shrinks"
    assert "Train the headline nets for longer" not in verdict.next_step


def test_a_longer_training_of_one_seed_says_nothing(digits):
    lone = make_study(Truth(SMALLER.train, seeds=1))
    (verdict,) = judge(longer(digits, headline_nets(lone), ("", "budget=3")))
    assert length(verdict).sentence == "Longer trainings of these two nets, with two seeds each, were not made."
    assert verdict.next_step.startswith("Train plain-8 and plain-56 for longer too, each with two seeds or more")


def test_budgets_are_advised_where_they_train_the_headline_nets(digits):
    assert "`budgets: [1, 3]`" in judge(digits.runs)[0].next_step
    runs = pd.concat([digits.runs, digits.runs.assign(seed=digits.runs["seed"] + 10)], ignore_index=True)
    runs.loc[runs["net"] == "plain-56", "final_train_error"] = 0.0
    runs.loc[runs["net"] == "plain-32", "final_train_error"] += 20
    verdict = judge(runs)[0]
    assert verdict.plain.headline.deep == 32
    assert verdict.next_step.startswith("Train plain-8 and plain-32 for longer too")


def test_a_wide_spread_leaves_it_open(digits):
    wide = make_study(Truth(DIGITS.train | {("plain", 56): (30.0, 25.0)}), seed=1)
    verdict = judge(longer(digits, wide))[0]
    assert length(verdict).numbers["longer"][0]["change"] == "open"
    assert length(verdict).status == "open"
    assert verdict.next_step == "Add seeds to the longer trainings: what they do to the rise is open."


def test_a_variant_that_differs_otherwise_is_no_longer_training(digits):
    runs = longer(digits, digits).replace({"variant": {"epochs=60": "epochs=60, width=2"}})
    assert length(judge(runs)[0]).sentence == "Longer trainings were not tried."


def test_the_longer_one_alone_is_judged_by_itself(digits):
    runs = digits.runs.assign(variant="budget=3")
    assert [verdict.variant for verdict in judge(runs)] == ["budget=3"]
