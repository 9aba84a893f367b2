"""Read a study from MLflow as pandas frames: runs, curves, trials and probes. Errors are in percent, steps iterations.

MLflow, which is slow to import, is only imported to read curves, data sets and probes.
"""

import io
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import find_experiment, newest_study, read_runs
from study.track.processes import scratch_folder
from study.track.snapshot import Provenance, Snapshot, take_snapshot
from study.track.tags import COUNTS, CURVES, DONE, FINALS, NET_COLUMNS, PROBE_COLUMNS, PROBE_TABLES
from study.track.uri import tracking_uri
from study.track.validation import check_runs

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from study.track.datasets import DatasetRecord
    from study.track.history import History

ORDER = ("variant", "architecture", "depth", "split_seed", "seed")
"""Of the rows of runs and curves."""


@dataclass(frozen=True, eq=False)
class Study:
    """A study at one moment: all data of a report."""

    name: str
    runs: pd.DataFrame
    """As `load_runs` returns them."""
    curves: pd.DataFrame
    """As `load_curves` returns them."""
    trials: pd.DataFrame
    """As `load_trials` returns them."""
    datasets: tuple["DatasetRecord", ...]
    """As `load_datasets` returns them."""
    probes: dict[str, pd.DataFrame]
    """As `load_probes` returns them."""
    provenance: Provenance


@dataclass(frozen=True)
class SearchResult:
    """The point that a learning-rate search chose, and its net."""

    net: str
    shortcut: str
    width: float
    variant: str
    point: dict[str, float]
    """The rate and the other searched fields."""
    own: str = ""
    """Place and digest of the function that builds it, if it's a net of the user's own."""


def load_study(experiment: str | None = None, uri: str | None = None) -> Study:
    """Return all data of a study.

    Raises:
        StudyError: no such experiment.
        Unreachable: MLflow doesn't answer.
    """
    return complete_study(take_snapshot(experiment or newest_study(uri), uri))


def complete_study(snapshot: Snapshot) -> Study:
    """Read the rest of a study.

    Raises:
        Unreachable: MLflow doesn't answer.
    """
    from study.track.client import connect, translate_errors
    from study.track.datasets import datasets_of
    from study.track.provenance import provenance_of

    with translate_errors(snapshot.uri):
        client, runs = connect(snapshot.uri), runs_frame(snapshot.records)
        return Study(
            snapshot.name,
            runs,
            read_curves(client, runs),
            trials_frame(snapshot.records),
            tuple(datasets_of(client, snapshot.records)),
            read_probes(client, runs),
            provenance_of(snapshot),
        )


def load_runs(experiment: str | None = None, uri: str | None = None) -> pd.DataFrame:
    """Return the runs of a study, a row each, without trials; runs that can't be read are left out with a warning.

    Columns: run_id, run_key, planned_key (before its rate was searched), name (without its variant), outcome and
    status, architecture, depth (int), net, variant, split_seed and seed (int), lr (float), lr_tuned (bool), the final
    errors and losses (NaN where a run hasn't ended), seconds, images_per_second, step (the last logged),
    total_iterations, train_images, test_images, skipped_images, classes, parameters, multiply_adds (int), start_time,
    device, precision (that it was trained in), probes (that were made, by name), commit, code (digest of what decides
    results) and torch (both of each attempt in turn), fingerprint (of the data set), and the recipe's fields as text.

    Raises:
        StudyError: no such experiment.
    """
    return runs_frame(_usable_runs(experiment, uri, "run"))


def load_trials(experiment: str | None = None, uri: str | None = None) -> pd.DataFrame:
    """Return the learning-rate trials of a study, a row each.

    A trial with several seeds has a row for each, of the same number. Columns: architecture, depth, net, variant,
    number, seed, lr, objective (its name), value (of a pruned trial the running one when it was stopped; NaN while it
    runs), train_error (running, of the last point), the final errors and losses (NaN where it was stopped), state
    (complete, pruned, diverged, running, failed), step, chosen (bool: the point that its search found), edge (lowest or
    highest where the chosen rate is the last one tried on that side, else empty), low and high (the bounds asked for),
    point (in JSON, all searched fields), began (the start of its search: a study whose settings were changed has
    several searches of a net), run_id.

    Raises:
        StudyError: no such experiment.
    """
    return trials_frame([run for kind in ("tuning", "trial") for run in _usable_runs(experiment, uri, kind)])


