import math

import numpy as np
import pandas as pd
import pytest

from study.report.searches import search_section
from study.report.tables.searches import point_words
from study.verdict import Rule

from .frames import Truth, make_study, make_trial

pytestmark = pytest.mark.usefixtures("all_sketched")

NETS = [("plain", 8), ("plain", 20), ("residual", 8), ("residual", 20)]
ERRORS = {
    ("plain", 8): {0.001: 5.0, 0.01: 1.0, 0.1: 1.5, 1.0: 30.0},
    ("plain", 20): {0.001: 40.0, 0.01: 5.0, 0.1: 1.0},
    ("residual", 8): {0.001: 5.0, 0.01: 1.0, 0.1: 1.0},
    ("residual", 20): {0.001: 4.0, 0.01: 0.5, 0.1: 0.5},
}


def trials_of(errors, **others):
    rows = []
    for (architecture, depth), found in errors.items():
        best = min(found, key=lambda lr: (math.inf if isinstance(found[lr], str) else found[lr], lr))
        for number, (lr, error) in enumerate(found.items()):
            result = {"state": error} if isinstance(error, str) else {"error": error}
            rows.append(make_trial(architecture, depth, number, lr, **result, **{"chosen": lr == best, **others}))
    return pd.DataFrame(rows)


def runs_of(nets=NETS, **changes):
    truth = {net: (9.0 if net == ("plain", 20) else 1.0, 0.1) for net in nets}
    return make_study(Truth(truth, trials=0)).runs.assign(**changes)


@pytest.fixture
def told(tmp_path):
    def tell(errors=ERRORS, runs=None, smallest=0.5, **others):
        runs = runs_of(list(errors)) if runs is None else runs
        section = search_section(runs, trials_of(errors, **others), Rule(smallest), tmp_path)
        return " ".join(section.part.sentences), {table.name.split("-width")[0]: table for table in section.part.tables}

    return tell


def test_own_best_rates_and_shared_rates(told):
    text, _ = told()
    assert (
        "Each at its own rate of least training error, plain-20 and plain-8 end with the same training error "
        "(1.00% at 0.1 against 1.00% at 0.01; trials of 1 seed)." in text
    )
    assert (
        "At 2 of 3 shared rates, plain-20 ends with more training error than plain-8 (by 0.5 points or more at all "
        "of them); the exception is 0.1 (-0.50 points)." in text
    )
    assert "resnet-20 ends with 0.50 points less training error than resnet-8 (0.50% at 0.01 against" in text
    assert (
        "At none of 3 shared rates does resnet-20 end with more training error than resnet-8: 0.001 (-1.00 points), "
        "0.01 (-0.50 points) and 0.1 (-0.50 points)." in text
    )


def test_small_differences_are_called_small(told):
    text, _ = told(ERRORS | {("plain", 20): {0.001: 5.1, 0.01: 1.2, 0.1: 2.5}})
    assert "plain-20 ends with 0.20 points more training error than plain-8 (1.20% at 0.01 against 1.00% at" in text
    assert "seed), below the smallest effect of interest, 0.5 points." in text
    assert (
        "At all 3 shared rates, plain-20 ends with more training error than plain-8 (by 0.5 points or more at 1)"
        in (text)
    )
    text, _ = told({("plain", 8): {0.01: 1.0}, ("plain", 20): {0.01: 1.2}})
    assert (
        "At 1 of 1 shared rate, plain-20 ends with more training error than plain-8 (by 0.5 points or more at none)"
        in (text)
    )


def test_pruned_and_diverged_trials(told):
    lost = {0.001: "pruned", 0.01: "diverged", 0.1: 4.0, 1.0: "diverged"}
    text, tables = told({("plain", 8): {0.001: 5.0, 0.01: 1.0, 0.1: 1.5, 1.0: "diverged"}, ("plain", 20): lost})
    assert "At all 2 shared rates, plain-20 ends with more" in text
    assert "Not compared: 1, where both diverged; 0.001, where one of the two was pruned." in text
    assert "A pruned trial has no final error: it counts as not better" in text
    shown = tables["good-rates"].shown.set_index("Net")
    assert list(shown.loc["plain-20", ["Trials", "Pruned", "Diverged"]]) == ["4", "1", "2"]
    text, _ = told({("plain", 8): {0.01: 1.0}, ("plain", 20): {0.01: "diverged"}})
    assert "plain-20 has no trial that came to its end without diverging, so plain-20 and plain-8 can't be" in text
    assert "At 1 of 1 shared rate, plain-20 ends with more training error" in text
    text, _ = told({("plain", 8): {0.01: "diverged"}, ("plain", 20): {0.01: "diverged"}})
    assert "At no rate can plain-20 be compared with plain-8. Not compared: 0.01, where both diverged." in text
    assert "nan" not in text


