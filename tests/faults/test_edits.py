"""What somebody may do in MLflow's pages while a grid trains: delete, restore, rename, and edit tags."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from study.track import tags as tag
from study.track.frames import load_runs, load_search_results, load_trials
from study.track.store import Store
from tests.conftest import run_here
from tests.faults.whole import ONE_NET, check_whole
from tests.launch.hold import Hold
from tests.launch.processes import PATIENCE, Launcher, records, uri

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 6, batch_size: 16, lr: 0.05, precision: fp32}
grid: {net: plain-8, seed: [0, 1, 2]}
"""
WORDS = ("--checkpoint-every", "0")

pytestmark = pytest.mark.slow


def meanwhile(
    folder: Path, patch: pytest.MonkeyPatch, grid: str, do: Callable[[Store], None], *words: str
) -> tuple[int, str]:
    """Do something while a run or trial is in its middle; return the launcher's exit code and what it said."""
    (folder / "g.yaml").write_text(grid)
    (folder / "hold").mkdir()
    with Hold(folder / "hold", patch) as hold:
        launcher = Launcher(folder, "launcher", *WORDS, *words)
        hold.until_held(1)
        do(Store("g", uri(folder)))
    code = launcher.process.wait(timeout=PATIENCE)
    said = launcher.messages.read_text()
    assert "Traceback" not in said
    return code, said


def running(store: Store, kind: str) -> str:
    """Return the id of the run of a kind that is at work."""
    return next(record.run_id for record in store.records() if record.kind == kind and record.status == "RUNNING")


def test_a_run_that_is_deleted_ends_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_alone: Callable[[str], Path]
) -> None:
    gone: list[str] = []

    def delete(store: Store) -> None:
        gone.append(running(store, "run"))
        store.client.delete_run(gone[0])

    code, said = meanwhile(tmp_path, monkeypatch, GRID, delete)
    assert code == 1, said
    assert "plain-8 seed 0: failed: deleted in MLflow while it was at work; the same command begins it anew" in said
    assert list(load_runs("g", uri(tmp_path))["seed"]) == [1, 2]
    assert "1 runs and 0 trials done, 2 runs were done before" in Launcher(tmp_path, "again").end()
    check_whole(tmp_path, left_alone(GRID))
    assert gone[0] not in set(load_runs("g", uri(tmp_path))["run_id"])


def test_a_run_that_is_restored_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_alone: Callable[[str], Path]
) -> None:
    """While its launcher has nothing to say of it, or by the next one."""

    def delete_and_restore(store: Store) -> None:
        run_id = running(store, "run")
        store.client.delete_run(run_id)
        store.client.restore_run(run_id)

    code, said = meanwhile(tmp_path, monkeypatch, GRID, delete_and_restore)
    assert code == 0, said
    check_whole(tmp_path, left_alone(GRID))


def test_a_search_and_its_trial_that_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def delete(store: Store) -> None:
        for kind in ("tuning", "trial"):
            store.client.delete_run(running(store, kind))

    code, said = meanwhile(tmp_path, monkeypatch, ONE_NET.replace("epochs: 16", "epochs: 6"), delete)
    assert code == 1, said
    assert "plain-8 trial 0 rate 0.1: failed: deleted in MLflow" in said
    assert "plain-8: its search was deleted in MLflow and is there again" in said
    (search,) = load_search_results("g", uri(tmp_path))
    trials = load_trials("g", uri(tmp_path))
    assert trials.loc[trials["chosen"], "lr"].tolist() == [search.point["lr"]]
    assert set(trials["low"]) == {0.01}  # they are the search's that is there now
    assert load_runs("g", uri(tmp_path))["lr"].tolist() == [search.point["lr"]]
    assert {record.status for record in records(tmp_path)} == {"FINISHED"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs forks")
@pytest.mark.parametrize("kind", ["run", "trial", "tuning"])
def test_what_is_deleted_between_its_result_and_its_end(tmp_path: Path, kind: str) -> None:
    """A run is begun anew by the next command, a trial's result stands in its search, a search is made again."""
    (tmp_path / "g.yaml").write_text(ONE_NET.replace("epochs: 16", "epochs: 2"))
    Launcher(tmp_path, "first", hook=f"tests.faults.deletion:delete_first {kind}").end()
    assert (tmp_path / "gone").exists()
    again = Launcher(tmp_path, "again").end()
    assert f"{int(kind == 'run')} runs and 0 trials done" in again
    kinds = Counter(record.kind for record in records(tmp_path))
    assert kinds == {"dataset": 1, "tuning": 1, "trial": 2 - (kind == "trial"), "run": 1}
    assert {record.status for record in records(tmp_path)} == {"FINISHED"}
    assert not [path for path in (tmp_path / "mlruns" / ".checkpoints").rglob("*") if path.is_file()]


def test_an_experiment_that_is_deleted_and_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_alone: Callable[[str], Path]
) -> None:
    code, said = meanwhile(
        tmp_path, monkeypatch, GRID, lambda store: store.client.delete_experiment(store.experiment_id)
    )
    assert code == 1, said
    assert "the MLflow experiment 'g' was deleted: give the grid another name, or restore it with" in said
    refused = run_here(tmp_path, "run", "--grid", "g.yaml")
    assert refused.returncode == 2
    assert "`mlflow experiments restore -x 1`" in refused.stderr
    client = MlflowClient(uri(tmp_path))
    client.restore_experiment(client.get_experiment_by_name("g").experiment_id)
    Launcher(tmp_path, "again").end()
    check_whole(tmp_path, left_alone(GRID))


def test_an_experiment_and_a_run_that_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_alone: Callable[[str], Path]
) -> None:
    def rename(store: Store) -> None:
        store.client.update_run(running(store, "run"), name="[red]mine")
        store.client.rename_experiment(store.experiment_id, "other")

    code, said = meanwhile(tmp_path, monkeypatch, GRID, rename)
    assert code == 0, said
    assert "3 runs and 0 trials done" in said
    assert "no results to show: no study is called 'g'" in said
    store = Store("other", uri(tmp_path))
    store.client.rename_experiment(store.experiment_id, "g")
    assert "3 runs were done before" in Launcher(tmp_path, "again").end()
    check_whole(tmp_path, left_alone(GRID))


WRITTEN = (tag.OUTCOME, tag.OWNER, tag.HOST, tag.LR_TUNED, tag.CODE)
"""Tags whose values the launcher writes at the end, or nobody reads."""


@pytest.mark.parametrize("keys", [WRITTEN, (tag.KIND,), (tag.KEY,)])
def test_tags_of_a_run_at_work_that_are_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    """A run whose kind or key isn't known any more is done again."""

    def edit(store: Store) -> None:
        run_id = running(store, "run")
        for key in keys:
            store.client.set_tag(run_id, key, "x")

    code, said = meanwhile(tmp_path, monkeypatch, GRID.replace("[0, 1, 2]", "[0, 1]"), edit)
    assert code == 0, said
    again = Launcher(tmp_path, "again").end()
    assert f"{int(keys != WRITTEN)} runs and 0 trials done" in again
    assert ("its tag study.kind is 'x'" in again) is (keys == (tag.KIND,))
    assert set(load_runs("g", uri(tmp_path))["seed"]) == {0, 1}
