import re
import shutil
import time
from pathlib import Path

import pytest

from study import commands_status as module
from study.track import look
from tests.conftest import run_here


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
    real = module._work_out
    monkeypatch.setattr(module, "_work_out", lambda *given: calls.append(1) or real(*given))
    assert run_here(folder, "status").stdout == first.stdout
    assert not calls
    from study.track import Store

    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    run = next(one for one in store.records() if one.kind == "run")
    store.client.log_metric(run.run_id, "final_train_error", 99.0, step=99)
    assert run_here(folder, "status").stdout != first.stdout
    assert calls


def test_a_run_at_work_changes_nothing_of_what_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.track import Store, words

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = module.standing_of(look("small", uri))
    monkeypatch.setattr(module, "_work_out", lambda *_: pytest.fail("worked out again"))
    store = Store("small", uri)
    run = store.begin("new", {"depth": 8}, {words.KIND: "trial"})
    seen = look("small", uri)
    assert module.outcomes(seen)["runs and searches at work"] == 1
    with pytest.raises(pytest.fail.Exception):  # a run more is a change
        module.standing_of(seen)
    monkeypatch.undo()
    monkeypatch.setenv("STUDY_CACHE", str(folder / "cache"))
    assert module.standing_of(seen) == before
    store.log_values(run, {"train_error": 3.0})
    monkeypatch.setattr(module, "_work_out", lambda *_: pytest.fail("worked out again"))
    assert module.standing_of(look("small", uri)) == before  # its curve goes on, no result is new


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "x"}', '{"state": 1, "standing": {"rows": 3}}'])
def test_a_damaged_note_is_written_anew(folder: Path, text: str) -> None:
    seen = look("small", f"sqlite:///{folder / 'mlflow.db'}")
    expected = module.standing_of(seen)
    (note,) = (folder / "cache" / "status").iterdir()
    note.write_text(text)
    assert module.standing_of(seen) == expected
    assert note.read_text() != text


def test_a_changed_report_is_asked_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look("small", f"sqlite:///{folder / 'mlflow.db'}")
    module.standing_of(seen)
    calls = []
    real = module._work_out
    monkeypatch.setattr(module, "_work_out", lambda *given: calls.append(1) or real(*given))
    monkeypatch.setattr(module, "_form", lambda: time.time_ns())
    module.standing_of(seen)
    assert calls
