"""What MLflow's pages show of a study: its saved view and its description; `tests/cli/test_ui.py` opens them."""

import json
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from study.errors import StudyError
from study.track.frames import load_runs
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.view import DESCRIPTION, VIEW, WRITTEN, saved_view, store_report, view_address, write_description


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    return Store("digits")


def description(store: Store) -> str:
    return str(store.client.get_experiment(store.experiment_id).tags.get(DESCRIPTION, ""))


def test_the_description_follows_the_verdict(store: Store) -> None:
    write_description("digits", ["Inconclusive."])
    write_description("digits", ["Shown.", "Refuted."])
    assert description(store) == f"Shown.\n\nRefuted.\n\n{WRITTEN}"
    write_description("digits", [])
    assert "Shown." in description(store)
    write_description("another", ["Shown."])
    assert store.client.get_experiment_by_name("another") is None


def test_a_users_own_description_stays(store: Store) -> None:
    store.client.set_experiment_tag(store.experiment_id, DESCRIPTION, "my notes")
    write_description("digits", ["Shown."])
    assert description(store) == "my notes"


def test_the_view_is_what_mlflow_reads() -> None:
    view = json.loads(saved_view(["lr", "width"]))
    state = json.loads(view["state"])
    assert view["name"] == VIEW.rpartition(".")[2]
    assert {chart["metricKey"] for chart in state["compareRunCharts"]} >= {"train_error", "lr"}
    assert [column for column in state["selectedColumns"] if "params" in column] == ["params.`lr`", "params.`width`"]
    assert view["name"] in view_address("http://127.0.0.1:5000", "1")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report's folder, with a file of the user's own."""
    folder = tmp_path / "report"
    (folder / "figures").mkdir(parents=True)
    for name in ("index.html", "figures/a.svg", "mine.txt"):
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def test_a_report_takes_the_place_of_the_one_before(store: Store, report: Path) -> None:
    write_description("digits", ["Shown."])
    before = take_snapshot("digits").state
    store_report("digits", report, ("index.html", "figures"))
    (report / "figures/a.svg").rename(report / "figures/b.svg")
    store_report("digits", report, ("index.html", "figures"))
    (run,) = store.records_of("report", "report")
    stored = Path(unquote(urlparse(store.place(run.run_id).uri).path)) / "report"
    assert sorted(path.relative_to(stored).as_posix() for path in stored.rglob("*")) == [
        "figures",
        "figures/b.svg",
        "index.html",
    ]
    page = f"#/experiments/{store.experiment_id}/runs/{run.run_id}/artifacts/report/index.html"
    assert description(store) == f"Shown.\n\n[Report]({page})\n\n{WRITTEN}"
    write_description("digits", ["Refuted."])
    assert description(store) == f"Refuted.\n\n[Report]({page})\n\n{WRITTEN}"
    # The run is no training, and a watched report isn't made again because it was stored.
    assert load_runs("digits").empty
    assert take_snapshot("digits").state == before
    assert take_snapshot("digits").left_out == ()


def test_a_report_leaves_a_users_own_description(store: Store, report: Path) -> None:
    store.client.set_experiment_tag(store.experiment_id, DESCRIPTION, "my notes")
    store_report("digits", report, ("index.html",))
    assert description(store) == "my notes"


def test_artifacts_that_can_t_be_written_are_told(store: Store, report: Path) -> None:
    place = Path(unquote(urlparse(store.client.get_experiment(store.experiment_id).artifact_location).path))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("no folder", encoding="utf-8")
    with pytest.raises(StudyError, match="can't be reached"):
        store_report("digits", report, ("index.html",))
    assert description(store) == ""
    place.unlink()
    store_report("digits", report, ("index.html",))
    assert len(store.records_of("report", "report")) == 1
