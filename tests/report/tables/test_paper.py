import numpy as np
import pandas as pd
import pytest

from study.report.tables.paper import differences_table, errors_table, shortcuts_table, training_errors_table
from study.report.tables.writer import NOTHING
from study.statistics.interval import mean_interval
from tests.report.frames import Study, diverge
from tests.report.tables.paper_studies import cifar_runs, imagenet_runs


def test_the_papers_figure_stands_beside_a_mean_over_seeds():
    runs = cifar_runs()
    table = errors_table(runs)
    row = table.numbers.set_index("net").loc["resnet-56"]
    mine = mean_interval(runs.loc[runs["net"] == "resnet-56", "final_test_error"])
    assert (row["final_test_error_estimate"], row["final_test_error_n"]) == (mine.estimate, 5)
    assert row["difference"] == pytest.approx(mine.estimate - 6.97)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((mine.low - 6.97, mine.high - 6.97))
    shown = table.shown.set_index("Net").loc["resnet-56"]
    assert shown["Final test error (%)"] == f"{mine.estimate:.2f} ± {mine.sd:.2f} (5)"
    assert (shown["Paper (%)"], shown["Place"]) == ("6.97", "Table 6, error (%)")
    assert shown["Ours minus paper (points)"].startswith(f"{mine.estimate - 6.97:+.2f} (")


def test_110_layers_are_compared_with_the_papers_mean_and_never_its_best():
    runs = cifar_runs()
    table = errors_table(runs)
    row = table.numbers.set_index("net").loc["resnet-110"]
    values = runs.loc[runs["net"] == "resnet-110", "final_test_error"]
    assert row["difference"] == pytest.approx(values.mean() - 6.61)
    assert row["best"] == values.min()
    assert table.shown.set_index("Net").loc["resnet-110", "Paper (%)"] == "6.61 ± 0.16 (5), best 6.43"
    assert "never the best one" in table.caption


def test_what_was_read_off_says_how_well():
    table = errors_table(cifar_runs())
    shown = table.shown.set_index("Net")
    assert shown.loc["plain-56", "Paper (%)"] == "13.26, read off ±0.1"
    assert shown.loc["plain-56", "Place"].startswith("Figure 6")
    assert table.numbers.set_index("net").loc["plain-56", "paper_reading"] == 0.1
    assert "pixels of a figure" in table.caption


def test_a_bound_has_no_difference():
    runs = cifar_runs()
    deep = runs[(runs["architecture"] == "plain") & (runs["depth"] == 56)]
    runs = pd.concat([runs, deep.assign(depth=110, net="plain-110", run_id=deep["run_id"] + "d")])
    for table in (errors_table(runs), training_errors_table(runs)):
        row = table.shown.set_index("Net").loc["plain-110"]
        assert (row["Paper (%)"], row["Ours minus paper (points)"]) == ("> 60", NOTHING)
        assert np.isnan(table.numbers.set_index("net").loc["plain-110", "difference"])


def test_training_errors_stand_beside_figure_6():
    table = training_errors_table(cifar_runs())
    shown = table.shown.set_index("Net")
    assert shown.loc["plain-44", "Paper (%)"] == "2.63, read off ±0.3"
    assert list(shown.loc["resnet-110", ["Paper (%)", "Ours minus paper (points)", "Place"]]) == [NOTHING] * 3
    assert "Best seed (%)" not in shown
    assert "doesn't say how it measures training error" in table.caption


def test_one_seed_has_a_difference_without_an_interval():
    runs = cifar_runs()
    shown = errors_table(runs[runs["seed"] == 0]).shown.set_index("Net")
    assert shown.loc["resnet-20", "Final test error (%)"].endswith(" (1)")
    assert "(" not in shown.loc["resnet-20", "Ours minus paper (points)"]


@pytest.mark.parametrize("dataset", ["digits", "cifar100", "image-folder"])
def test_errors_of_other_data_have_no_column_of_the_papers(dataset):
    runs = cifar_runs().assign(dataset=dataset)
    table = errors_table(runs)
    assert list(table.shown) == ["Net", "Layers", "Parameters", "Final test error (%)", "Best seed (%)"]
    assert not [column for column in table.numbers if "paper" in column]
    assert "1512.03385" not in table.caption
    assert training_errors_table(runs).shown.empty


def test_a_net_that_the_paper_lacks_has_a_dash():
    runs = cifar_runs()
    other = runs.assign(shortcut=runs["shortcut"].where(runs["depth"] != 56, "B"))
    shown = errors_table(other).shown.set_index("Net")
    assert shown.loc["resnet-56", "Paper (%)"] == NOTHING
    assert shown.loc["resnet-44", "Paper (%)"] == "7.17"
    wide = errors_table(runs.assign(width="2.0"))
    assert "Paper (%)" not in wide.shown


def test_ten_crops_are_compared_with_ten_crops():
    runs = imagenet_runs()
    table = errors_table(runs)
    row = table.numbers.set_index("net").loc["resnet-34"]
    mine = runs[runs["net"] == "resnet-34"]
    assert row["final_test_error_estimate"] == pytest.approx(mine["final_test_error_views"].mean())
    assert row["difference"] == pytest.approx(mine["final_test_error_views"].mean() - 25.03)
    assert set(table.shown["Views"]) == {"ten crops"}


