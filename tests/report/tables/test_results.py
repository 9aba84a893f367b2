import numpy as np
import pandas as pd
import pytest

from study.report import Joined, build_report, results_table
from study.report.tables.results import rates_table, results, runs_table, trials_table, unfinished_table
from study.report.tables.writer import NOTHING, write_table
from tests.report.conftest import DIGITS
from tests.report.frames import Study, diverge, unfinish, with_budget
from tests.report.test_build import Page


def test_results_are_means_over_seeds(digits):
    table = results_table(digits.runs).set_index("net")
    mine = digits.runs[digits.runs["net"] == "plain-56"]
    row = table.loc["plain-56"]
    assert list(table.index[:4]) == ["plain-8", "plain-20", "plain-32", "plain-56"]
    assert row["final_train_error_estimate"] == pytest.approx(mine["final_train_error"].mean())
    assert row["final_train_error_sd"] == pytest.approx(mine["final_train_error"].std())
    gap = mine["final_test_error"] - mine["final_train_error"]
    assert row["generalisation_gap_estimate"] == pytest.approx(gap.mean())
    assert (row["runs"], row["parameters"], row["depth"]) == (3, 855_770, 56)


def test_results_count_what_ended(digits):
    study = unfinish(diverge(digits, "plain-56 seed 1"), "plain-56 seed 2", "failed")
    row = results_table(study.runs).set_index("net").loc["plain-56"]
    assert (row["runs"], row["diverged"], row["final_train_error_n"]) == (2, 1, 2)
    shown = results(study.runs).shown.set_index("Net").loc["plain-56"]
    assert shown["Final training error (%)"].endswith("(2)")


def test_a_net_of_which_some_seeds_failed_has_a_median(digits):
    runs = diverge(digits, "plain-56 seed 1").runs
    table = results(runs)
    shown = table.shown.set_index("Net")
    own = runs[runs["net"] == "plain-56"]
    assert shown.loc["plain-56", "Failed"] == "1 of 3"
    assert float(shown.loc["plain-56", "Median training error (%)"]) == round(own["final_train_error"].median(), 1)
    assert float(shown.loc["plain-56", "Median test error (%)"]) == round(own["final_test_error"].median(), 1)
    assert (shown.loc["plain-8", ["Failed", "Median training error (%)", "Median test error (%)"]] == NOTHING).all()
    assert "a mean is of neither" in table.caption
    all_failed = runs.assign(final_train_error=runs["final_train_error"].mask(runs["net"] == "plain-56", 90.0))
    for other in (digits.runs, all_failed):
        assert "Failed" not in results(other).shown
        assert "median" not in results(other).caption


def test_one_seed_is_shown_without_a_deviation(digits):
    shown = results(digits.runs[digits.runs["seed"] == 0]).shown
    assert shown["Final training error (%)"].str.endswith(" (1)").all()
    assert not shown["Final training error (%)"].str.contains("±").any()


def test_a_rate_at_the_end_of_its_range_is_marked(digits):
    runs = digits.runs.assign(lr=0.05)
    trials = digits.trials.copy()
    edge = float(trials.loc[trials["net"] == "plain-56", "lr"].max())
    runs.loc[runs["net"] == "plain-56", "lr"] = edge
    shown = rates_table(runs, trials).shown.set_index("Net")
    assert shown.loc["plain-56", "Found"] == "at the end of the range"
    assert shown.loc["plain-8", "Found"] == "tuned"
    assert rates_table(runs.assign(lr_tuned=False), pd.DataFrame()).shown["Found"].eq("set").all()


def test_a_longer_training_has_the_rate_of_its_nets_search(digits):
    runs = with_budget(digits, DIGITS).runs.assign(lr=0.1)
    shown = rates_table(runs, digits.trials).shown.set_index(["Variant", "Net"])
    assert tuple(shown.loc[("budget=3", "plain-56"), ["Found", "Trials"]]) == ("tuned at budget 1", "8")
    assert shown.loc[("budget=3", "plain-56"), "Range tried"] == shown.loc[("", "plain-56"), "Range tried"]
    assert shown.loc[("", "plain-56"), "Found"] == "tuned"
    low = rates_table(runs.assign(lr=1e-9), digits.trials).shown
    assert set(low["Found"]) == {"at the end of the range", "at the end of the range at budget 1"}
    given = rates_table(runs.assign(lr_tuned=runs["variant"] == ""), digits.trials).shown
    assert set(given.loc[given["Variant"] == "budget=3", "Found"]) == {"set"}


