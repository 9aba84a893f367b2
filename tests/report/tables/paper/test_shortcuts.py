import pytest

from study.report.tables.paper import shortcuts_table
from tests.report.tables.paper.studies import cifar_runs, imagenet_runs


def test_options_stand_beside_table_3():
    runs = imagenet_runs("ABC")
    table = shortcuts_table(runs)
    assert list(zip(table.shown["Net"], table.shown["Shortcut"], strict=True)) == [
        ("plain-18", "none"), *(("resnet-18", option) for option in "ABC"),
        ("plain-34", "none"), *(("resnet-34", option) for option in "ABC"),
    ]  # fmt: skip
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


def test_other_data_have_no_column_of_the_papers():
    table = shortcuts_table(imagenet_runs("AB").assign(dataset="dogs-vs-cats", classes=2))
    assert "Paper (%)" not in table.shown
    assert "1512.03385" not in table.caption
    assert len(table.shown) == 6
