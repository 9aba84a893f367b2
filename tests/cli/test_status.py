import csv
import math
import re
import shutil
import time
from io import StringIO
from pathlib import Path

import pytest

from study.cli import status as module
from study.track.frames import load_runs
from study.track.snapshot import Snapshot, take_snapshot
from tests.conftest import run_here

PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0}


def verdicts(seen: Snapshot) -> list[module.Said] | None:
    return module.verdicts_of(seen, at_once=False)


@pytest.fixture
def folder(small_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(small_study / "mlflow.db", tmp_path)
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_what_was_said_is_kept_until_a_run_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_here(folder, "status")
    assert first.returncode == 0
    assert "small: 8 runs finished" in first.stdout
    assert re.search(r"\d+ trials done", first.stdout)
    calls = []
    real = module._judge
    monkeypatch.setattr(module, "_judge", lambda *given: calls.append(1) or real(*given))
    assert run_here(folder, "status").stdout == first.stdout
    assert not calls
    from study.track.store import Store

    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    run = next(one for one in store.records() if one.kind == "run")
    store.client.log_metric(run.run_id, "final_train_error", 99.0, step=99)
    assert run_here(folder, "status").stdout != first.stdout
    assert calls


def test_a_run_at_work_changes_nothing_of_what_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.track import tags as tag
    from study.track.store import Store

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = verdicts(take_snapshot("small", uri))
    monkeypatch.setattr(module, "_judge", lambda *_: pytest.fail("worked out again"))
    store = Store("small", uri)
    run = store.begin("new", PARAMS, {tag.KIND: "trial"})
    seen = take_snapshot("small", uri)
    assert module.outcomes(seen)["runs and searches at work"] == 1
    with pytest.raises(pytest.fail.Exception):  # a run more is a change
        verdicts(seen)
    monkeypatch.undo()
    monkeypatch.setenv("STUDY_CACHE", str(folder / "cache"))
    assert verdicts(seen) == before
    store.client.log_metric(run, "train_error", 3.0)
    monkeypatch.setattr(module, "_judge", lambda *_: pytest.fail("worked out again"))
    assert verdicts(take_snapshot("small", uri)) == before  # its curve goes on, no result is new


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "x"}', '{"state": 1, "standing": {"rows": 3}}'])
def test_a_damaged_note_is_written_anew(folder: Path, text: str) -> None:
    seen = take_snapshot("small", f"sqlite:///{folder / 'mlflow.db'}")
    expected = verdicts(seen)
    (note,) = (folder / "cache" / "status").iterdir()
    note.write_text(text)
    assert verdicts(seen) == expected
    assert note.read_text() != text


def test_a_changed_report_is_asked_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = take_snapshot("small", f"sqlite:///{folder / 'mlflow.db'}")
    verdicts(seen)
    calls = []
    real = module._judge
    monkeypatch.setattr(module, "_judge", lambda *given: calls.append(1) or real(*given))
    monkeypatch.setattr(module, "_form", lambda: time.time_ns())
    verdicts(seen)
    assert calls


def test_rows_are_those_of_the_reports_table(folder: Path) -> None:
    from study.report import results_table
    from study.track import tags as tag
    from study.track.store import Store

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
    rows = module.rows_of(take_snapshot("small", uri))
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


def test_while_runs_are_at_work_nothing_is_worked_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.track import tags as tag
    from study.track.store import Store

    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    run = store.begin("r", PARAMS, {tag.KIND: "run"})
    with monkeypatch.context() as patch:
        patch.setattr(module, "_judge", lambda *_: pytest.fail("worked out"))
        said = run_here(folder, "status").stdout
    assert "1 runs and searches at work" in said
    assert "plain-14" in said
    assert "verdict: `study report` has that of the results so far" in said
    store.end(run, "interrupted")
    assert "verdict:" not in run_here(folder, "status").stdout


def test_tags_edited_by_hand_are_letters_on_the_terminal_and_text_in_a_spreadsheet(folder: Path) -> None:
    from study.track import tags as tag
    from study.track.store import Store

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
