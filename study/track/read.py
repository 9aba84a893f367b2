"""From MLflow to pandas: a row a run, a row a point, a row a trial. Errors are in percent, steps are iterations."""

import json
from typing import Any

import pandas as pd

from study.track import words
from study.track.find import find_experiment, read_runs
from study.track.place import tracking_uri
from study.track.sound import warned
from study.track.stored import StoredRun


def load_runs(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """Return the runs of a study, a row each; trials are left out, and so are, with a warning, runs that can't be read.

    Columns: run_id, run_key, name, outcome and status, architecture, depth (int), net, variant, seed (int), lr
    (float), lr_tuned (bool), the final errors and losses (NaN where a run hasn't ended), seconds, images_per_second,
    step (the last logged), total_iterations, train_images, test_images, skipped_images, classes, parameters,
    multiply_adds (int), start_time, device, precision (that it was trained in), probes (that
    were made, by name), commit, code (digest of what decides
    results) and torch (both of each attempt in turn), fingerprint (of the data set), and the recipe's fields as text.

    Raises:
        StudyError: no such experiment.
    """
    return runs_frame(_runs_of(experiment, uri, "run"))


def load_curves(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """Return the curves of a study: a row a run and step; columns `words.NET_COLUMNS`, step, and each metric."""
    from study.track.connect import connect
    from study.track.curves import read_curves

    runs = load_runs(experiment, uri)
    return read_curves(connect(uri or tracking_uri()), runs)


def load_trials(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """Return the learning-rate trials of a study, a row each.

    A trial with several seeds has a row each, of the same number. Columns: architecture, depth, net, variant, number,
    seed, lr, objective (its name), value (of a pruned trial the running one when it was stopped; NaN while it runs),
    train_error (running, of the last point), the final errors and losses (NaN where it was stopped), state (complete,
    pruned, diverged, running, failed), step, chosen (bool: the point that its search found), edge (lowest or highest
    where the chosen rate is the last one tried on that side, else empty), low and high (the bounds asked for), point
    (in JSON, whatever is searched), began (when its search did: a study whose settings were changed has several of a
    net), run_id.
    """
    return trials_frame([run for kind in ("tuning", "trial") for run in _runs_of(experiment, uri, kind)])


def runs_frame(runs: list[StoredRun]) -> pd.DataFrame:
    """Return the rows of `load_runs`, from whatever of a study was read."""
    rows = [_run_row(run) for run in _whole(runs, "run")]
    frame = pd.DataFrame(rows, columns=None if rows else [*words.NET_COLUMNS, "outcome", "status", "lr", *words.FINALS])
    return frame.sort_values(["variant", "architecture", "depth", "seed"], ignore_index=True) if rows else frame


def trials_frame(runs: list[StoredRun]) -> pd.DataFrame:
    """Return the rows of `load_trials`, from whatever of a study was read."""
    searches = {run.run_id: run for run in _whole(runs, "tuning")}
    rows = [_trial_row(run, searches.get(run.tags.get(words.PARENT, ""))) for run in _whole(runs, "trial")]
    columns = (
        "architecture depth net variant number seed lr objective value state step chosen edge low high point "
        "began".split()
    )
    frame = pd.DataFrame(rows, columns=[*columns, *words.FINALS, "run_id"])
    return frame.sort_values(["variant", "architecture", "depth", "number", "seed"], ignore_index=True)


def _runs_of(experiment: str, uri: str | None, kind: str) -> list[StoredRun]:
    return warned(read_runs(find_experiment(experiment, uri), uri or tracking_uri(), kind))


def _whole(runs: list[StoredRun], kind: str) -> list[StoredRun]:
    """Return the runs of a kind, but for one that is being made at this moment: it has no parameters yet."""
    return [run for run in runs if run.tags.get(words.KIND) == kind and run.params]


def _trial_row(run: StoredRun, search: StoredRun | None) -> dict[str, Any]:
    tags, row = run.tags, _run_row(run)
    parent = search.tags if search else {}
    outcome = str(row["outcome"])
    bounds = json.loads(parent.get(words.BOUNDS, "[null, null]"))
    return {column: row[column] for column in ("architecture", "depth", "net", "variant")} | {
        "number": int(tags.get(words.TRIAL, -1)),
        "seed": row["seed"],
        "lr": row["lr"],
        "objective": tags.get(words.OBJECTIVE, ""),
        "value": run.metrics.get("objective", float("nan")),
        "state": {"finished": "complete"}.get(outcome, outcome),
        "step": row["step"],
        "chosen": words.POINT in tags and tags[words.POINT] == parent.get(words.CHOSEN),
        "edge": parent.get(words.EDGE, ""),
        "low": bounds[0],
        "high": bounds[1],
        "point": tags.get(words.POINT, ""),
        "began": pd.Timestamp(search.start_time if search else 0, unit="ms"),
        "train_error": run.metrics.get("train_error", float("nan")),
        **{key: row[key] for key in words.FINALS},
        "run_id": run.run_id,
    }


def _run_row(run: StoredRun) -> dict[str, Any]:
    """Turn a run into a row; its recipe's fields stay text."""
    tags, params, metrics = run.tags, run.params, run.metrics
    row: dict[str, Any] = dict(params)
    row |= {
        "run_id": run.run_id,
        "run_key": tags.get(words.KEY, ""),
        "name": run.name,
        "outcome": tags.get(words.OUTCOME, "running"),
        "status": run.status,
        "reason": tags.get(words.REASON, ""),
        "architecture": params.get("architecture", ""),
        "depth": int(params.get("depth", 0)),
        "net": params.get("net", ""),
        "variant": tags.get(words.VARIANT, ""),
        "seed": int(params.get("seed", 0)),
        "lr": _number(params.get("lr")),
        "lr_tuned": tags.get(words.LR_TUNED) == "true",
        "probes": tags.get(words.PROBES, ""),
        "start_time": pd.Timestamp(run.start_time, unit="ms"),
        "device": tags.get(words.DEVICE, ""),
        "precision": tags.get(words.PRECISION, ""),
        "commit": tags.get(words.COMMIT, ""),
        "code": tags.get(words.CODE, ""),
        "torch": tags.get(words.TORCH, ""),
        "fingerprint": run.digest,
        "seconds": metrics.get("seconds", float("nan")),
        "images_per_second": metrics.get("images_per_second", float("nan")),
    }
    row |= {key: metrics.get(key, float("nan")) for key in words.FINALS}
    row |= {key: int(params.get(key, 0) or 0) for key in words.COUNTS}
    row["step"] = round(metrics.get("epoch", 0) * row["iterations_per_epoch"])
    return row


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")  # 'tune', of a search
