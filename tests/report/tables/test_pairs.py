import pandas as pd
import pytest

from study.report.tables.pairs import PAIR_COLUMNS, pairs_table
from study.report.tables.writer import write_table
from study.verdict import judge
from tests.report.frames import Truth, make_study


@pytest.fixture(scope="module")
def found(digits):
    (verdict,) = judge(digits.runs)
    return [*verdict.plain.train, *verdict.plain.test]


def test_pairs_show_train_and_test(found):
    table = pairs_table(found)
    assert list(table.numbers["p_worse"]) == [pair.p_worse for pair in found]
    assert set(table.shown["Final error"]) == {"training", "test"}
    assert table.shown["Deep minus shallow (points)"].iloc[2].startswith("3")
    assert table.shown["P(deeper worse)"].iloc[2] == "1.00 (0.29 to 1.00)"
    assert table.shown["p (permutation)"].iloc[2] == "0.10"


def test_the_csv_has_everything(found, tmp_path):
    write_table(pairs_table(found), tmp_path)
    back = pd.read_csv(tmp_path / "pairs.csv")
    assert list(back.columns) == PAIR_COLUMNS
    assert back["bootstrap_low"].iloc[0] == pytest.approx(found[0].bootstrap.low)
    assert back["equivalence_p_below"].iloc[0] == pytest.approx(found[0].equivalence.p_below)
    assert set(back["bootstrap_method"]) == {"percentile"}


def test_undecided_pairs_have_a_number_of_seeds():
    (verdict,) = judge(make_study(Truth({("plain", 8): (1, 0.5), ("plain", 20): (1.6, 0.8)})).runs)
    table = pairs_table(verdict.plain.train)
    assert table.shown["Seeds to settle"].iloc[0] == str(verdict.plain.train[0].needed)
    assert verdict.plain.train[0].needed > 3


def test_one_seed_shows_dashes(digits):
    (verdict,) = judge(digits.runs[digits.runs["seed"] == 0])
    shown = pairs_table(verdict.plain.train).shown
    for column in ("95% interval", "Bootstrap", "p", "p of worse", "p (permutation)", "Seeds to settle"):
        assert set(shown[column]) == {"\u2013"}
    assert pairs_table([]).shown.empty
