"""Tags edited by hand, and runs of other programs: named and left out, and the rest goes on."""

import re
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from study.track import tags as tag
from study.track.database import StoredRun
from study.track.frames import load_curves, load_runs, load_search_results, load_trials
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.validation import check_runs
from tests.conftest import run_here, run_study

PARAMS = {"architecture": "plain", "depth": "8", "net": "plain-8", "seed": "0", "lr": "0.1", "total_iterations": ""}
ENDED = {tag.OUTCOME: "finished"}
TAGS = {
    "run": ENDED,
    "trial": ENDED | {tag.TRIAL: "0", tag.POINT: '{"lr": 0.1}'},
    "tuning": ENDED | {tag.CHOSEN: '{"lr": 0.1}', tag.BOUNDS: "[0.01, 1.0]", tag.WIDENED: "0", tag.EDGE: ""},
    "dataset": ENDED,
}


def line(kind: str, tags: dict[str, str], params: dict[str, str]) -> str:
    """Return what is said of a run, which is left out if anything is."""
    run = StoredRun("0123456789abcdef", "plain-8 \x1b[2J", "FINISHED", 0, tags, params, {})
    good, lines = check_runs([run])
    assert good == ([] if lines else [run])
    return lines[0] if lines else ""


@pytest.mark.parametrize("kind", TAGS)
def test_what_a_launcher_writes_is_sound(kind: str) -> None:
    assert line(kind, {tag.KIND: kind} | TAGS[kind], PARAMS) == ""
    assert line(kind, {tag.KIND: kind} | TAGS[kind], {}) == ""  # it is being made, or tags alone were read


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        *((kind, tag.OUTCOME, "done") for kind in TAGS),
        *(("trial", tag.TRIAL, value) for value in ("x", "", "-1", "1.5", "1.0", "9" * 30, "9" * 5000)),
        *(
            ("trial", tag.POINT, value)
            for value in (
                "{",
                "",
                "[]",
                "3",
                "null",
                "{}",
                '{"lr": null}',
                '{"lr": "0.1"}',
                '{"lr": 0}',
                '{"lr": NaN}',
                '{"lr": true}',
                '{"lr": 0.1, "momentum": 1}',
                '{"lr": 0.1, "colour": 1}',
                "[" * 10_000,
            )
        ),
        *(("tuning", tag.CHOSEN, value) for value in ("{", "", "{}", '{"lr": -1}', '{"lr": 0.1, "weight_decay": -1}')),
        *(
            ("tuning", tag.BOUNDS, value)
            for value in ("{", "[]", "[1]", "[1, 0.1]", "[0, 1]", '["a", "b"]', "[1, 2, 3]")
        ),
        ("tuning", tag.TRIAL, "x"),
        ("tuning", tag.WIDENED, "x"),
        ("tuning", tag.EDGE, "left"),
    ],
)
def test_a_tag_that_was_edited_is_named(kind: str, key: str, value: str) -> None:
    said = line(kind, {tag.KIND: kind} | TAGS[kind] | {key: value}, PARAMS)
    assert said.startswith(r"run 'plain-8 \x1b[2J' (01234567) is left out: its tag ")
    assert f"its tag {key} is '{value[:20]}" in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("depth", "deep"),
        ("depth", "0"),
        ("depth", "8.0"),
        ("depth", "9" * 40),
        ("seed", "x"),
        ("split_seed", "x"),
        ("lr", "x"),
        ("lr", "nan"),
        ("architecture", "round"),
        ("net", ""),
        ("total_iterations", "many"),
        ("classes", "-1"),
    ],
)
def test_a_parameter_of_another_program_is_named(key: str, value: str) -> None:
    said = line("run", {tag.KIND: "run"} | ENDED, PARAMS | {key: value})
    assert f"its parameter {key} is '{value[:20]}" in said


