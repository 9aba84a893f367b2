import math

import numpy as np
import pandas as pd
import pytest

from study.statistics.welch import difference, difference_in_differences
from study.verdict import selection as c
from study.verdict.findings import find
from study.verdict.rate_sensitivity import as_runs, best_shared, choices, paper_point
from study.verdict.rule import Rule
from study.verdict.searches import by_trial
from study.verdict.shortcut_effect import shortcut_effects
from tests.report.frames import Truth, make_study, make_trial

RATES = (0.01, 0.1, 1.0)
# Errors of the trials by net and rate; of two seeds, 0.1 points to either side.
ERRORS = {
    ("plain", 8): (5.0, 2.0, 1.0),
    ("plain", 20): (6.0, 5.0, 50.0),
    ("residual", 8): (4.0, 2.0, 1.0),
    ("residual", 20): (4.0, 2.5, 2.0),
}


def seeds_of(count=2, **changes):
    rows = []
    for (architecture, depth), errors in ERRORS.items():
        for number, (lr, error) in enumerate(zip(RATES, errors, strict=True)):
            for seed in range(count):
                shift = 0.1 * (2 * seed - 1) if count == 2 else 0.0
                rows.append(make_trial(architecture, depth, number, lr, seed=1000 + seed, error=error + shift))
    return pd.DataFrame(rows).assign(**changes)


@pytest.fixture(scope="module")
def runs():
    return make_study(
        Truth({("plain", 8): (1, 0.1), ("plain", 20): (9, 0.1), ("residual", 8): (1, 0.1), ("residual", 20): (1, 0.1)})
    ).runs


def chosen(runs, seeds, smallest=0.5):
    return {one.name: one for one in choices(runs, seeds, by_trial(seeds), Rule(smallest))}


def test_the_three_choices(runs):
    found = chosen(runs, seeds_of())
    assert list(found) == ["tuned", "shared", "paper"]
    assert [one.point for one in found.values()] == [None, {"lr": 0.1}, {"lr": 0.1}]
    assert [(one.shallow, one.deep, one.part) for one in found.values()] == [(8, 20, 1.0)] * 3
    assert found["paper"].rises["plain"].estimate == pytest.approx(3.0)
    assert found["paper"].rises["residual"].estimate == pytest.approx(0.5)
    assert found["paper"].contrast.estimate == pytest.approx(2.5)
    assert (found["paper"].status, found["paper"].judged) == ("shown", "plain")


def test_intervals_are_those_of_the_verdict(runs):
    one = chosen(runs, seeds_of())["paper"]
    cells = [np.array([middle - 0.1, middle + 0.1]) for middle in (5.0, 2.0, 2.5, 2.0)]
    assert one.rises["plain"][:4] == pytest.approx(difference(*cells[:2], 100 / 1293)[:4])
    assert one.contrast[:4] == pytest.approx(difference_in_differences(*cells, 100 / 1293)[:4])


def test_tuned_is_what_the_rule_says_of_the_runs(runs):
    one = chosen(runs, seeds_of())["tuned"]
    findings = find(runs, c.counted(runs), Rule())
    assert one.status == findings[0].status == "shown"
    assert one.rises["plain"] == findings[0].train[0].difference
    assert one.contrast == shortcut_effects(c.counted(runs), findings).headline.contrast


def test_one_seed_gives_numbers_without_a_claim(runs):
    one = chosen(runs, seeds_of(1))["paper"]
    assert (one.status, one.reason) == ("", "one seed")
    assert one.rises["plain"].estimate == pytest.approx(3.0)
    assert math.isnan(one.rises["plain"].low)
    assert math.isnan(one.contrast.low)


