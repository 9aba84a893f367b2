import csv
import math
import re
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from study.cli.run import print_summary
from study.cli.status import result_rows
from study.launch.display import Display
from study.launch.scheduler.scheduler import Summary
from study.track import tags as tag
from study.track.frames import load_runs, runs_frame
from study.track.snapshot import take_snapshot
from study.track.store import Store
from tests.conftest import run_here

PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0}


@pytest.fixture
def folder(small_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(small_study / "mlflow.db", tmp_path)
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_result_that_changes_is_seen(folder: Path) -> None:
    first = run_here(folder, "status")
    assert first.returncode == 0
    assert "small: 8 runs finished" in first.stdout
    assert re.search(r"\d+ trials done", first.stdout)
    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    run = next(record for record in store.records() if record.kind == "run")
    store.client.log_metric(run.run_id, "final_train_error", 99.0, step=99)
    assert run_here(folder, "status").stdout != first.stdout


def test_a_run_at_work_changes_no_result(folder: Path) -> None:
    first = run_here(folder, "status").stdout.splitlines()
    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    run = store.begin("new", PARAMS, {tag.KIND: "run"})
    at_work = run_here(folder, "status").stdout.splitlines()
    assert at_work == [f"{first[0]}, 1 runs and searches at work", *first[1:]]
    store.end(run, "interrupted")
    assert run_here(folder, "status").stdout.splitlines()[1:] == first[1:]


def test_a_study_without_a_result_has_no_table(folder: Path) -> None:
    store = Store("begun", f"sqlite:///{folder / 'mlflow.db'}")
    assert run_here(folder, "status", "-e", "begun").stdout == "begun: no run yet\n"
    store.begin("new", PARAMS, {tag.KIND: "run"})
    assert run_here(folder, "status", "-e", "begun").stdout == "begun: 1 runs and searches at work\n"


def test_rows_are_those_of_the_reports_table(folder: Path) -> None:
    from study.report import results_table

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store = Store("small", uri)
    # What a report leaves out, or counts in its own way: a run without an end, one of the same seed as another,
    # a diverged one, and another variant.
    params = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0, "lr": 0.5, "iterations_per_epoch": 5}
    store.begin("no end", params, {tag.KIND: "run", tag.VARIANT: ""})
    for seed, outcome, variant, errors in (
        (0, "finished", "", {"final_train_error": 40.0, "final_test_error": 50.0}),
        (7, "diverged", "", {"final_train_error": 90.0, "final_test_error": 90.0}),
        (7, "failed", "", {}),
        (8, "finished", "", {}),
        (0, "finished", "width=2", {"final_train_error": 1.5}),
    ):
        tags = {tag.KIND: "run", tag.VARIANT: variant, tag.LR_TUNED: str(seed == 0).lower()}
        store.end(store.begin("r", {**params, "seed": seed}, tags), outcome, metrics=errors)
    rows = result_rows(runs_frame(take_snapshot("small", uri).records))
    expected = []
    for row in results_table(load_runs("small", uri)).to_dict("records"):
        spreads = []
        for error in ("final_train_error", "final_test_error"):
            mean, sd = row[f"{error}_estimate"], row[f"{error}_sd"]
            spreads.append(f"{mean:.2f}" if math.isnan(sd) else f"{mean:.2f} \u00b1 {sd:.2f}")
        net = f"{row['net']} ({row['variant']})" if row["variant"] else row["net"]
        expected.append((net, row["lr"] + " tuned" * row["lr_tuned"], *spreads, str(row["runs"])))
    assert rows == expected
    assert any(row[0] == "plain-8 (width=2)" and row[3] == "nan" for row in rows)


def test_tags_edited_by_hand_are_letters_on_the_terminal_and_text_in_a_spreadsheet(folder: Path) -> None:
    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    for record in store.records():
        if record.kind in ("run", "trial"):
            store.client.set_tag(record.run_id, tag.VARIANT, "=[red]x[/red] \x1b[2J[/] @")
    status = run_here(folder, "status")
    assert status.returncode == 0
    report = run_here(folder, "report")
    assert report.returncode == 0, report.stderr
    for said in (status.stdout, report.stdout):
        assert r"=[red]x[/red] \x1b[2J[/] @" in said
        assert "\x1b" not in said
    files = [*(folder / "reports").rglob("*.csv")]
    assert len(files) > 5
    for file in files:
        cells = [cell for row in csv.reader(StringIO(file.read_bytes().decode(), newline="")) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "\t", "\r"))]
    assert any("'=[red]x[/red]" in file.read_text() for file in files)


def test_the_results_of_a_study_are_shown_where_a_run_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    summary = Summary(finished=7, failures=[("plain-8 seed 1", "it broke")])
    display = Display(Console(stderr=True))
    assert print_summary(summary, display, "small", "study run", only_search=False) == 1
    captured = capsys.readouterr()
    assert "failed: plain-8 seed 1: it broke" in captured.err
    assert "no results to show" not in captured.err
    assert "resnet-14" in captured.out
