"""The curves of a study as a frame: a row a run and step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient

from study.track import words
from study.track.history import History, read_histories


def read_curves(client: MlflowClient, runs: pd.DataFrame) -> pd.DataFrame:
    """Read the curves of these runs; columns `words.NET_COLUMNS`, step, and each metric of `words.CURVES`.

    `runs` are rows as `load_runs` gives them. Steps are iterations, errors percent; NaN where a metric has no value.
    """
    ids = [str(run_id) for run_id in runs["run_id"]]
    return curves_frame(runs, read_histories(client, ids, words.CURVES) if ids else {})


def curves_frame(runs: pd.DataFrame, histories: dict[str, History]) -> pd.DataFrame:
    """Set the histories of metrics side by side, by variant, architecture, depth, seed and step."""
    columns = [*words.NET_COLUMNS, "step", *words.CURVES]
    run, step = _points(list(histories.values()))
    if not len(run):
        return pd.DataFrame(columns=columns)
    data = {"step": step}
    for key in words.CURVES:
        column = np.full(len(step), np.nan)
        history = histories[key]
        column[_places(run, step, history)] = history.value
        data[key] = column
    nets = runs[words.NET_COLUMNS].iloc[run].reset_index(drop=True)
    group = runs.groupby(["variant", "architecture", "depth", "seed"]).ngroup().to_numpy()[run]
    frame = pd.concat([nets, pd.DataFrame(data)], axis=1)
    return frame.iloc[np.lexsort((step, group))].reset_index(drop=True)


def _points(histories: Sequence[History]) -> tuple[np.ndarray, np.ndarray]:
    """Return runs and steps, each pair once, at which any metric has a value."""
    if not histories:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    run, step = (np.concatenate([getattr(one, part) for one in histories]) for part in ("run", "step"))
    order = np.lexsort((step, run))
    run, step = run[order], step[order]
    first = np.append(True, (run[1:] != run[:-1]) | (step[1:] != step[:-1]))[: len(run)]
    return run[first], step[first]


def _places(run: np.ndarray, step: np.ndarray, history: History) -> np.ndarray:
    """Return where a history's points lie among all of them; both are ordered by run and step."""
    if not len(history.run):
        return np.empty(0, dtype=np.int64)
    low = int(step.min())
    width = int(step.max()) - low + 1
    places: np.ndarray = np.searchsorted(run * width + (step - low), history.run * width + (history.step - low))
    return places
