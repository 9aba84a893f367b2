import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from study.report.build import _plain
from study.verdict import judge
from tests.report.conftest import DIGITS
from tests.report.frames import Truth, make_study


def explained(runs, trials=None, curves=None, at=0):
    verdict = judge(runs, trials=trials, curves=curves)[at]
    return {one.name: one for one in verdict.explanations if one.architecture == "plain"}


def test_each_explanation_with_its_numbers(digits):
    found = explained(digits.runs, digits.trials, digits.curves)
    assert list(found) == ["overfitting", "learning rate", "training length"]
    assert [one.status for one in found.values()] == ["excluded", "excluded", "open"]
    verdict = judge(digits.runs, trials=digits.trials, curves=digits.curves)[0]
    assert all(one.sentence in verdict.sentences for one in found.values())
    told = json.loads(json.dumps(_plain(asdict(verdict))))["explanations"]
    assert [one["numbers"].keys() for one in told] == [one.numbers.keys() for one in found.values()]


def test_overfitting_is_told_by_depth(digits):
    one = explained(digits.runs)["overfitting"]
    means = digits.runs[digits.runs["architecture"] == "plain"].groupby("depth")[
        ["final_test_error", "final_train_error"]
    ].mean()  # fmt: skip
    expected = means["final_test_error"] - means["final_train_error"]
    assert one.numbers["gap_by_depth"] == pytest.approx({str(depth): gap for depth, gap in expected.items()})
    assert f"{expected[8]:.2f} at 8" in one.sentence


def test_a_gap_that_grows_is_told(digits):
    runs = digits.runs.copy()
    runs.loc[runs["depth"] == 56, "final_test_error"] += 6
    assert "Overfitting adds to the rise in plain nets but is not the whole" in explained(runs)["overfitting"].sentence


def test_without_test_errors_nothing_is_said_of_overfitting(digits):
    assert "overfitting" not in explained(digits.runs.assign(final_test_error=np.nan))


@pytest.mark.parametrize(
    ("tuned", "searched", "status"), [(True, True, "excluded"), (True, False, "open"), (False, False, "not excluded")]
)
def test_the_learning_rate_is_excluded_by_searches_alone(digits, tuned, searched, status):
    found = explained(digits.runs.assign(lr_tuned=tuned), digits.trials if searched else None)
    one = found["learning rate"]
    assert one.status == status
    assert ("edge" in one.sentence) == searched
    assert one.numbers["rates"]["plain-8"] == [0.1]


def test_the_rise_at_a_shared_rate(digits):
    one = explained(digits.runs, digits.trials)["learning rate"]
    shared = one.numbers["rise_at_shared_rates"]["shared"]
    assert f"{shared['estimate']:.1f} at the best shared rate ({shared['lr']:.4g}, 1 seed)" in one.sentence


def longer(short, long, times=3):
    runs = [short.runs.assign(variant="epochs=20"), long.runs.assign(variant="epochs=60")]
    runs[1]["run_id"] = "x" + runs[1]["run_id"]
    runs[1]["total_iterations"] = times * runs[0]["total_iterations"].iloc[0]
    return pd.concat(runs, ignore_index=True)


def test_longer_training_that_still_shows_it(digits):
    runs = longer(digits, make_study(DIGITS, seed=4))
    one = explained(runs)["training length"]
    assert one.status == "excluded"
    assert "With 3 times the iterations (epochs=60) the difference is" in one.sentence
    assert "degradation is shown there" in one.sentence
    assert "training length" not in explained(runs, at=1)  # nothing longer, and no curves
    assert judge(runs)[0].next_step.startswith("Repeat it on other data")


def test_longer_training_that_removes_it(digits):
    level = make_study(Truth(dict.fromkeys(DIGITS.train, (0.0, 0.02))))
    one = explained(longer(digits, level))["training length"]
    assert one.status == "not excluded"
    assert "degradation is refuted there" in one.sentence


def test_a_variant_that_differs_otherwise_is_no_longer_training(digits):
    runs = longer(digits, digits).replace({"variant": {"epochs=60": "epochs=60, width=2"}})
    assert "training length" not in explained(runs)


def test_training_that_has_stopped_falling(digits):
    curves = digits.curves.assign(train_error=30.0 + digits.curves["step"] / 1000)
    one = explained(digits.runs, None, curves)["training length"]
    assert "it does not fall any more" in one.sentence
    assert one.status == "open"


def test_nothing_is_explained_away_that_is_not_shown():
    study = make_study(Truth({("plain", 8): (0.3, 0.1), ("plain", 20): (0.3, 0.1)}))
    assert judge(study.runs, trials=study.trials, curves=study.curves)[0].explanations == ()


def test_no_clear_fall_is_told_as_such(digits):
    random = np.random.default_rng(0)
    noise = random.normal(0, 3, len(digits.curves))
    one = explained(digits.runs, None, digits.curves.assign(train_error=30 + noise))["training length"]
    fall = one.numbers["fall"]
    assert fall["low"] < 0 < fall["high"]
    assert f"{'fell' if fall['estimate'] >= 0 else 'rose'} by {abs(fall['estimate']):.1f}"[:9] in one.sentence
    assert ", no clear fall; at the" in one.sentence