def test_the_centre_is_not_compared_with_ten_crops():
    runs = imagenet_runs()
    missing = runs["final_test_error_views"].mask(runs["seed"] == 0)
    for changed in (runs.assign(test_views="center"), runs.assign(final_test_error_views=missing)):
        table = errors_table(changed)
        shown = table.shown.set_index("Net")
        assert shown.loc["plain-34", "Paper (%)"] == "28.54, ten crops"
        assert shown.loc["plain-34", "Ours minus paper (points)"] == NOTHING
        assert "no difference is given" in table.caption
        mine = runs.loc[runs["net"] == "plain-34", "final_test_error"].mean()
        assert table.numbers.set_index("net").loc["plain-34", "final_test_error_estimate"] == pytest.approx(mine)


def test_diverged_runs_are_told():
    runs = cifar_runs()
    study = diverge(Study(runs, pd.DataFrame({"run_id": [], "step": []}), pd.DataFrame()), "plain-56 seed 1")
    assert "Diverged runs (1) count with the error of guessing" in errors_table(study.runs).caption


def test_before_any_result_there_is_no_row():
    runs = cifar_runs().assign(outcome="running")
    assert errors_table(runs).shown.empty
    assert training_errors_table(runs).shown.empty


def test_each_depth_of_both_kinds_has_training_and_test_error():
    runs = cifar_runs()
    table = differences_table(runs)
    assert list(table.numbers["depth"]) == [20, 20, 32, 32, 44, 44, 56, 56]  # 110 layers are residual only
    assert list(table.numbers["error"][:2]) == ["final_train_error", "final_test_error"]
    row = table.numbers[(table.numbers["depth"] == 56) & (table.numbers["error"] == "final_train_error")].iloc[0]
    means = runs[runs["depth"] == 56].groupby("architecture")["final_train_error"].mean()
    assert row["residual_minus_plain_estimate"] == pytest.approx(means["residual"] - means["plain"])
    assert row["residual_minus_plain_low"] < row["residual_minus_plain_estimate"] < row["residual_minus_plain_high"] < 0
    assert row["paper_residual_minus_plain"] == pytest.approx(0.12 - 5.78)


def test_table_2_stands_beside_imagenet():
    table = differences_table(imagenet_runs())
    shown = table.shown[table.shown["Error (%)"] == "test"].set_index("Layers")
    assert list(shown["Paper: plain"]) == ["27.94", "28.54"]
    assert list(shown["Paper: residual"]) == ["27.88", "25.03"]
    assert list(shown["Paper: difference"]) == ["-0.06", "-3.51"]
    assert set(shown["Views"]) == {"ten crops"}
    train = table.shown[table.shown["Error (%)"] == "training"]
    assert set(train["Paper: plain"]) == {NOTHING}
    assert "pixels" not in table.caption.replace("256 pixels", "")


def test_the_centre_crop_is_told_from_ten_crops():
    table = differences_table(imagenet_runs().assign(test_views="center"))
    assert "27.94, ten crops" in set(table.shown["Paper: plain"])
    assert "Views" not in table.shown


def test_plain_nets_stand_beside_each_option_of_the_shortcut():
    table = differences_table(imagenet_runs("AB"))
    assert list(table.shown["Variant"].unique()) == ["shortcut=A", "shortcut=B"]
    test = table.shown[(table.shown["Error (%)"] == "test") & (table.shown["Layers"] == "34")]
    assert list(test["Paper: residual"]) == ["25.03", "24.52"]


def test_differences_of_other_data_have_no_column_of_the_papers():
    shown = differences_table(cifar_runs().assign(dataset="digits")).shown
    assert list(shown) == ["Layers", "Error (%)", "Plain", "Residual", "Residual minus plain"]


def test_a_study_of_one_kind_has_no_such_table():
    runs = cifar_runs()
    assert differences_table(runs[runs["architecture"] == "plain"]).shown.empty
    assert differences_table(runs.iloc[:0]).shown.empty


def test_one_seed_has_no_interval_and_equal_errors_no_sign():
    runs = cifar_runs()
    runs = runs[runs["seed"] == 0].assign(final_train_error=1.0)
    table = differences_table(runs)
    assert set(table.shown.loc[table.shown["Error (%)"] == "training", table.shown.columns[4]]) == {"0.00"}
    assert pd.isna(table.numbers["residual_minus_plain_low"]).all()


def test_options_stand_beside_table_3():
    runs = imagenet_runs("ABC")
    table = shortcuts_table(runs)
    assert list(zip(table.shown["Net"], table.shown["Shortcut"], strict=True)) == [
        ("plain-18", "none"),
        *(("resnet-18", option) for option in "ABC"),
        ("plain-34", "none"),
        *(("resnet-34", option) for option in "ABC"),
    ]
    deep = table.shown[table.shown["Net"] == "resnet-34"].set_index("Shortcut")
    assert list(deep["Paper (%)"]) == ["25.03", "24.52", "24.19"]
    assert list(deep["Place"].str.partition(",")[0]) == ["Table 2", "Table 3", "Table 3"]
    number = table.numbers[(table.numbers["net"] == "resnet-34") & (table.numbers["option"] == "C")].iloc[0]
    mine = runs[(runs["net"] == "resnet-34") & (runs["shortcut"] == "C")]["final_test_error_views"].mean()
    assert number["difference"] == pytest.approx(mine - 24.19)
    assert "Variant" not in table.shown


def test_one_option_is_no_comparison():
    assert shortcuts_table(imagenet_runs("A")).shown.empty
    assert shortcuts_table(cifar_runs()).shown.empty
    assert shortcuts_table(cifar_runs().iloc[:0]).shown.empty


def test_options_of_other_data_have_no_column_of_the_papers():
    table = shortcuts_table(imagenet_runs("AB").assign(dataset="dogs-vs-cats", classes=2))
    assert "Paper (%)" not in table.shown
    assert "1512.03385" not in table.caption
    assert len(table.shown) == 6
