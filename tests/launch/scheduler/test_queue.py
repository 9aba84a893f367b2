"""Which run is next, beside a launcher that has many."""

from pathlib import Path

import pytest

from study.config import parse_grid
from study.launch.plan.cells import DataFacts, plan_cells
from study.launch.scheduler import queue as module
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.queue import WorkQueue
from study.launch.scheduler.run_logger import RunLogger
from study.track.processes import this_process
from study.track.store import Store
from study.tune import SearchStore

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))
GRID = parse_grid(
    f"name: g\ndataset: digits\nrecipe: {{epochs: 10}}\ngrid: {{net: [plain-8, resnet-8], seed: {list(range(20))}}}\n",
    "g.yaml",
)


def test_what_another_launcher_holds_is_not_asked_for_one_by_one(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECHECK_SECONDS", 3600)
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    asked: list[str] = []

    class Counted(Leases):
        def acquire(self, key: str) -> bool:
            asked.append(key)
            return super().acquire(key)

    ours, theirs = Counted(url, this_process(), "g"), Leases(url, "a-machine-elsewhere:1:1", "g")
    run_logger = RunLogger(Store("g", database), GRID, FACTS, [])
    for spec in GRID.runs()[:19]:  # all but one of the first net
        assert theirs.acquire(run_logger.run_lease(spec))
    queue = WorkQueue(GRID, plan_cells(GRID, FACTS, []), FACTS, SearchStore(url), ours, run_logger)
    jobs = [queue.next_job() for _ in range(21)]
    assert sorted(job.key for job in jobs if job) == sorted(map(FACTS.run_key, GRID.runs()[19:]))
    assert len(asked) == 22  # the first of theirs, and ours
    assert queue.next_job() is None
    assert queue.unfinished()
    theirs.release_all()
    queue._checked_at = -1e9  # a while later
    queue.states[0].retry_at = queue.states[1].retry_at = 0
    assert queue.next_job() is not None


def test_a_partner_is_of_the_same_cell_or_of_any_where_queue_mix(tmp_path: Path, database: str) -> None:
    leases = Leases(f"sqlite:///{tmp_path / 'optuna.db'}", this_process(), "g")
    run_logger = RunLogger(Store("g", database), GRID, FACTS, [])
    queue = WorkQueue(GRID, plan_cells(GRID, FACTS, []), FACTS, SearchStore("not opened"), leases, run_logger)
    plain, residual = queue.states
    assert queue.next_job(beside=residual) is None  # its runs go alone
    plain.replicas = residual.replicas = 2
    plain.waiting = plain.waiting[:1]
    jobs = [queue.next_job(beside=plain) for _ in range(2)]
    assert [job.state if job else None for job in jobs] == [plain, None]
    plain.mixes = residual.mixes = True
    job = queue.next_job(beside=plain)
    assert job is not None
    assert job.state is residual


def test_a_job_begins_where_its_part_of_a_gpu_is_left(tmp_path: Path, database: str) -> None:
    leases = Leases(f"sqlite:///{tmp_path / 'optuna.db'}", this_process(), "g")
    run_logger = RunLogger(Store("g", database), GRID, FACTS, [])
    queue = WorkQueue(GRID, plan_cells(GRID, FACTS, []), FACTS, SearchStore("not opened"), leases, run_logger)
    plain, residual = queue.states
    plain.share, residual.share = 1 / 3, 0.5
    assert queue.next_job(room=0.3) is None
    jobs = [queue.next_job(room=room) for room in (1 - 1 / 3 - 1 / 3, 0.5)]
    assert jobs[0] is not None
    assert jobs[0].state is plain
    assert jobs[1] is not None
    residual.replicas = plain.replicas = 2
    plain.mixes = residual.mixes = True
    beside = queue.next_job(beside=residual, room=0.4)
    assert beside is not None
    assert beside.state is plain
