"""What MLflow's pages show of a study: its saved view and its description; `tests/cli/test_ui.py` opens them."""

import json

import pytest

from study.track.store import Store
from study.track.view import DESCRIPTION, VIEW, WRITTEN, saved_view, view_address, write_description


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
    view = json.loads(saved_view())
    assert view["name"] == VIEW.rpartition(".")[2]
    assert {chart["metricKey"] for chart in json.loads(view["state"])["compareRunCharts"]} >= {"train_error", "lr"}
    assert view["name"] in view_address("http://127.0.0.1:5000", "1")
