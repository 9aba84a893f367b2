"""Runs that this program didn't train, read from a CSV file as a study: its rule judges them like its own."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from study.errors import StudyError, nearest, printable
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.frames import Study, runs_frame, trials_frame

if TYPE_CHECKING:
    from study.track.provenance import Provenance

NEEDED = ("architecture", "depth", "seed", "final_train_error")
ERRORS = ("final_train_error", "final_test_error")
WHOLE = ("depth", "seed", "classes", "train_images", "test_images", "total_iterations")
"""Columns of whole numbers; those behind `seed` may be left out."""
LARGEST = 10**9
UNKNOWN = (
    "These runs weren't trained by this program. What {name} doesn't say isn't known: their curves, how rates were "
    "chosen and errors measured, whether all runs that were made are in it, and whether a rule was set before them."
)


def read_table(path: Path, classes: int | None = None) -> Study:
    """Return the runs of a CSV file as a study, named for the file.

    Columns: architecture (plain or residual), depth, seed, final_train_error in percent; where known final_test_error,
    variant, classes (or the argument: what guessing gives decides which runs failed), train_images and test_images
    (what one image is worth), total_iterations, lr. Any others are settings, as a recipe's fields are.

    Raises:
        StudyError: the file can't be read, or a row or column of it; with the line.
    """
    rows, digest = _rows(path)
    if classes is None and "classes" not in rows[0][1]:
        raise StudyError(f"{path}: say with --classes (or a column) of how many classes: it decides which runs failed")
    runs = runs_frame([_run(row, f"{path}, line {line}", classes) for line, row in rows])
    _check_unique(runs, path)
    curves = pd.DataFrame(columns=[*tag.NET_COLUMNS, "step", *tag.CURVES])
    return Study(
        path.stem,
        runs.assign(start_time=pd.Series(pd.NaT, index=runs.index)),
        curves,
        trials_frame([]),
        (),
        {},
        _provenance({"file": f"{path.name} (SHA-256 {digest}...)", "note": UNKNOWN.format(name=path.name)}),
    )


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], str]:
    """Return the rows of a CSV file, each with its line, and the beginning of the file's digest."""
    try:
        content = path.read_bytes()
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, row) for row in reader if row]
    except (OSError, ValueError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise StudyError(f"{path}: can't be read as CSV: {printable(str(why))}") from None
    if len(lines) < 2:
        raise StudyError(f"{path}: no runs in it: a line of names is needed, and a line a run")
    names = [name.strip() for name in lines[0][1]]
    missing = [column for column in NEEDED if column not in names]
    if missing:
        raise StudyError(
            f"{path}: no column '{missing[0]}'{nearest(missing[0], names)}; {', '.join(NEEDED)} are needed"
        )
    if repeated := next((name for name in names if names.count(name) > 1), ""):
        raise StudyError(f"{path}: two columns are called '{printable(repeated)}'")
    for line, row in lines[1:]:
        if len(row) != len(names):
            raise StudyError(f"{path}, line {line}: {len(row)} values, but there are {len(names)} columns")
    rows = [(line, dict(zip(names, map(str.strip, row), strict=True))) for line, row in lines[1:]]
    return rows, hashlib.sha256(content).hexdigest()[:16]


def _provenance(words: dict[str, str]) -> "Provenance":
    from study.track.provenance import Provenance

    return Provenance(words)


def _run(row: Mapping[str, str], where: str, classes: int | None) -> StoredRun:
    """Return a row as the store would return a run."""
    values = {key: value for key, value in row.items() if value}
    architecture = values.get("architecture", "")
    if architecture not in ("plain", "residual"):
        raise StudyError(f"{where}: 'architecture' must be plain or residual, not '{printable(architecture)}'")
    whole = {column: _whole(values, column, where) for column in WHOLE if column in values or column in NEEDED}
    whole |= {"classes": classes} if classes is not None and "classes" not in whole else {}
    if whole.get("classes", 0) < 2:
        raise StudyError(f"{where}: 'classes' must be 2 or more")
    metrics = {column: _error(values, column, where) for column in ERRORS if column in values or column in NEEDED}
    net = f"{'resnet' if architecture == 'residual' else 'plain'}-{whole['depth']}"
    variant = values.pop("variant", "")
    params = {key: value for key, value in values.items() if key not in ERRORS}
    params |= {"net": net, "dataset": values.get("dataset", "")} | {key: str(value) for key, value in whole.items()}
    tags = {tag.KIND: "run", tag.OUTCOME: "finished", tag.VARIANT: variant, tag.KEY: where}
    return StoredRun(where, f"{net} seed {whole['seed']}", "FINISHED", 0, tags, params, metrics)


def _whole(values: Mapping[str, str], column: str, where: str) -> int:
    text = values.get(column, "")
    if not text.isascii() or not text.isdecimal() or int(text[:12]) > LARGEST:
        raise StudyError(f"{where}: '{column}' must be a whole number, not '{printable(text)}'")
    return int(text)


def _error(values: Mapping[str, str], column: str, where: str) -> float:
    text = values.get(column, "")
    try:
        error = float(text)
    except ValueError:
        error = float("nan")
    if not 0 <= error <= 100:
        raise StudyError(f"{where}: '{column}' must be an error in percent, 0 to 100, not '{printable(text)}'")
    return error


def _check_unique(runs: pd.DataFrame, path: Path) -> None:
    """Check that no seed of a net is there twice.

    Raises:
        StudyError: one is.
    """
    keys: Sequence[str] = ("architecture", "depth", "variant", "seed")
    repeated = runs[runs.duplicated(list(keys), keep=False)]
    if len(repeated):
        first = repeated.iloc[0]
        lines = [str(run_id).rpartition(" ")[2] for run_id in repeated["run_id"][repeated["name"] == first["name"]]]
        raise StudyError(f"{path}, lines {' and '.join(lines[:2])}: {first['name']} is there twice: number the seeds")
