"""Probes of a grid's runs: ordered from workers, kept, and asked for again where a run lacks them."""

from pathlib import Path

import pytest

from study.config import ProbePlan, Probes, parse_grid
from study.events import Probed, Started
from study.launch.plan.cells import DataFacts, plan_cells
from study.launch.plan.probe_tags import has_all, probe_tags, probes_in
from study.launch.scheduler.job import CellState
from study.launch.scheduler.run_logger import RunLogger
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.frames import load_probes, load_runs
from study.track.store import Store
from tests.conftest import run_study
from tests.launch.processes import uri
from tests.launch.stored_runs import stored_run

TEXT = """
name: g
dataset: {name: digits, train_limit: 200, test_limit: 50}
recipe: {epochs: 2, batch_size: 64, lr: 0.05, precision: fp32}
grid: {net: [plain-8, plain-14], seed: [0, 1]}
"""
FACTS = DataFacts("f", 180, 50, 10, (1, 8, 8))


def record(outcome: str, probes: str) -> StoredRun:
    (spec, *_) = parse_grid(TEXT, "g.yaml").runs()
    return stored_run("id", "run", spec.run_key("f"), outcome, "FINISHED", {tag.PROBES: probes} if probes else {})


def test_a_run_needs_all_probes_that_are_asked_for() -> None:
    plan = ProbePlan(probes=Probes(), names=("lesion", "gradients"))
    assert has_all(set(), None)
    assert has_all(probes_in(probe_tags(plan)), plan)
    assert has_all({"lesion", "gradients", "surface"}, plan)
    assert not has_all({"lesion"}, plan)
    assert probes_in({}) == set()
    assert probe_tags(None) == {}


@pytest.mark.parametrize(
    ("has", "wants", "done"),
    [
        ("", "", 1),
        ("gradients", "", 1),
        ("", "probes: [gradients]", 0),
        ("gradients", "probes: [gradients]", 1),
        ("gradients", "probes: [gradients, lesion]", 0),
        ("gradients,lesion", "probes: [lesion]", 1),
    ],
)
def test_a_run_without_a_probe_that_is_asked_for_is_to_be_done_again(has: str, wants: str, done: int) -> None:
    grid = parse_grid(TEXT + wants, "g.yaml")
    plans = plan_cells(grid, FACTS, [record("finished", has)])
    assert sum(len(plan.done) for plan in plans) == done


def test_of_two_results_the_one_with_more_probes_stands() -> None:
    grid = parse_grid(TEXT + "probes: [gradients]", "g.yaml")
    for records in (
        [record("finished", "gradients"), record("finished", "")],
        [record("finished", ""), record("finished", "gradients")],
    ):
        assert sum(len(plan.done) for plan in plan_cells(grid, FACTS, records)) == 1


def test_only_runs_are_probed_and_a_finished_one_is_not_taken_up_again(tmp_path: Path) -> None:
    store = Store("g", f"sqlite:///{tmp_path}/mlflow.db")
    grid = parse_grid(TEXT + "probes: [gradients]", "g.yaml")
    state = CellState(plan_cells(grid, FACTS, [])[0], None, [])
    bare = RunLogger(store, parse_grid(TEXT, "g.yaml"), FACTS, [])
    first = bare.begin_run(state, grid.runs()[0])
    bare.end(first, "finished")
    run_logger = RunLogger(store, grid, FACTS, store.records())
    assert not run_logger.was_done(grid.runs()[0])
    job = run_logger.begin_run(state, grid.runs()[0])
    assert job.run_id != first.run_id
    plan = run_logger.task_for(job, tmp_path, 60).probes
    assert plan is not None
    assert plan.names == ("gradients",)
    job.kind = "trial"
    assert run_logger.task_for(job, tmp_path, 60).probes is None


def test_what_an_earlier_attempt_measured_is_taken_in(tmp_path: Path) -> None:
    store = Store("g", f"sqlite:///{tmp_path}/mlflow.db")
    grid = parse_grid(TEXT + "probes: [gradients]", "g.yaml")
    state = CellState(plan_cells(grid, FACTS, [])[0], None, [])
    run_logger = RunLogger(store, grid, FACTS, [])
    job = run_logger.begin_run(state, grid.runs()[0])
    found = Probed("gradients", 0, {"gradients": {"layer": [0]}})
    run_logger.started(job, Started(4, 6, "cpu", "fp32", (), (found,)))
    assert job.probed == [found]


def test_a_grid_with_probes_leaves_its_tables_and_more_probes_make_the_runs_anew(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(TEXT + "probes: {measure: [gradients], steps: [0, 2]}\n")
    done = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    rows = load_probes("g", uri(tmp_path))["gradients"]
    assert len(rows) == 2 * 3 * (7 + 13)  # seeds, iterations 0, 2 and 4, layers of plain-8 and plain-14
    assert set(rows["step"]) == {0, 2, 4}
    again = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert "4 runs were done before" in again.stderr
    # the costly probe is of the first seed alone: its two runs lack it
    more = run_study(tmp_path, "run", "--grid", "g.yaml", "--set", "probes.measure=[gradients, construction]")
    assert "2 runs and 0 trials done" in more.stderr, more.stderr
    runs = load_runs("g", uri(tmp_path))
    assert len(runs) == 6
    first = runs[runs["seed"] == 0].groupby("net")["final_train_error"]
    assert list(first.nunique()) == [1, 1]  # the same result to the last bit
    built = load_probes("g", uri(tmp_path))["construction"]
    assert list(built["target"]) == [14, 14]