def test_the_shallower_diverged(told):
    text, _ = told({("plain", 8): {0.01: 1.0, 0.1: "diverged"}, ("plain", 20): {0.01: 2.0, 0.1: 3.0}})
    assert "the exception is 0.1 (-87.0 points, the shallower diverged)" in text


def test_good_ranges(told):
    text, tables = told()
    assert "Training error stays within 1 point of a net's best over 1.3 decades for plain-8 (0.0056 to 0.1), " in text
    assert "at least 0.2 decades for plain-20 (0.056 to 0.1 or more)" in text
    assert "at least 1.3 decades for resnet-20 (0.0052 to 0.1 or more)." in text
    shown = tables["good-rates"].shown.set_index("Net")
    assert list(shown.loc["resnet-20", ["Best rate", "Training error (%)", "Decades"]]) == [
        "0.01",
        "0.50",
        "at least 1.3",
    ]
    text, tables = told(smallest=2.0)
    assert "stays within 2 points of" in text
    assert "error within 2 points of the best" in tables["good-rates"].caption
    text, tables = told({("plain", 8): {0.01: "pruned", 0.1: 1.0, 1.0: "pruned"}})
    assert tables["good-rates"].shown["Good range"].iloc[0] == "0.1 alone"


def test_choices_of_the_rate(told):
    text, tables = told()
    assert "Training error of plain-20 minus that of plain-8, in points (95% interval): 8." in text
    assert "-0.50 at the best shared rate (0.1) and -0.50 at the paper's rate (0.1); its sign depends on the" in text
    table = tables["robustness"]
    assert list(table.shown["Rates"]) == ["tuned for each net", "best shared: 0.1", "the paper's: 0.1"]
    assert list(table.shown["Rise in plain nets"]) == ["shown", *["no claim: one seed a net"] * 2]
    assert list(table.shown["Seeds"]) == ["3", "1", "1"]
    assert table.shown["Plain nets"].iloc[1] == "-0.50"
    assert table.numbers["plain_estimate"].iloc[1] == pytest.approx(-0.5)
    text, _ = told(ERRORS | {("plain", 20): {0.001: 40.0, 0.01: 5.0, 0.1: 3.0}})
    assert "; positive under each choice." in text


def test_a_part_of_the_training_is_told(told):
    text, tables = told(step=55)
    assert "Trials are trainings of their own for 25% of the runs' iterations, with seed 1000" in text
    assert list(tables["robustness"].shown["Trained for"])[1:] == ["25% of the runs' iterations"] * 2


def test_both_winners(told, tmp_path):
    text, _ = told()
    assert "differ by no more than a factor of 2 for any net" in text
    trials = trials_of(ERRORS)
    trials.loc[(trials["net"] == "plain-20") & (trials["lr"] == 0.01), "final_validation_error"] = 0.0
    section = search_section(runs_of(), trials, Rule(), tmp_path)
    assert any("more than a factor of 2 for plain-20 (0.1 and 0.01)." in one for one in section.part.sentences)
    (table,) = [table for table in section.part.tables if table.name == "winners"]
    row = table.shown.set_index("Net").loc["plain-20"]
    assert list(row[["Chosen", "A (loss)", "B (validation)", "Factor"]]) == ["0.1", "0.1", "0.01", "10"]
    assert row["Training error at A, B (%)"] == "1.00, 5.00"
    assert "that of least training loss" in table.caption
    none = search_section(runs_of(), trials.assign(final_validation_error=np.nan), Rule(), tmp_path)
    assert {table.name for table in none.part.tables} == {"good-rates", "expected-best", "robustness"}
    assert not any("validation" in one for one in none.part.sentences)


def test_what_a_search_leaves_open(told):
    text, tables = told(edge="highest")
    assert (
        "The rate chosen for plain-8, plain-20, resnet-8 and resnet-20 is the highest tried: a higher one may" in text
    )
    text, _ = told(chosen=False)
    assert "No search has ended: what is said is of the trials so far." in text
    text, tables = told(ERRORS | {("plain", 20): {0.001: 40.0, 0.01: "running"}})
    assert tables["good-rates"].shown.set_index("Net").loc["plain-20", "Note"] == "1 not ended"
    text, tables = told(low=0.01, high=0.1)
    assert set(tables["good-rates"].shown["Note"]) == {"widened by 1", "widened by 2"}
    assert "Note" not in told()[1]["good-rates"].shown