def load_search_results(experiment: str, uri: str | None = None) -> list[SearchResult]:
    """Return the results of the finished searches of a study, the newest first, for use in another study.

    Raises:
        StudyError: no such experiment.
    """
    return [
        SearchResult(
            net=run.params["net"],
            shortcut=run.params.get("shortcut", ""),
            width=float(run.params.get("width", 1)),
            variant=run.tags.get(tag.VARIANT, ""),
            point=json.loads(run.tags[tag.CHOSEN]),
            own=run.tags.get(tag.OWN_NETS, ""),
        )
        for run in _usable_runs(experiment, uri, "tuning")
        if run.outcome == "finished" and run.params
    ]


def load_curves(experiment: str | None = None, uri: str | None = None) -> pd.DataFrame:
    """Return the curves of a study, a row per run and step; columns `NET_COLUMNS`, step, and each metric of `CURVES`.

    Raises:
        StudyError: no such experiment.
    """
    from study.track.client import connect

    runs = load_runs(experiment, uri)
    return read_curves(connect(uri or tracking_uri()), runs)


def load_probes(experiment: str | None = None, uri: str | None = None) -> dict[str, pd.DataFrame]:
    """Return the measurements of a study's runs by table: `gradients`, `surface`, ...

    Columns: `PROBE_COLUMNS`, step (iterations done), and the table's own, which the probe's docstring in `study.probe`
    explains.

    Raises:
        StudyError: no such experiment.
    """
    from study.track.client import connect

    return read_probes(connect(uri or tracking_uri()), load_runs(experiment, uri))


def _usable_runs(experiment: str | None, uri: str | None, kind: str) -> list[StoredRun]:
    """Return the runs of a kind that can be used of a study, by default the newest; warn of each other one."""
    experiment_id = find_experiment(experiment or newest_study(uri), uri)
    usable, lines = check_runs(read_runs(experiment_id, uri or tracking_uri(), kind))
    for line in lines:
        warnings.warn(line, stacklevel=3)
    return usable


