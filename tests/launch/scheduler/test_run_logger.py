"""Runs are made whole in MLflow, also those whose launcher was killed while it made them."""

import json
import time
from pathlib import Path

import pytest
import torch

from study.config import parse_grid
from study.events import Epoch, Started
from study.launch.environment import code, commit
from study.launch.plan.cells import DataFacts, plan_cells
from study.launch.scheduler import run_logger as module
from study.launch.scheduler.job import CellState, Job
from study.launch.scheduler.run_logger import RunLogger
from study.track import tags as tag
from study.track.frames import load_runs
from study.track.store import Store
from study.tune import Trial, trial_spec

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))
GRID = parse_grid("name: g\ndataset: digits\nrecipe: {epochs: 10, lr: tune}\ngrid: {net: plain-8}\n", "g.yaml")
POINT = {"lr": 0.1}
POINT_OF_CURVE = Epoch(10, 1.0, 0.1, 50.0, 1.5, 60.0, 1.7, None, None, 1000.0, 1.0, 500.0, 1.7e9)


@pytest.fixture
def store(database: str) -> Store:
    return Store("g", database)


def begin(store: Store, kind: str) -> tuple[str, str]:
    """Begin a run of a kind as the launcher does; return its id and key."""
    run_logger = RunLogger(store, GRID, FACTS, store.records())
    state = CellState(plan_cells(GRID, FACTS, [])[0], None, [])
    spec = GRID.runs()[0].with_recipe(**POINT)
    if kind == "tuning":
        key = state.cell.search_key
        return run_logger.begin_search(state, run_logger.search_record(key)), key
    if kind == "run":
        job = run_logger.begin_run(state, spec)
    else:
        job = run_logger.begin_trial(state, trial_spec(spec, POINT, GRID.tune, 1000), Trial(0, POINT))
    return job.run_id, job.key


