import pytest

from study.report.tables.paper import architectures_table
from study.report.tables.results import NOTHING
from tests.report.tables.paper.studies import cifar_runs, imagenet_runs


def test_sizes_stand_beside_table_6():
    runs = cifar_runs().assign(parameters=853_018)
    table = architectures_table(runs)
    assert list(table.shown["Net"]) == [*(f"plain-{d}" for d in (20, 32, 44, 56)),
                                        *(f"resnet-{d}" for d in (20, 32, 44, 56, 110))]  # fmt: skip
    row = table.shown.set_index("Net").loc["plain-56"]
    assert row["Paper: parameters"] == "0.85 million"
    assert row["Parameters against paper"] == "+0.4%"
    assert (row["Blocks a stage"], row["Channels"], row["Side (pixels)"]) == ("9, 9, 9", "16, 32, 64", "32, 16, 8")
    assert not [column for column in table.shown if "multiply-adds" in column and "Paper" in column]
    percent = table.numbers.set_index("net").loc["plain-56", "parameters_difference_percent"]
    assert percent == pytest.approx(100 * (853_018 / 850_000 - 1))


def test_multiply_adds_stand_beside_table_1():
    table = architectures_table(imagenet_runs("AB").assign(multiply_adds=1_814_073_344))
    row = table.shown[(table.shown["Net"] == "resnet-18") & (table.shown["Shortcut"] == "B")].iloc[0]
    assert (row["Multiply-adds"], row["Paper: multiply-adds"]) == ("1,814,073,344", "1.8 billion")
    assert row["Multiply-adds against paper"] == "+0.8%"
    assert row["Side (pixels)"] == "56, 28, 14, 7"
    assert "Paper: parameters" not in table.shown
    assert "stride" in table.caption


def test_each_net_stands_once_with_what_tells_it_from_others():
    runs = cifar_runs().assign(dataset="digits")
    assert not {"Width", "Shortcut"} & set(architectures_table(runs).shown)
    shown = architectures_table(imagenet_runs("ABC")).shown
    assert len(shown) == 2 + 6
    assert "1512.03385" not in architectures_table(runs).caption


def test_a_run_whose_size_is_not_known_yet_is_left_out():
    runs = cifar_runs()
    assert architectures_table(runs.assign(parameters=0)).shown.empty
    assert len(architectures_table(runs[runs["net"] == "plain-20"].assign(outcome="running")).shown) == 1


def test_unknown_nets_have_dashes():
    shown = architectures_table(cifar_runs().assign(net="<b>|_", dataset="digits")).shown
    assert list(shown.iloc[0][["Block", "Blocks a stage", "Channels", "Side (pixels)"]]) == [NOTHING] * 4