def runs_frame(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """Return the rows of `load_runs`, from the runs of all kinds."""
    rows = [_run_row(run) for run in _with_params(runs, "run")]
    frame = pd.DataFrame(rows, columns=None if rows else [*NET_COLUMNS, "outcome", "status", "lr", *FINALS])
    return frame.sort_values([*ORDER], ignore_index=True) if rows else frame


def trials_frame(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """Return the rows of `load_trials`, from the runs of all kinds."""
    searches = {run.run_id: run for run in _with_params(runs, "tuning")}
    rows = [_trial_row(run, searches.get(run.tags.get(tag.PARENT, ""))) for run in _with_params(runs, "trial")]
    columns = (
        "architecture depth net variant number seed lr objective value state step chosen edge low high point began"
    )
    frame = pd.DataFrame(rows, columns=[*columns.split(), *FINALS, "run_id"])
    return frame.sort_values(["variant", "architecture", "depth", "number", "seed"], ignore_index=True)


def _with_params(runs: Sequence[StoredRun], kind: str) -> list[StoredRun]:
    """Return the runs of a kind; leave out a run that is being created, which has no parameters yet."""
    return [run for run in runs if run.kind == kind and run.params]


def _trial_row(run: StoredRun, search: StoredRun | None) -> dict[str, Any]:
    tags, row = run.tags, _run_row(run)
    parent = search.tags if search else {}
    low, high = json.loads(parent.get(tag.BOUNDS, "[null, null]"))
    return {column: row[column] for column in ("architecture", "depth", "net", "variant")} | {
        "number": int(tags.get(tag.TRIAL, -1)),
        "seed": row["seed"],
        "lr": row["lr"],
        "objective": tags.get(tag.OBJECTIVE, ""),
        "value": run.metrics.get("objective", float("nan")),
        "state": "complete" if run.outcome == "finished" else run.outcome,
        "step": row["step"],
        "chosen": tag.POINT in tags and tags[tag.POINT] == parent.get(tag.CHOSEN),
        "edge": parent.get(tag.EDGE, ""),
        "low": low,
        "high": high,
        "point": tags.get(tag.POINT, ""),
        "began": pd.Timestamp(search.start_time if search else 0, unit="ms"),
        "train_error": run.metrics.get("train_error", float("nan")),
        **{key: row[key] for key in FINALS},
        "run_id": run.run_id,
    }


def _run_row(run: StoredRun) -> dict[str, Any]:
    """Turn a run into a row; its recipe's fields stay text."""
    tags, params, metrics = run.tags, run.params, run.metrics
    row: dict[str, Any] = dict(params)
    variant = tags.get(tag.VARIANT, "")
    row |= {
        "run_id": run.run_id,
        "run_key": run.key,
        "planned_key": tags.get(tag.PLANNED, run.key),
        "name": run.name.removesuffix(f" ({variant})"),
        "outcome": run.outcome,
        "status": run.status,
        "reason": tags.get(tag.REASON, ""),
        "architecture": params.get("architecture", ""),
        "depth": int(params.get("depth", 0)),
        "net": params.get("net", ""),
        "variant": variant,
        "split_seed": int(params.get("split_seed", 0)),
        "seed": int(params.get("seed", 0)),
        "lr": _number(params.get("lr")),
        "lr_tuned": tags.get(tag.LR_TUNED) == "true",
        "probes": tags.get(tag.PROBES, ""),
        "start_time": pd.Timestamp(run.start_time, unit="ms"),
        "device": tags.get(tag.DEVICE, ""),
        "precision": tags.get(tag.PRECISION, ""),
        "commit": tags.get(tag.COMMIT, ""),
        "code": tags.get(tag.CODE, ""),
        "torch": tags.get(tag.TORCH, ""),
        "fingerprint": run.digest,
    }
    row |= {key: metrics.get(key, float("nan")) for key in ("seconds", "images_per_second", *FINALS)}
    row |= {key: int(params.get(key, 0) or 0) for key in COUNTS}
    row["step"] = round(metrics.get("system/epoch", 0) * row["iterations_per_epoch"])
    return row


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")  # 'tune', of a search


def read_curves(client: "MlflowClient", runs: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of the runs of `load_runs`, as `load_curves` does; NaN where a metric has no value."""
    from study.track.history import read_histories

    ids = [str(run_id) for run_id in runs["run_id"]]
    return curves_frame(runs, read_histories(client, ids, CURVES) if ids else {})


def curves_frame(runs: pd.DataFrame, histories: dict[str, "History"]) -> pd.DataFrame:
    """Join the histories of metrics to one frame, ordered by variant, architecture, depth, split, seed and step."""
    if not any(len(history.step) for history in histories.values()):
        return pd.DataFrame(columns=[*NET_COLUMNS, "step", *CURVES])
    run, step = (np.concatenate([getattr(history, part) for history in histories.values()]) for part in ("run", "step"))
    first, width = step.min(), np.ptp(step) + 1
    # Each pair of run and step once, ordered by both, and the position of every value among these pairs.
    pairs, position = np.unique(run * width + (step - first), return_inverse=True)
    run, step = pairs // width, pairs % width + first
    data = {"step": step}
    ends = np.cumsum([len(history.step) for history in histories.values()])
    for (key, history), places in zip(histories.items(), np.split(position, ends[:-1]), strict=True):
        data[key] = np.full(len(step), np.nan)
        data[key][places] = history.value
    nets = runs[NET_COLUMNS].iloc[run].reset_index(drop=True)
    group = runs.groupby([key for key in ORDER if key in runs]).ngroup().to_numpy()[run]
    curves: pd.DataFrame = pd.concat([nets, pd.DataFrame(data)], axis=1)
    order: np.ndarray = np.lexsort((step, group))
    return curves.iloc[order].reset_index(drop=True)


def read_probes(client: "MlflowClient", runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of `load_probes` for the runs of `load_runs`; leave out missing or damaged ones."""
    parts: dict[str, list[pd.DataFrame]] = {}
    measured = runs[runs["probes"] != ""] if "probes" in runs else runs.iloc[:0]
    for _, run in measured[measured["outcome"].isin(DONE)].iterrows():
        for name, table in _probe_tables(client, str(run["run_id"])):
            net = pd.DataFrame({column: run[column] for column in PROBE_COLUMNS}, index=table.index)
            parts.setdefault(name, []).append(pd.concat([net, table], axis="columns"))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def _probe_tables(client: "MlflowClient", run_id: str) -> Iterator[tuple[str, pd.DataFrame]]:
    with scratch_folder("study-files-") as folder:
        try:
            files = sorted(Path(client.download_artifacts(run_id, PROBE_TABLES, folder)).glob("*.parquet"))
        except Exception:  # each kind of store has its own errors; a report works without
            return
        for file in files:
            try:  # from bytes, since a damaged file would leave a handle open
                table = pd.read_parquet(io.BytesIO(file.read_bytes()))
            except Exception:  # readers of damaged files may raise any error
                continue
            if len(table) and "step" in table:
                yield file.stem, table