def test_a_rate_chosen_by_something_else_is_told(told, tmp_path):
    trials = trials_of(ERRORS, objective="validation_error")
    trials["chosen"] = trials["lr"] == 0.001
    section = search_section(runs_of(), trials, Rule(), tmp_path)
    assert any(
        one.startswith(
            "The rate chosen for plain-8, plain-20, resnet-8 and resnet-20, by validation error, is more than"
        )
        for one in section.part.sentences
    )


def test_runs_worse_than_another_rate_tried_are_told(told, tmp_path):
    """The chosen rate trained well with the tuning seed and badly with the grid's."""
    text, _ = told()
    assert "The search may have" not in text  # 9% of plain-20, but at the rate that is best among its trials
    trials = trials_of(ERRORS).assign(chosen=lambda frame: frame["lr"] == 0.01)
    text = " ".join(search_section(runs_of(), trials, Rule(), tmp_path).part.sentences)
    assert (
        "The search may have chosen a wrong rate for plain-20 (9.10% on average at 0.01, a trial at 0.1 1.00%): the "
        "runs end 0.5 points or more of training error above a trial at another rate." in text
    )
    text = " ".join(search_section(runs_of(), trials, Rule(9.0), tmp_path).part.sentences)
    assert "The search may have" not in text


def test_other_fields_are_named(tmp_path):
    trials = trials_of(ERRORS)
    trials["point"] = [f'{{"lr": {lr}, "weight_decay": {lr / 100}}}' for lr in trials["lr"]]
    section = search_section(runs_of(), trials, Rule(), tmp_path)
    text = " ".join(section.part.sentences)
    assert "Besides the rate, weight decay varies between trials" in text
    assert "At 2 of 3 shared points, plain-20" in text
    assert "the exception is 0.1 with weight decay 0.001 (-0.50 points)" in text
    assert "without interpolation" in text
    assert "The points differ in weight decay too." in section.part.pictures[0].caption
    assert point_words({"lr": 0.1, "momentum": 0.9}, ("momentum",)) == "0.1 with momentum 0.9"


def test_one_depth_or_no_trials(told, tmp_path):
    text, tables = told({("plain", 8): ERRORS["plain", 8]})
    assert "shared" not in text
    assert "robustness" not in tables
    assert search_section(runs_of(), pd.DataFrame(), Rule(), tmp_path) is None


def test_variants_have_files_of_their_own(tmp_path):
    section = search_section(runs_of(variant="width=2"), trials_of(ERRORS, variant="width=2"), Rule(), tmp_path)
    names = ("good-rates", "winners", "expected-best", "robustness")
    assert {table.name for table in section.part.tables} == {f"{name}-width-2" for name in names}
    assert (tmp_path / "rates-width-2.svg").exists()
    assert section.part.pictures[0].variant == "width=2"


def test_neighbouring_rates_that_disagree_are_told(told):
    rough = ERRORS | {("plain", 20): {0.001: 4.0, 0.003: 60.0, 0.01: 5.0, 0.1: 1.0}}
    text, _ = told(rough)
    assert (
        "Neighbouring rates disagree wildly for plain-20 (60.0% at 0.003, but 4.00% at the next rate, 0.001, farther "
        "from its best): chance has a part" in text
    )
    assert "disagree wildly" not in told()[0]


def test_the_expected_best_of_fewer_trials(told):
    _, tables = told(ERRORS | {("plain", 20): {0.001: 40.0, 0.01: "pruned", 0.1: 1.0}})
    table = tables["expected-best"]
    shown = table.shown.set_index("Net")
    assert list(shown) == ["1 trial", "2 trials", "3 trials", "4 trials"]
    assert shown.loc["plain-8", "1 trial"] == "9.38"
    assert shown.loc["plain-20", "1 trial"] == "27.0"  # the pruned one counts as the worst
    assert shown.loc["plain-20", "4 trials"] == "\u2013"
    assert "Dodge et al. 2019" in table.caption
    assert "expected-best" not in told({net: {0.01: "pruned"} for net in NETS})[1]
