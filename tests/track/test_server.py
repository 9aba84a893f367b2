"""A study on a tracking server: MLflow's own, on this machine."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from study.track import history
from study.track.frames import load_study
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.uri import Unreachable
from tests.conftest import run_study

from .servers import Server
from .test_store import POINT, begin, uri

pytestmark = pytest.mark.slow
SIZES = {"dataset": "digits", "total_iterations": 60, "train_images": 90, "test_images": 45}


def test_a_server_gives_what_its_database_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bulk; also where an answer is cut in the middle of a run. And the page is made, until the server is gone."""
    store = Store("s", uri(tmp_path))
    for depth, net in ((8, "plain-8"), (14, "plain-14")):
        for seed in (0, 1):
            run = begin(store, f"{net}{seed}", depth=depth, net=net, seed=seed, **SIZES)
            store.log_points(
                run, [replace(POINT, step=step, train_error=step / 3 + seed) for step in range(10, 61, 10)]
            )
            final = {"final_train_error": depth + seed / 7, "final_test_error": 20.0, "seconds": 3.0}
            store.end(run, "finished", step=60, metrics=final)
    here = load_study("s", store.uri)
    with Server(tmp_path) as server:
        address = server.address
        for values in (history.BULK_VALUES, 9):
            monkeypatch.setattr(history, "BULK_VALUES", values)
            there = load_study("s", address)
            pd.testing.assert_frame_equal(there.curves, here.curves, check_exact=True)
            pd.testing.assert_frame_equal(there.runs, here.runs, check_exact=True)
        done = run_study(tmp_path, "report", "-e", "s", MLFLOW_TRACKING_URI=address)
        assert done.returncode == 0, done.stderr
        assert "plain-14" in (tmp_path / "reports" / "s" / "index.html").read_text()
    with pytest.raises(Unreachable, match=f"can't be reached at {address}"):
        take_snapshot("s", address)