def test_the_best_shared_point_is_one_that_no_net_pruned():
    seeds = seeds_of()
    lost = (seeds["net"] == "plain-20") & (seeds["lr"] == 0.1)
    seeds.loc[lost, ["state", "final_train_error"]] = ["pruned", np.nan]
    assert best_shared(by_trial(seeds_of())) == '{"lr": 0.1}'
    assert best_shared(by_trial(seeds)) == '{"lr": 0.01}'
    assert best_shared(by_trial(seeds_of(state="pruned", final_train_error=np.nan))) is None
    assert best_shared(by_trial(seeds_of(state="diverged", final_train_error=90.0))) is None
    assert best_shared(by_trial(seeds[seeds["net"] == "plain-8"])) is None  # shared with nobody


def test_at_a_pruned_rate_there_is_no_number(runs):
    seeds = seeds_of()
    lost = (seeds["net"] == "plain-20") & (seeds["lr"] == 0.1)
    seeds.loc[lost, ["state", "final_train_error"]] = ["pruned", np.nan]
    one = chosen(runs, seeds)["paper"]
    assert math.isnan(one.rises["plain"].estimate)
    assert math.isnan(one.contrast.estimate)
    assert (one.status, one.reason) == ("", "no result")
    assert one.rises["residual"].estimate == pytest.approx(0.5)


def test_a_diverged_trial_counts_with_the_error_of_guessing(runs):
    seeds = seeds_of()
    lost = (seeds["net"] == "plain-20") & (seeds["lr"] == 0.1)
    seeds.loc[lost, ["state", "final_train_error", "step"]] = ["diverged", 90.0, 7]
    one = chosen(runs, seeds)["paper"]
    assert one.rises["plain"].estimate == pytest.approx(88.0)
    assert one.part == 1.0  # not of the trial that stopped


def test_shortened_trials(runs):
    found = chosen(runs, seeds_of(step=55))
    assert (found["tuned"].part, found["paper"].part) == (1.0, 0.25)


def test_the_paper_s_rate_where_other_fields_vary():
    first = make_trial("plain", 8, 0, 0.1, point='{"lr": 0.1, "momentum": 0.9}')
    again = make_trial("plain", 20, 0, 0.1, point='{"momentum": 0.9, "lr": 0.1}')
    other = make_trial("plain", 8, 1, 0.1, point='{"lr": 0.1, "momentum": 0.8}')
    trials = by_trial(pd.DataFrame([other, first, again]))
    assert paper_point(trials) == '{"lr": 0.1, "momentum": 0.9}'
    assert paper_point(trials[trials["lr"] > 0.2]) is None


def test_one_architecture_and_nothing_to_compare(runs):
    seeds = seeds_of()
    plain = chosen(runs[runs["architecture"] == "plain"], seeds[seeds["architecture"] == "plain"])
    assert (plain["paper"].contrast, list(plain["paper"].rises)) == (None, ["plain"])
    residual = chosen(runs[runs["architecture"] == "residual"], seeds[seeds["architecture"] == "residual"])
    assert residual["paper"].judged == "residual"
    assert chosen(runs[runs["depth"] == 8], seeds[seeds["depth"] == 8]) == {}
    # Depths that only plain nets have: their own ends, and nothing to take a difference from.
    mixed = (seeds["architecture"] == "plain") | (seeds["depth"] == 8)
    one = chosen(runs, seeds[mixed])["paper"]
    assert (one.shallow, one.deep) == (8, 20)
    assert one.rises["plain"].estimate == pytest.approx(3.0)
    assert math.isnan(one.contrast.estimate)


def test_no_number_of_an_unfair_comparison(runs):
    longer = runs.assign(total_iterations=np.where(runs["net"] == "plain-20", 440, 220))
    one = chosen(longer, seeds_of())["tuned"]
    assert "plain" not in one.rises
    assert (one.contrast, one.status, one.reason) == (None, "", "unequal training")


def test_trials_as_runs_say_what_the_runs_say_of_the_data(runs):
    seeds = seeds_of()
    trials = by_trial(seeds)
    kept = as_runs(seeds, trials[trials["lr"] == 1.0], runs)
    assert len(kept) == 8
    assert set(kept["lr"]) == {1.0}
    assert set(kept["train_images"]) == {1293}
    assert set(kept["seed"]) == {1000, 1001}
