"""What is stored of how a study was made, and read back."""

import json

import pytest

from study.errors import StudyError, without_passwords
from study.track import Store, describe, load_provenance, words
from study.track.provenance import TAG_LIMIT, pages_address


@pytest.fixture
def store(database: str) -> Store:
    return Store("s", database)


def tell(store: Store, grid: str, resolved: str = "", command: str = "study run") -> None:
    describe(store.client, store.experiment_id, grid=grid, resolved=resolved, command=command, smallest_effect=0.5)


def test_a_long_grid_is_kept_whole_and_a_shorter_one_replaces_it(store: Store) -> None:
    long = "".join(f"# line {i}\n" for i in range(1000))
    assert len(long) > 2 * TAG_LIMIT
    tell(store, long, long[::-1])
    found = load_provenance("s", store.uri).words
    assert found["grid"] == long
    assert found["resolved"] == long[::-1]
    tell(store, "name: s\n")
    found = load_provenance("s", store.uri).words
    assert found["grid"] == "name: s\n"
    assert "resolved" not in found


def test_passwords_are_not_stored(store: Store) -> None:
    secret = "tune: {storage: 'postgresql://me:h:unter2@db:5432/optuna'}"
    tell(store, secret, secret, f"study run --set {secret}")
    tags = store.client.get_experiment(store.experiment_id).tags
    assert "unter2" not in json.dumps(tags)
    assert "postgresql://me:***@db:5432/optuna" in load_provenance("s", store.uri).words["grid"]


@pytest.mark.parametrize("text", ["sqlite:////a/b@c", "http://host:5000/a@b", "a: b@c", "see https://host/x:y@z"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_passwords(text) == text


def test_every_environment_is_read_once(store: Store) -> None:
    for commit, torch, seed in (("a", "2.13", 0), ("a", "2.13", 1), ("b", "2.14", 0)):
        run = store.begin("r", {"depth": 8, "seed": seed}, {words.KIND: "run", words.COMMIT: commit})
        store.add_text(run, json.dumps({"torch": torch, "system": "Linux"}), "environment.json")
        store.end(run, "finished")
    found = load_provenance("s", store.uri).words
    assert found["torch"] == "2.14; 2.13"  # the newest first
    assert found["system"] == "Linux"


def test_a_run_that_went_on_elsewhere_has_both_environments(store: Store) -> None:
    run = store.begin("r", {"depth": 8}, {words.KIND: "run"})
    store.add_text(run, json.dumps({"processor": "Zen"}), "environment.json")
    store.add_text(run, json.dumps({"processor": "Xeon"}), "environment-0123abcd.json")
    store.add_text(run, "{}", "spec.json")
    assert set(load_provenance("s", store.uri).words["processor"].split("; ")) == {"Zen", "Xeon"}


def test_runs_without_an_environment_are_passed_over(store: Store) -> None:
    store.end(store.begin("r", {"depth": 8}, {words.KIND: "run"}), "failed")
    assert load_provenance("s", store.uri).words == {"experiment_id": store.experiment_id}


def test_pages_are_where_the_user_says(store: Store) -> None:
    found = load_provenance("s", store.uri)
    assert "mlflow_ui" not in found.words  # a database has no pages
    assert found.with_pages("http://localhost:5000/").words["mlflow_ui"] == "http://localhost:5000"


@pytest.mark.parametrize(("given", "kept"), [
    ("https://me:secret@mlflow.example/team/?x=1#y", "https://mlflow.example/team"),
    ("http://[::1]:5000", "http://[::1]:5000"),
])  # fmt: skip
def test_an_address_of_pages(given: str, kept: str) -> None:
    assert pages_address(given) == kept


@pytest.mark.parametrize("given", ["javascript:alert(1)", "localhost:5000", "ftp://host", "http://", "file:///etc"])
def test_not_an_address_of_pages(given: str) -> None:
    with pytest.raises(StudyError, match="http:// or https://"):
        pages_address(given)
