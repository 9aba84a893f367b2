"""Which run is next, beside a launcher that has many."""

from pathlib import Path

import pytest

from study.config import parse_grid
from study.launch.plan.cells import DataFacts, make_cells, plan_cells
from study.launch.scheduler import queue as module
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.queue import Cells
from study.launch.scheduler.run_logger import Recorder
from study.track.processes import this_process
from study.track.store import Store

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))
GRID = parse_grid(
    f"name: g\ndataset: digits\nrecipe: {{epochs: 10}}\ngrid: {{net: [plain-8, resnet-8], seed: {list(range(20))}}}\n",
    "g.yaml",
)


def test_what_another_launcher_holds_is_not_asked_for_one_by_one(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 3600)
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    asked: list[str] = []

    class Counted(Leases):
        def acquire(self, key: str) -> bool:
            asked.append(key)
            return super().acquire(key)

    ours, theirs = Counted(url, this_process(), "g"), Leases(url, "a-machine-elsewhere:1:1", "g")
    recorder = Recorder(Store("g", database), GRID, FACTS, [])
    for spec in GRID.runs()[:19]:  # all but one of the first net
        assert theirs.acquire(recorder.run_lease(spec))
    cells = Cells(GRID, plan_cells(make_cells(GRID, FACTS), FACTS, [], GRID), FACTS, lambda *_: None, ours)  # type: ignore[arg-type, return-value]
    jobs = [cells.next_job(recorder) for _ in range(21)]
    assert sorted(job.spec.run_name for job in jobs if job) == sorted(spec.run_name for spec in GRID.runs()[19:])
    assert len(asked) == 22  # the first of theirs, and ours
    assert cells.next_job(recorder) is None
    assert cells.more()
    theirs.release_all()
    cells._looked = -1e9  # a while later
    cells.states[0].look_again = cells.states[1].look_again = 0
    assert cells.next_job(recorder) is not None


def test_a_partner_is_of_the_same_cell_or_of_any_where_cells_mix(tmp_path: Path, database: str) -> None:
    leases = Leases(f"sqlite:///{tmp_path / 'optuna.db'}", this_process(), "g")
    recorder = Recorder(Store("g", database), GRID, FACTS, [])
    cells = Cells(GRID, plan_cells(make_cells(GRID, FACTS), FACTS, [], GRID), FACTS, lambda *_: None, leases)  # type: ignore[arg-type, return-value]
    plain, residual = cells.states
    assert cells.next_job(recorder, beside=residual) is None  # its runs go alone
    plain.replicas = residual.replicas = 2
    plain.waiting = plain.waiting[:1]
    jobs = [cells.next_job(recorder, beside=plain) for _ in range(2)]
    assert [job.cell if job else None for job in jobs] == [plain, None]
    plain.mixes = residual.mixes = True
    job = cells.next_job(recorder, beside=plain)
    assert job is not None
    assert job.cell is residual
