"""A study whose searches and leases are in PostgreSQL, shared by two launchers."""

from pathlib import Path

import pytest

from study.track.frames import load_runs, load_trials
from tests.launch.processes import Launcher, uri
from tests.postgres import postgres

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 4, batch_size: 64, lr: tune}
tune: {trials: 4, shared: 3, low: 0.01, high: 1.0, widen: 0, confirm: 0, storage: "%s"}
grid:
  architecture: [plain, residual]
  depth: [8]
  seed: [0, 1]
"""


@pytest.mark.slow
def test_two_launchers_share_a_storage_in_postgresql(tmp_path: Path) -> None:
    with postgres() as url:
        (tmp_path / "g.yaml").write_text(GRID % url)
        launchers = [Launcher(tmp_path, f"launcher {i}") for i in range(2)]
        for launcher in launchers:
            launcher.end()
        again = Launcher(tmp_path, "again").end()
    runs, trials = load_runs("g", uri(tmp_path)), load_trials("g", uri(tmp_path))
    assert sorted(zip(runs["net"], runs["seed"], strict=True)) == [
        (n, s) for n in ("plain-8", "resnet-8") for s in (0, 1)
    ]
    assert (runs["status"] == "FINISHED").all()
    assert trials.groupby("net")["number"].apply(list).tolist() == [[0, 1, 2, 3]] * 2
    assert trials.groupby("net")["chosen"].sum().tolist() == [1, 1]
    assert "4 runs were done before" in again
    assert not (tmp_path / "optuna.db").exists()
