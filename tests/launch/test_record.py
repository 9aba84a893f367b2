"""Runs are made whole in MLflow, also those whose launcher was killed while it made them."""

import json
from pathlib import Path

import pytest

from study.config import parse_grid
from study.launch.jobs import CellState
from study.launch.plan import DataFacts, make_cells, plan_cells
from study.launch.record import Recorder
from study.track import Store, load_runs, words
from study.tune import Trial, trial_spec

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))
GRID = parse_grid("name: g\ndataset: digits\nrecipe: {epochs: 10, lr: tune}\ngrid: {net: plain-8}\n", "g.yaml")
POINT = {"lr": 0.1}


@pytest.fixture
def store(database: str) -> Store:
    return Store("g", database)


def begin(store: Store, kind: str) -> tuple[str, str]:
    """Begin a run of a kind as the launcher does; return its id and key."""
    recorder = Recorder(store, GRID, FACTS, store.records())
    state = CellState(plan_cells(make_cells(GRID, FACTS), FACTS, [], GRID.tune)[0], None, [])
    spec = GRID.runs()[0].with_recipe(**POINT)
    if kind == "tuning":
        key = state.plan.cell.tuning_key
        return recorder.begin_tuning(state, recorder.tuning_record(key)), key
    if kind == "run":
        job = recorder.begin_run(state, spec)
    else:
        job = recorder.begin_trial(state, trial_spec(spec, POINT, GRID.tune, 1000), Trial(0, POINT))
    return job.run_id, job.key


@pytest.mark.parametrize("kind", ["run", "trial", "tuning"])
def test_a_run_that_is_only_a_name_is_made_whole(store: Store, kind: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    whole, key = begin(Store("g", f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}"), kind)
    expected = Store("g", f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}").client.get_run(whole)
    bare = store.begin("x", {}, {words.KIND: kind, words.KEY: key})
    assert load_runs("g", store.uri).empty  # not shown by halves
    for _ in range(2):  # and what is whole stays as it is
        assert begin(store, kind) == (bare, key)
        run = store.client.get_run(bare)
        assert run.data.params == expected.data.params
        assert len(run.inputs.dataset_inputs) == len(expected.inputs.dataset_inputs) == (kind != "tuning")
        if kind == "run":
            assert json.loads(Path(store.client.download_artifacts(bare, "spec.json")).read_text())["depth"] == 8
    assert (len(load_runs("g", store.uri)) == 1) is (kind == "run")


def test_a_search_knows_the_trials_of_a_launcher_that_died(store: Store) -> None:
    """Its own were read at its start; those begun later by another are found when the search is taken over."""
    spec = trial_spec(GRID.runs()[0], POINT, GRID.tune, 1000)
    recorder = Recorder(store, GRID, FACTS, store.records())
    theirs, key = begin(store, "trial")
    search = key.partition("-")[0]
    recorder.take_over(search)
    assert [record.status for record in store.records()] == ["KILLED"]
    state = CellState(plan_cells(make_cells(GRID, FACTS), FACTS, [], GRID.tune)[0], None, [])
    assert recorder.begin_trial(state, spec, Trial(0, POINT)).run_id == theirs
    assert [record.status for record in store.records()] == ["RUNNING"]