@pytest.mark.parametrize("kind", ["run", "trial", "tuning"])
def test_a_run_that_is_only_a_name_is_made_whole(store: Store, kind: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    whole, key = begin(Store("g", f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}"), kind)
    expected = Store("g", f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}").client.get_run(whole)
    bare = store.begin("x", {}, {tag.KIND: kind, tag.KEY: key, tag.TRIAL: "0"})
    assert load_runs("g", store.uri).empty  # not shown by halves
    for _ in range(2):  # and what is whole stays as it is
        assert begin(store, kind) == (bare, key)
        run = store.client.get_run(bare)
        assert run.data.params == expected.data.params
        assert len(run.inputs.dataset_inputs) == len(expected.inputs.dataset_inputs) == (kind != "tuning")
        if kind == "run":
            assert json.loads(Path(store.client.download_artifacts(bare, "spec.json")).read_text())["depth"] == 8
    assert (len(load_runs("g", store.uri)) == 1) is (kind == "run")


def environments(store: Store, run_id: str) -> list[str]:
    return sorted(file.path for file in store.client.list_artifacts(run_id) if file.path.startswith("environment"))


def test_a_run_tells_what_decides_its_result(store: Store) -> None:
    run_id, _ = begin(store, "run")
    tags = store.client.get_run(run_id).data.tags
    assert (tags[tag.CODE], tags[tag.TORCH], tags[tag.DATA]) == (code(), torch.__version__, "f")
    told = json.loads(Path(store.client.download_artifacts(run_id, "environment.json")).read_text())
    assert (told["code"], told["torch"], told["threads of a run"]) == (code(), torch.__version__, "1")
    begin(store, "run")
    assert environments(store, run_id) == ["environment.json"]  # it goes on where it began
    assert store.client.get_run(run_id).data.tags[tag.CODE] == code()


@pytest.mark.parametrize("step", [0, 40])
def test_a_run_that_goes_on_by_other_code_tells_of_both(store: Store, step: int) -> None:
    run_id, _ = begin(store, "run")
    store.set_tags(run_id, {tag.CODE: "earlier", tag.TORCH: "2.0", tag.COMMIT: "c"})
    run_logger = RunLogger(store, GRID, FACTS, store.records())
    state = CellState(plan_cells(GRID, FACTS, [])[0], None, [])
    job = run_logger.begin_run(state, GRID.runs()[0].with_recipe(**POINT))
    tags = store.client.get_run(run_id).data.tags
    assert (tags[tag.CODE], tags[tag.TORCH]) == (f"earlier, {code()}", f"2.0, {torch.__version__}")
    assert tags[tag.COMMIT] == commit()
    assert len(environments(store, run_id)) == 2
    run_logger.started(job, Started(step, 100, "cpu", "fp32", ()))
    run_logger.end(job, "interrupted")
    # without a checkpoint it began anew, and nothing of the earlier attempt is in it
    expected = code() if step == 0 else f"earlier, {code()}"
    assert store.client.get_run(run_id).data.tags[tag.CODE] == expected


def test_a_run_that_goes_on_elsewhere_keeps_both_environments(store: Store) -> None:
    run_id, _ = begin(store, "run")
    store.set_tags(run_id, {tag.OWNER: "another-machine:1:1"})
    begin(store, "run")
    assert len(environments(store, run_id)) == 2
    assert store.client.get_run(run_id).data.tags[tag.CODE] == code()


def test_a_search_knows_the_trials_of_a_launcher_that_died(store: Store) -> None:
    """Its own were read at its start; those begun later by another are found when the search is taken over."""
    spec = trial_spec(GRID.runs()[0], POINT, GRID.tune, 1000)
    run_logger = RunLogger(store, GRID, FACTS, store.records())
    theirs, key = begin(store, "trial")
    search = key.partition("-")[0]
    run_logger.take_over(search)
    assert [record.status for record in store.records()] == ["KILLED"]
    state = CellState(plan_cells(GRID, FACTS, [])[0], None, [])
    assert run_logger.begin_trial(state, spec, Trial(0, POINT)).run_id == theirs
    assert [record.status for record in store.records()] == ["RUNNING"]


def flushed(run_logger: RunLogger, jobs: list[Job], after: float, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many of the jobs log their points, which wait since so many seconds."""
    for job in jobs:
        job.pending = [POINT_OF_CURVE]
        job.flushed_at = time.monotonic() - after
    logged: list[str] = []
    monkeypatch.setattr(Store, "log_points", lambda _store, run_id, *_: logged.append(run_id))
    run_logger.flush_due(jobs)
    return len(logged)


def test_points_wait_longer_the_more_runs_there_are(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    state = CellState(plan_cells(GRID, FACTS, [])[0], None, [])
    spec = GRID.runs()[0]
    jobs = [Job("run", str(number), "r", spec, state, 1.0, str(number), 0) for number in range(1000)]
    run_logger = RunLogger(store, GRID, FACTS, [])
    assert flushed(run_logger, jobs[:8], 9, monkeypatch) == 0
    assert flushed(run_logger, jobs[:8], 11, monkeypatch) == 8
    run_logger._call_seconds = 0.01  # a thousand take ten seconds: a quarter of forty
    assert flushed(run_logger, jobs[:8], 11, monkeypatch) == 8
    run_logger._call_seconds = 0.01
    assert flushed(run_logger, jobs, 39, monkeypatch) == 0
    assert flushed(run_logger, jobs, 41, monkeypatch) == 1000
    run_logger._call_seconds = 10.0  # MLflow is very slow
    assert flushed(run_logger, jobs, 119, monkeypatch) == 0
    assert flushed(run_logger, jobs, 121, monkeypatch) == 1000
    jobs[0].lease_lost = True
    assert flushed(run_logger, jobs, 121, monkeypatch) == 999


def test_logging_points_leaves_time_to_hear(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait longest are first."""
    state = CellState(plan_cells(GRID, FACTS, [])[0], None, [])
    spec = GRID.runs()[0]
    jobs = [Job("run", str(number), "r", spec, state, 1.0, str(number), 0) for number in range(4)]
    for age, job in enumerate(jobs):
        job.pending = [POINT_OF_CURVE]
        job.flushed_at = time.monotonic() - 100 - age
    run_logger, now = RunLogger(store, GRID, FACTS, []), [0.0]
    monkeypatch.setattr(Store, "log_points", lambda *_: now.append(now[-1] + 0.02))
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[-1])
    monkeypatch.setattr(module, "BATCH_SECONDS", 0.03)
    run_logger.flush_due(jobs)
    assert [bool(job.pending) for job in jobs] == [True, True, False, False]
