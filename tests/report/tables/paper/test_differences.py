import pandas as pd
import pytest

from study.report.tables.paper import differences_table
from study.report.tables.results import NOTHING
from tests.report.tables.paper.studies import cifar_runs, imagenet_runs


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


def test_other_data_have_no_column_of_the_papers():
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
