"""Read metrics of many runs at once: by SQL from a database, in bulk from a server, or by a call per run and metric."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.rest_utils import http_request
from numpy.typing import NDArray

from study.track.database import metric_values

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
"""The address at which a tracking server returns one metric of several runs, as for its own pages."""
BULK_RUNS, BULK_VALUES = 100, 25_000
"""Maximal runs and values in one answer of a server."""
THREADS = 4


class History(NamedTuple):
    """Values of one metric, one per run and step: arrays of (points,), ordered by run and step."""

    run: NDArray[np.int64]
    """Position among the requested runs."""
    step: NDArray[np.int64]
    value: NDArray[np.float64]


Row = tuple[str, int, int, float, bool]
"""Run id, step, time in milliseconds, value as stored (0 for NaN), whether it is NaN."""
Part = tuple[str, Iterable[Sequence[Row]]]
"""A metric and its rows, in parts."""


def read_histories(client: MlflowClient, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, History]:
    """Return the whole history of each metric for all these runs; of a step logged twice, take the later value.

    Of two values of one step and millisecond take the larger one, as MLflow itself does. Infinity is returned as
    MLflow stores it, 1.8e308.
    """
    position = {run_id: i for i, run_id in enumerate(run_ids)}
    read = _from_database if hasattr(client._tracking_client.store, "engine") else _from_server
    return {key: _history(rows, position) for key, rows in read(client, run_ids, keys)}


def _history(parts: Iterable[Sequence[Row]], position: dict[str, int]) -> History:
    run, step, time, stored, nan = (
        np.concatenate(arrays) for arrays in zip(_NOTHING, *(_arrays(part, position) for part in parts), strict=True)
    )
    order = np.lexsort((nan, stored, time, step, run))
    run, step, value = run[order], step[order], np.where(nan, np.nan, stored)[order]
    last = np.append((run[1:] != run[:-1]) | (step[1:] != step[:-1]), True)[: len(run)]
    return History(run[last], step[last], value[last])


_TYPES = (np.int64, np.int64, np.int64, np.float64, np.bool_)
_NOTHING = tuple(np.empty(0, dtype=kind) for kind in _TYPES)


def _arrays(rows: Sequence[Row], position: dict[str, int]) -> tuple[NDArray[Any], ...]:
    columns = (map(itemgetter(i), rows) for i in range(len(_TYPES)))
    places = map(position.__getitem__, next(columns))
    return tuple(np.fromiter(column, kind, len(rows)) for column, kind in zip((places, *columns), _TYPES, strict=True))


def _from_database(client: MlflowClient, run_ids: Sequence[str], keys: Sequence[str]) -> Iterator[Part]:
    """Yield each metric with its rows, in parts, by SQL."""
    with client._tracking_client.store.engine.connect() as connection:
        for key in keys:
            yield key, metric_values(connection, run_ids, key)


def _from_server(client: MlflowClient, run_ids: Sequence[str], keys: Sequence[str]) -> Iterator[Part]:
    """Request a metric of many runs at a time, or of each run alone if the server doesn't know that request."""
    with ThreadPoolExecutor(THREADS) as threads:
        for key, rows in zip(keys, threads.map(_in_bulk, repeat(client), repeat(run_ids), keys), strict=True):
            yield key, [rows] if rows is not None else threads.map(_one_run, repeat(client), run_ids, repeat(key))


def _in_bulk(client: MlflowClient, run_ids: Sequence[str], key: str) -> list[Row] | None:
    """Return a metric's values for all these runs, or None where the server doesn't return them in bulk.

    An answer is ordered by run and silently ends after `BULK_VALUES` values: its last run is then read alone.
    """
    credentials = client._tracking_client.store.get_host_creds()
    rows: list[Row] = []
    remaining = sorted(run_ids)
    while remaining:
        requested = remaining[:BULK_RUNS]
        query = [("metric_key", key), ("max_results", BULK_VALUES), *(("run_id", run_id) for run_id in requested)]
        answer = http_request(credentials, BULK, "GET", params=query)
        if answer.status_code in (404, 405):
            return None
        if answer.status_code != 200:
            raise MlflowException(f"{BULK} answers {answer.status_code}: {answer.text[:200]}")
        metrics = answer.json()["metrics"]
        part = [_row(value["run_id"], value["step"], value["timestamp"], value["value"]) for value in metrics]
        remaining = remaining[len(requested) :]
        if len(part) == BULK_VALUES:
            last_run = part[-1][0]
            part = [row for row in part if row[0] != last_run] + _one_run(client, last_run, key)
            remaining = [run_id for run_id in (*requested, *remaining) if run_id > last_run]
        rows += part
    return rows


def _one_run(client: MlflowClient, run_id: str, key: str) -> list[Row]:
    history = client.get_metric_history(run_id, key)
    return [_row(run_id, metric.step, metric.timestamp, metric.value) for metric in history]


def _row(run_id: str, step: int, time: int, value: float) -> Row:
    nan = value != value
    return run_id, int(step), int(time), 0.0 if nan else float(value), nan