@pytest.mark.parametrize("key", ["architecture", "depth", "net", "seed"])
def test_a_parameter_that_is_missing_is_named(key: str) -> None:
    left = {name: value for name, value in PARAMS.items() if name != key}
    assert line("run", {tag.KIND: "run"} | ENDED, left).endswith(f"it has no parameter {key}")


def test_tags_that_were_deleted_are_named() -> None:
    assert line("run", {tag.KIND: "run"}, PARAMS).endswith("it has no tag study.outcome")
    assert line("run", {tag.OUTCOME: "finished"}, PARAMS).endswith("it has no tag study.kind")
    assert line("tuning", {tag.KIND: "tuning"} | ENDED, PARAMS).endswith("it has no tag study.chosen")


def test_of_runs_that_are_not_of_a_study_nothing_is_said() -> None:
    assert check_runs([StoredRun("a", "by hand", "FINISHED", 0, {"mlflow.user": "x"}, {"depth": "deep"}, {})]) == (
        [],
        [],
    )


EDITS = (
    ("run", tag.OUTCOME, "x"),
    ("run", tag.KIND, "x"),
    ("run", tag.VARIANT, "[/]"),
    ("run", tag.OWNER, "x"),
    ("trial", tag.TRIAL, "x"),
    ("trial", tag.POINT, "{"),
    ("trial", tag.OBJECTIVE, "[/]"),
    ("tuning", tag.CHOSEN, "{"),
    ("tuning", tag.BOUNDS, "{"),
    ("tuning", tag.WIDENED, "x"),
    ("dataset", tag.OUTCOME, "x"),
)
HARMLESS = (tag.VARIANT, tag.OWNER, tag.OBJECTIVE)


@pytest.fixture
def edited(small_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study in which each of the edits was made to a run, trial or search of its own, and a foreign run."""
    shutil.copytree(small_study, tmp_path / "study")
    folder = tmp_path / "study"
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:  # what is made now is the copy's
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(small_study), str(folder)))
        database.commit()
    store = Store("small", f"sqlite:///{folder / 'mlflow.db'}")
    runs = {kind: [record.run_id for record in store.records() if record.kind == kind] for kind in TAGS}
    for kind, key, value in EDITS:
        store.client.set_tag(runs[kind].pop(), key, value)
    foreign = store.client.create_run(store.experiment_id, tags={tag.KIND: "run", **ENDED}).info.run_id
    store.client.log_param(foreign, "depth", "deep")
    (protocol,) = take_snapshot("small", store.uri).protocols[0]
    store.client.set_experiment_tag(store.experiment_id, f"{tag.PROTOCOL}.{protocol.id}", "big")
    return folder


def test_every_command_goes_on_beside_what_was_edited(edited: Path) -> None:
    named = [key for _, key, _ in EDITS if key not in HARMLESS]
    shown = {words_: run_here(edited, *words_.split()) for words_ in ("status", "report")}
    for done in shown.values():
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("is left out") == len(named) + 1
        assert "it has no parameter architecture" in done.stderr
        assert re.search(r"tag study\.protocol\.\w{16} was edited: no protocol can be read from it", done.stderr)
        for key in named:
            assert f"its tag {key} is '" in done.stderr
    page = (edited / "reports" / "small" / "index.html").read_text()
    assert page.count("is left out: ") == len(named) + 1
    uri = f"sqlite:///{edited / 'mlflow.db'}"
    for load, kind in (
        (load_runs, "run"),
        (load_curves, "run"),
        (load_trials, "trial"),
        (load_search_results, "tuning"),
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert len(load("small", uri)) > 0
        assert len(told) == {"run": 2, "trial": 5, "tuning": 3}[kind]  # a run without a kind isn't read here


def test_a_grid_goes_on_beside_what_was_edited(edited: Path) -> None:
    """Runs and searches that can't be read are there again; nothing else is done twice."""
    done = run_study(edited, "run", "--grid", "small.yaml")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "2 runs and 0 trials done" in done.stderr
    again = run_study(edited, "run", "--grid", "small.yaml")
    assert "0 runs and 0 trials done, 8 runs were done before" in again.stderr
