import pandas as pd

from study.report import Joined
from study.report.build import _results
from study.verdict import judge
from tests.report.frames import unfinish
from tests.report.tables.paper_studies import cifar_runs, imagenet_runs

NONE = pd.DataFrame()


def names(runs, trials=NONE, verdicts=(), curves=NONE):
    return [table.name for table in all_tables(runs, trials, verdicts, curves)]


def all_tables(runs, trials=NONE, verdicts=(), curves=NONE):
    (part,) = _results(Joined("s", runs, curves, trials), verdicts)
    return part.tables


def test_a_study_has_the_tables_that_it_has_rows_for(digits):
    (verdict,) = judge(digits.runs)
    assert names(digits.runs, digits.trials, [verdict]) == [
        "results", "pairs", "plain-residual", "errors", "architectures", "rates", "trials", "runs",
    ]  # fmt: skip
    assert "training-errors" in names(cifar_runs())
    assert "shortcuts" in names(imagenet_runs("AB"))
    assert "plain-residual" not in names(digits.runs[digits.runs["architecture"] == "plain"])


def test_captions_say_what_and_when():
    for runs in (cifar_runs(), imagenet_runs("ABC")):
        tables = {table.name: table for table in all_tables(runs)}
        for name in ("results", "plain-residual", "errors"):
            assert "after the last iteration" in tables[name].caption
            assert "standard deviation over seeds" in tables[name].caption
        assert all(table.caption.endswith(".") for table in tables.values())


def test_before_any_result_there_are_runs_alone(digits):
    waiting = unfinish(digits, "plain-8 seed 0", "running").runs.iloc[:1]
    assert names(waiting, curves=digits.curves) == ["unfinished", "architectures", "runs"]
