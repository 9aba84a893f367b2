"""All that a grid left in MLflow, counted in its own tables against what the grid asks for."""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from sqlalchemy import Connection, create_engine, text

CURVES = ("train_error", "train_loss", "test_error", "test_loss", "validation_error", "lr", "images_per_second")
"""Curves with a column of the same name in curves.csv; beside them stand the epoch and the memory."""
OTHERS = {"epoch": "epoch", "system/process_memory_mib": "memory_mib"}
FINALS = ("train_error", "train_loss", "train_error_augmented", "test_error", "test_loss", "validation_error",
          "validation_loss")  # fmt: skip
FILES = ("spec.json", "environment.json", "curves.csv", "checkpoint/checkpoint.pt")
TAGS = ("study.cell_key", "study.variant", "study.owner", "study.device", "study.precision", "study.lr_tuned")


@dataclass
class Counted:
    """What was found, and what is wrong with it, in lines."""

    ends: list[float] = field(default_factory=list)
    """When runs ended, in seconds since 1970, in order."""
    values: int = 0
    """Logged values of metrics."""
    asked: int = 0
    wrong: list[str] = field(default_factory=list)


def count_all(uri: str, folder: Path, grid_text: str) -> Counted:
    """Compare MLflow's tables at `uri`, and the artifacts, with a grid that was run in `folder`."""
    from study.config import parse_grid
    from study.data import load_dataset

    grid = parse_grid(grid_text, "bench")
    fingerprint = load_dataset(grid.points[0].dataset).fingerprint
    asked = {spec.run_key(fingerprint): spec for spec in grid.runs()}
    counted = Counted()
    engine = create_engine(uri)
    with engine.connect() as database:
        tags = _pairs(database, "tags")
        params = _pairs(database, "params")
        keys = {run: values.get("study.run_key", "") for run, values in tags.items()
                if values.get("study.kind") == "run"}  # fmt: skip
        counted.wrong += _wrong_keys(Counter(keys.values()), set(asked))
        rows = database.execute(text("SELECT run_uuid, status, end_time, artifact_uri FROM runs")).fetchall()
        counted.wrong += [f"run {row.run_uuid}: {row.status}" for row in rows if row.status != "FINISHED"]
        counted.ends = sorted(row.end_time / 1000 for row in rows if row.run_uuid in keys and row.end_time)
        places = {row.run_uuid: folder / urlparse(row.artifact_uri).path for row in rows}
        history, latest = _history(database), _latest(database)
    engine.dispose()
    for run, key in keys.items():
        if key in asked:
            counted.asked += _values_of(asked[key])
            counted.values += sum(len(points) for points in history[run].values())
            found = [*_wrong_metrics(asked[key], history[run], latest[run], places[run]),
                     *_wrong_words(asked[key], params[run], tags[run]), *_wrong_files(places[run])]  # fmt: skip
            counted.wrong += [f"{asked[key].net} seed {asked[key].seed}: {line}" for line in found]
    return counted


def _pairs(database: Connection, table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for run, key, value in database.execute(text(f"SELECT run_uuid, key, value FROM {table}")):
        found[run][key] = value
    return found


def _history(database: Connection) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Return every logged value by run and metric, in the order of steps."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for run, key, step, value in database.execute(text("SELECT run_uuid, key, step, value FROM metrics ORDER BY step")):
        found[run][key].append((int(step), float(value)))
    return found


def _latest(database: Connection) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for run, key, value in database.execute(text("SELECT run_uuid, key, value FROM latest_metrics")):
        found[run][key] = float(value)
    return found


def _wrong_keys(found: Counter[str], asked: set[str]) -> Iterator[str]:
    """Every run of the grid must be there, once, and none besides."""
    yield from (f"run {key} was never begun" for key in asked - set(found))
    yield from (f"run {key} isn't one of the grid's" for key in set(found) - asked)
    yield from (f"run {key} stands there {number} times" for key, number in found.items() if number > 1)


def _steps(spec: Any) -> list[int]:
    """Return the iterations at which a run has a point."""
    total, every = spec.recipe.iterations, spec.recipe.evaluate_every
    return sorted({*range(every, total + 1, every), total})


def _values_of(spec: Any) -> int:
    return len(_steps(spec)) * (len(CURVES) + len(OTHERS)) + len(FINALS) + 1


def _wrong_metrics(
    spec: Any, history: Mapping[str, list[tuple[int, float]]], latest: Mapping[str, float], place: Path
) -> Iterator[str]:
    """Every curve must have every point, with the value that the launcher heard; the final figures must be there."""
    steps = _steps(spec)
    columns = {**{key: key for key in CURVES}, **OTHERS}
    finals = {*(f"final_{name}" for name in FINALS), "seconds"}
    heard = list(csv.DictReader((place / "curves.csv").open())) if (place / "curves.csv").exists() else []
    for key, column in columns.items():
        points = history.get(key, [])
        if [step for step, _ in points] != steps:
            yield f"{key} has {len(points)} points of {len(steps)}"
        elif any(not math.isclose(value, float(row[column])) for (_, value), row in zip(points, heard, strict=False)):
            yield f"{key} isn't what curves.csv has"
    if [int(row["step"]) for row in heard] != steps:
        yield f"curves.csv has {len(heard)} points of {len(steps)}"
    for key in finals:
        if [step for step, _ in history.get(key, [])] != [steps[-1]]:
            yield f"{key} has {len(history.get(key, []))} values at the last step"
    yield from (f"metric {key} isn't asked for" for key in set(history) - set(columns) - finals)
    for key, points in history.items():
        if key not in latest or latest[key] != points[-1][1]:
            yield f"the last value of {key} isn't that of its last step"


def _wrong_words(spec: Any, params: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[str]:
    """Parameters are the recipe's, the data's and the net's."""
    asked = {key: value for key, value in spec.identity()["recipe"].items() if value is not None}
    asked |= {"seed": spec.seed, "net": spec.net, "depth": spec.depth, "architecture": spec.architecture}
    asked |= {"dataset": spec.dataset.name, "total_iterations": spec.recipe.iterations}
    asked |= spec.dataset.model_dump(exclude={"name", "root"}, exclude_none=True)
    for key, value in asked.items():
        if params.get(key) != str(value):
            yield f"parameter {key} is {params.get(key)}, not {value}"
    for key in ("parameters", "multiply_adds", "train_images", "test_images", "classes", "iterations_per_epoch"):
        if not params.get(key, "").isdecimal():
            yield f"parameter {key} is {params.get(key)}"
    if tags.get("study.outcome") != "finished":
        yield f"its outcome is {tags.get('study.outcome')}"
    yield from (f"tag {key} is missing" for key in TAGS if key not in tags)


def _wrong_files(place: Path) -> Iterator[str]:
    for name in FILES:
        if not (place / name).is_file() or not (place / name).stat().st_size:
            yield f"artifact {name} is missing"
