import pytest

from study.report import Joined, build_report
from study.report.tables.results import unfinished_table
from study.report.tables.writer import NOTHING
from tests.report.frames import Study, unfinish
from tests.report.test_build import Page


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
        "plain-56 seed 2", "50%", "110", f"{last['train_error']:.2f}", f"{last['test_error']:.2f}"
    ]  # fmt: skip


def test_one_that_has_logged_nothing_yet(running: Study) -> None:
    runs = running.runs.assign(total_iterations=0, step=0)
    table = unfinished_table(runs, running.curves.iloc[:0])
    assert table.shown.iloc[0].tolist() == ["plain-56 seed 2", NOTHING, "0", NOTHING, NOTHING]


def test_the_page_has_them_as_long_as_there_are_any(running: Study, digits: Study, tmp_path) -> None:
    for study, there in ((running, True), (digits, False)):
        index = build_report(Joined("s", study.runs, study.curves, study.trials), tmp_path / "out")
        page = Page(index.read_text(encoding="utf-8"))
        assert ("table-unfinished" in page.ids) is there
        assert ("plain-56 seed 2: still running" in page.text) is there
