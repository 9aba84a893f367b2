"""What must hold of a study however often it was disturbed."""

from pathlib import Path

import pandas as pd
from sqlalchemy import NullPool, create_engine, text

from study.track.frames import load_curves, load_runs, load_trials
from tests.launch.processes import records, uri

CURVE = ["net", "seed", "step", "train_error", "train_loss", "test_error", "test_loss", "lr"]
TRIAL = ["net", "number", "seed", "lr", "value", "state", "chosen", "edge"]
FINALS = ["net", "seed", "final_train_error", "final_train_loss", "final_test_error", "lr", "status"]
SHORT = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 16, batch_size: 16, lr: tune, precision: fp32}
tune: {trials: 2, sampler: none, low: 0.01, high: 0.1, confirm: 0}
grid: {net: [plain-8, resnet-8], seed: [0, 1]}
"""
"""A grid in which faults are injected."""
ONE_NET = SHORT.replace("net: [plain-8, resnet-8], seed: [0, 1]", "net: plain-8, seed: 0")
"""The same where a search and a run are enough."""
TWICE = """
SELECT run_uuid, key, step, COUNT(*) FROM metrics GROUP BY run_uuid, key, step HAVING COUNT(*) > 1
"""


def check_whole(
    folder: Path,
    undisturbed: Path,
    address: str | None = None,
    *,
    database: str | None = None,
    storage: str | None = None,
) -> None:
    """Every run and trial once, with the bits it has when nothing disturbs it; no step twice, nothing left RUNNING.

    MLflow is at `address`, and its tables in `database`; trials and leases are in `storage`; or else all in `folder`.
    """
    there, expected = address or uri(folder), uri(undisturbed)
    assert {record.status for record in records(folder, address)} == {"FINISHED"}
    runs = load_runs("g", there)
    assert runs["run_key"].is_unique
    pd.testing.assert_frame_equal(runs[FINALS], load_runs("g", expected)[FINALS], check_exact=True)
    curves, others = load_curves("g", there)[CURVE], load_curves("g", expected)[CURVE]
    pd.testing.assert_frame_equal(curves, others, check_exact=True)
    if not load_trials("g", expected).empty:
        trials, others = load_trials("g", there)[TRIAL], load_trials("g", expected)[TRIAL]
        pd.testing.assert_frame_equal(trials, others, check_exact=True)
    assert _rows(database or uri(folder), TWICE) == []
    assert _rows(storage or f"sqlite:///{folder / 'optuna.db'}", "SELECT key FROM study_leases") == []
    assert not list((folder / "mlruns" / ".checkpoints" / "g").glob("*"))


def _rows(database: str, query: str) -> list[object]:
    with create_engine(database, poolclass=NullPool).connect() as connection:
        return list(connection.execute(text(query)).fetchall())
