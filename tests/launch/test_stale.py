"""What a killed launcher left RUNNING in MLflow is closed, and nothing else."""

from pathlib import Path

import pytest

from study.launch.run_grid import _close_stale
from study.launch.scheduler.lease import Leases
from study.track import tags as tag
from study.track.store import Store

PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0}
LEASES = {"run": "run k", "tuning": "search k", "trial": "search k", "dataset": "data"}
KEYS = {"run": "k", "tuning": "k", "trial": "k-1", "dataset": "f"}


@pytest.fixture
def store(database: str) -> Store:
    return Store("g", database)


def leases(folder: Path, holder: str) -> Leases:
    return Leases(f"sqlite:///{folder / 'optuna.db'}", holder, "g")


def begin(store: Store, kind: str) -> str:
    return store.begin(kind, PARAMS, {tag.KIND: kind, tag.KEY: KEYS[kind]})


@pytest.mark.parametrize("kind", LEASES)
def test_what_nobody_holds_is_closed_and_what_somebody_does_is_not(tmp_path: Path, store: Store, kind: str) -> None:
    begin(store, kind)
    other = leases(tmp_path, "elsewhere:1:1")
    other.acquire(LEASES[kind])
    _close_stale(store, store.records(), leases(tmp_path, "here:1:1"), tmp_path)
    assert [record.status for record in store.records()] == ["RUNNING"]
    other.release(LEASES[kind])
    _close_stale(store, store.records(), leases(tmp_path, "here:1:1"), tmp_path)
    assert [(record.status, record.outcome) for record in store.records()] == [("KILLED", "interrupted")]
    assert other.acquire(LEASES[kind])  # looking leaves no lease behind


def test_what_ended_meanwhile_stands(tmp_path: Path, store: Store) -> None:
    """Another launcher ends a run and lets go of it between this one's look at MLflow and at the leases."""
    run = begin(store, "run")
    seen = store.records()
    store.end(run, "finished")
    _close_stale(store, seen, leases(tmp_path, "here:1:1"), tmp_path)
    assert [record.status for record in store.records()] == ["FINISHED"]


@pytest.mark.parametrize("outcome", ["finished", "diverged", "pruned", "failed", "edited by hand"])
@pytest.mark.parametrize("kind", LEASES)
def test_what_lacks_its_status_alone_gets_it(tmp_path: Path, store: Store, kind: str, outcome: str) -> None:
    """Killed between the call that logs a result and the one that ends the run: the result stands."""
    run = begin(store, kind)
    seen = store.records()  # before, since runs whose tags were edited are left out
    if outcome == "edited by hand":
        store.set_tags(run, {tag.OUTCOME: outcome})
    else:
        store.note_end(run, outcome, tags={tag.CHOSEN: '{"lr": 0.1}'}, reason="because")
    kept = tmp_path / "checkpoints" / f"{kind}-{KEYS[kind]}"
    kept.mkdir(parents=True)
    _close_stale(store, seen, leases(tmp_path, "here:1:1"), tmp_path / "checkpoints")
    (record,) = store.records()
    assert (record.outcome, record.status) == {
        "edited by hand": ("interrupted", "KILLED"),
        "failed": ("failed", "FAILED"),
    }.get(outcome, (outcome, "FINISHED"))
    goes_on = outcome in ("failed", "edited by hand") or kind not in ("run", "trial")
    assert kept.exists() is goes_on


@pytest.mark.parametrize("kind", LEASES)
def test_what_was_deleted_meanwhile_is_left_alone(tmp_path: Path, store: Store, kind: str) -> None:
    """In MLflow's pages, with its result noted: it isn't one, and what it needs to be begun anew stays."""
    run = begin(store, kind)
    store.note_end(run, "finished", tags={tag.CHOSEN: '{"lr": 0.1}'})
    seen = store.records()
    store.client.delete_run(run)
    kept = tmp_path / "checkpoints" / f"{kind}-{KEYS[kind]}"
    kept.mkdir(parents=True)
    _close_stale(store, seen, leases(tmp_path, "here:1:1"), tmp_path / "checkpoints")
    assert store.client.get_run(run).info.status == "RUNNING"
    assert kept.exists()
    assert leases(tmp_path, "elsewhere:1:1").acquire(LEASES[kind])