def test_runs_and_trials_have_a_row_each(digits):
    assert list(runs_table(digits.runs).shown["Run id"]) == list(digits.runs["run_id"])
    assert len(trials_table(digits.trials).shown) == len(digits.trials)
    assert trials_table(pd.DataFrame()).shown.empty


def test_trials_of_several_seeds_are_counted_once(digits):
    again = digits.trials.assign(seed=1001)
    trials = pd.concat([digits.trials, again], ignore_index=True)
    assert list(rates_table(digits.runs, trials).shown["Trials"]) == ["8"] * 8
    shown = trials_table(trials).shown
    assert list(shown["Seed"][:4]) == ["1000", "1001"] * 2
    assert list(shown["Trial"][:4]) == ["0", "0", "1", "1"]


def test_trials_show_whatever_else_was_searched(digits):
    points = [f'{{"lr": {lr}, "weight_decay": {lr / 1000}}}' for lr in digits.trials["lr"]]
    shown = trials_table(digits.trials.assign(point=points)).shown
    assert shown["Weight decay"].iloc[0] == f"{digits.trials['lr'].iloc[0] / 1000:.4g}"
    assert "Weight decay" not in trials_table(digits.trials).shown


def test_before_any_result_the_table_is_empty(digits):
    waiting = unfinish(digits, "plain-8 seed 0", "running").runs.iloc[:1]
    assert results(waiting).shown.empty
    assert rates_table(waiting, pd.DataFrame()).shown.empty


def test_variants_get_a_column(digits):
    runs = pd.concat([digits.runs.assign(variant="width=1"), digits.runs.assign(variant="width=2")])
    assert list(results(runs).shown["Variant"].unique()) == ["width=1", "width=2"]


def test_files_hold_all_digits_and_escape(digits, tmp_path):
    runs = digits.runs.assign(net=digits.runs["net"].str.replace("plain-8", "a|b_%&"))
    table = results(runs)
    write_table(table, tmp_path)
    back = pd.read_csv(tmp_path / "results.csv")
    estimates = "final_train_error_estimate"
    assert np.array_equal(back[estimates], table.numbers[estimates])
    assert r"a\|b\_%\&" in (tmp_path / "results.md").read_text(encoding="utf-8")
    latex = (tmp_path / "results.tex").read_text(encoding="utf-8")
    assert r"a\textbar{}b\_\%\&" in latex
    assert r"\toprule" in latex
    assert r"$\pm$" in latex
    assert latex.isascii()


@pytest.fixture
def running(digits: Study) -> Study:
    study = unfinish(digits, "plain-56 seed 2", "running")
    mine = study.runs["name"] == "plain-56 seed 2"
    runs = study.runs.copy()
    runs.loc[mine, "step"] = 110
    curves = study.curves[(study.curves["run_id"] != runs.loc[mine, "run_id"].item()) | (study.curves["step"] <= 110)]
    return Study(runs, curves, study.trials)


def test_how_far_each_has_come(running: Study) -> None:
    table = unfinished_table(running.runs, running.curves)
    last = running.curves[running.curves["run_id"] == table.numbers["run_id"].item()].iloc[-1]
    assert table.shown.iloc[0].tolist() == [
        "plain-56 seed 2",
        "50%",
        "110",
        f"{last['train_error']:.2f}",
        f"{last['test_error']:.2f}",
    ]


def test_one_that_has_logged_nothing_yet(running: Study) -> None:
    runs = running.runs.assign(total_iterations=0, step=0)
    table = unfinished_table(runs, running.curves.iloc[:0])
    assert table.shown.iloc[0].tolist() == ["plain-56 seed 2", NOTHING, "0", NOTHING, NOTHING]


@pytest.mark.usefixtures("sketched")
def test_the_page_has_them_as_long_as_there_are_any(running: Study, digits: Study, tmp_path) -> None:
    for study, there in ((running, True), (digits, False)):
        index = build_report(Joined("s", study.runs, study.curves, study.trials.iloc[:0]), tmp_path / "out")
        page = Page(index.read_text(encoding="utf-8"))
        assert ("table-unfinished" in page.ids) is there
        assert ("plain-56 seed 2: still running" in page.text) is there
