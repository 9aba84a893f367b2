import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Metric

from study.track import database, history
from study.track.frames import curves_frame, load_curves, load_runs
from study.track.history import History, read_histories
from study.track.store import Store
from study.track.tags import CURVES

from .test_store import POINT, begin, uri


def slowly(store: Store, run_ids: Sequence[str]) -> dict[str, History]:
    """Return what MLflow's public call gives, a run and metric at a time, by its own rule."""
    found = {}
    for key in CURVES:
        run, step, value = [], [], []
        for i, run_id in enumerate(run_ids):
            logged = sorted(store.client.get_metric_history(run_id, key), key=lambda metric: metric.timestamp)
            values = {metric.step: metric.value for metric in logged}
            for at in sorted(values):
                run.append(i)
                step.append(at)
                value.append(values[at])
        found[key] = History(np.array(run, np.int64), np.array(step, np.int64), np.array(value, np.float64))
    return found


def same(a: dict[str, History], b: dict[str, History]) -> bool:
    """Whether two histories are the same to the last bit, NaN included."""
    return all(np.array_equal(x, y, equal_nan=True) for key in CURVES for x, y in zip(a[key], b[key], strict=True))


@pytest.fixture
def odd(tmp_path: Path) -> Store:
    """A study with all that can be odd in a history."""
    store = Store("odd", uri(tmp_path))
    first, second, _ = (begin(store, key) for key in ("a", "b", "c"))
    store.log_points(first, [replace(POINT, step=step, train_error=100 / (step + 7)) for step in (30, 10, 20)])
    store.log_points(second, [POINT])  # being written at this moment
    values = [
        ("train_error", 1.0, 5000, 10),
        ("train_error", 3.0, 9000, 40),
        ("train_error", 2.0, 9001, 40),
        ("train_error", 7.0, 9001, 41),
        ("train_error", 8.0, 9001, 41),
        ("test_error", math.nan, 5000, 50),
        ("test_error", math.nan, 5000, 60),
        ("test_error", 4.0, 6000, 60),
        ("test_loss", math.inf, 5000, 70),
        ("lr", -math.inf, 5000, 70),
        ("train_loss", 0.1 + 0.2, 5000, 70),
    ]
    store.client.log_batch(second, metrics=[Metric(*value) for value in values])
    store.end(first, "finished")
    return store


def test_sql_is_equal_to_the_slow_way(odd: Store) -> None:
    ids = [record.run_id for record in odd.records()]
    found = read_histories(odd.client, ids, CURVES)
    assert same(found, slowly(odd, ids))
    second = {(int(step)): value for run, step, value in zip(*found["train_error"], strict=True) if ids[run] == ids[1]}
    assert second == {10: 50.0, 40: 2.0, 41: 8.0}  # the later stands, and of one moment the larger
    test = found["test_error"]
    assert np.isnan(test.value[test.step == 50]).all()
    assert test.value[test.step == 60].tolist() == [4.0]
    assert found["test_loss"].value.max() == pytest.approx(1.797e308, rel=1e-3)  # as MLflow keeps infinity


def test_a_real_study_is_equal_too(small_study: Path) -> None:
    store = Store("small", f"sqlite:///{small_study / 'mlflow.db'}")
    runs = load_runs("small", store.uri)
    histories = slowly(store, list(runs["run_id"]))
    pd.testing.assert_frame_equal(load_curves("small", store.uri), curves_frame(runs, histories), check_exact=True)


def test_many_runs_come_in_several_queries(odd: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [record.run_id for record in odd.records()]
    whole = read_histories(odd.client, ids, CURVES)
    monkeypatch.setattr(database, "RUNS_PER_QUERY", 1)
    monkeypatch.setattr(database, "VALUES_PER_FETCH", 2)
    assert same(read_histories(odd.client, ids, CURVES), whole)


class Server:
    """Answers as a tracking server does: runs in order, and no more than so many values, without a word."""

    def __init__(self, store: Store, status: int = 200) -> None:
        self.store, self.status, self.asked = store, status, 0

    def __call__(self, _credentials: Any, endpoint: str, _method: str, params: list[tuple[str, Any]]) -> Any:
        assert endpoint == history.BULK
        self.asked += 1
        key, most = (
            next(value for name, value in params if name == wanted) for wanted in ("metric_key", "max_results")
        )
        runs = sorted(value for name, value in params if name == "run_id")
        assert len(runs) <= history.BULK_RUNS
        rows = [
            {"run_id": run, "step": one.step, "timestamp": one.timestamp, "value": one.value}
            for run in runs
            for one in self.store.client.get_metric_history(run, key)
        ]
        return SimpleNamespace(status_code=self.status, text="broken", json=lambda: {"metrics": rows[:most]})


def through(store: Store, server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, History]:
    monkeypatch.setattr(history, "http_request", server)
    client = SimpleNamespace(
        _tracking_client=SimpleNamespace(store=SimpleNamespace(get_host_creds=lambda: None)),
        get_metric_history=store.client.get_metric_history,
    )
    return read_histories(client, [record.run_id for record in store.records()], CURVES)


@pytest.mark.parametrize(("runs", "values"), [(100, 25_000), (2, 25_000), (100, 8), (100, 7), (1, 6), (100, 1)])
def test_answers_that_are_cut_are_completed(
    odd: Store, runs: int, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BULK_RUNS", runs)
    monkeypatch.setattr(history, "BULK_VALUES", values)
    found = through(odd, Server(odd), monkeypatch)
    assert same(found, slowly(odd, [record.run_id for record in odd.records()]))


def test_an_old_server_is_asked_a_metric_at_a_time(odd: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(odd, status=404)
    found = through(odd, server, monkeypatch)
    assert server.asked == len(CURVES)
    assert same(found, slowly(odd, [record.run_id for record in odd.records()]))
    with pytest.raises(Exception, match="answers 500: broken"):
        through(odd, Server(odd, status=500), monkeypatch)
