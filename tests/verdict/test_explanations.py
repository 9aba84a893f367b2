import json
from dataclasses import asdict

import numpy as np
import pytest

from study.report.build import _plain
from study.verdict import judge
from tests.report.frames import Truth, make_study


def explained(runs, trials=None, at=0):
    verdict = judge(runs, trials=trials)[at]
    return {one.name: one for one in verdict.explanations if one.architecture == "plain"}


def test_each_explanation_with_its_numbers(digits):
    found = explained(digits.runs, digits.trials)
    assert list(found) == ["overfitting", "learning rate", "training length"]
    assert [one.status for one in found.values()] == ["excluded", "excluded", "open"]
    verdict = judge(digits.runs, trials=digits.trials)[0]
    assert all(one.sentence in verdict.sentences for one in found.values())
    told = json.loads(json.dumps(_plain(asdict(verdict))))["explanations"]
    assert [one["numbers"].keys() for one in told] == [one.numbers.keys() for one in found.values()]


def test_overfitting_is_told_by_depth(digits):
    one = explained(digits.runs)["overfitting"]
    means = (
        digits.runs[digits.runs["architecture"] == "plain"]
        .groupby("depth")[["final_test_error", "final_train_error"]]
        .mean()
    )
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


def test_nothing_is_explained_away_that_is_not_shown():
    study = make_study(Truth({("plain", 8): (0.3, 0.1), ("plain", 20): (0.3, 0.1)}))
    assert judge(study.runs, trials=study.trials)[0].explanations == ()


def test_rates_of_another_study_are_said_to_be_so(digits):
    from datetime import UTC, datetime

    from study.config.command import Command

    runs, at = digits.runs.assign(lr_tuned=False), datetime(2026, 11, 1, tzinfo=UTC)
    taken = Command(at=at, command="study run --grid g.yaml --lr-from other", grid="")
    verdict = judge(runs, commands=[taken])[0]
    rate = next(one for one in verdict.explanations if one.name == "learning rate")
    assert "those that the searches of study other found" in rate.sentence
    assert "not tuned" not in " ".join(verdict.sentences)
    assert "`lr: tune`" not in verdict.next_step
    assert (verdict.rates_from, rate.status) == ("other", "open")
    own = Command(at=at, command="study run --grid g.yaml", grid="")
    assert judge(runs, commands=[taken, own])[0].rates_from == ""  # which runs are whose isn't known
