"""Runs that this program didn't train, of a CSV file or an MLflow experiment, as a study: its rule judges them too."""

import csv
import hashlib
import io
import math
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from study.errors import StudyError, nearest, printable, with_noun
from study.names import join_net
from study.spreadsheet import separator_of
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import find_experiment, read_runs
from study.track.frames import ORDER, Study, runs_frame, trials_frame
from study.track.snapshot import Provenance
from study.track.uri import tracking_uri

NEEDED = ("architecture", "depth", "seed", "final_train_error")
ERRORS = {"final_train_error": "final_train_accuracy", "final_test_error": "final_test_accuracy"}
"""Columns of errors, and those that may stand in their place."""
PLAIN, RESIDUAL = ("plain", "false", "0"), ("residual", "resnet", "true", "1")
"""What may stand in the column `architecture`; true and 1, false and 0 say whether a net is residual."""
WHOLE = ("depth", "seed", "split_seed", *tag.COUNTS)
"""Columns of whole numbers; those behind `seed` may be left out."""
OPTIONAL = ("final_test_error", "variant", "lr", *WHOLE)
POSITIVE = ("lr", "width", "gamma")
"""Settings that reports calculate with."""
LEAVE_OUT = " (of an experiment, `--column {}=` leaves it out)"
LARGEST = 10**9
MAX_BYTES = 64 * 2**20
UNKNOWN = (
    "These runs weren't trained by this program. What {name} doesn't say isn't known: their curves, how rates were "
    "chosen and errors measured, whether all runs that were made are in it, and whether a rule was set before them."
)


Row = tuple[str, dict[str, str]]
"""Where a run was read, and its values by column."""


def read_table(path: Path, classes: int | None = None, *, fractions: bool = False) -> Study:
    """Return the runs of a CSV file as a study, named for the file.

    Columns: architecture (plain or residual), depth, seed, final_train_error in percent; where known final_test_error,
    variant, classes (or the argument: what guessing gives decides which runs failed), train_images and test_images
    (what one image is worth), total_iterations, lr. Any others are settings, as a recipe's fields are. In place of an
    error may stand final_train_accuracy or final_test_accuracy. With `fractions`, errors and accuracies are parts of 1.

    Raises:
        StudyError: the file can't be read, or a row or column of it; with the line.
    """
    rows, digest = _rows(path)
    source = {"file": f"{path.name} (SHA-256 {digest}...)"}
    return _study(path.stem, path.name, rows, source, classes, fractions=fractions)


def read_experiment(
    name: str,
    columns: Mapping[str, str],
    classes: int | None = None,
    *,
    fractions: bool = False,
    uri: str | None = None,
) -> Study:
    """Return the finished runs of another project's MLflow experiment as a study.

    A column of `read_table` is the parameter, tag or metric (its last value) of that name, or of the name that
    `columns` has for it, like `{"depth": "params.layers", "final_train_error": "metrics.train_err"}`; an empty name
    leaves a column out. Runs that haven't finished, or lack what a run of a net has, are left out, and counted.

    Raises:
        StudyError: no such experiment, nothing called so, or a run that can't be used; with its name.
    """
    uri = uri or tracking_uri()
    stored = read_runs(find_experiment(name, uri, foreign=True), uri)
    runs = [run for run in stored if run.status == "FINISHED"]
    if any(run.kind for run in runs):
        raise StudyError(f"'{name}' is a study of this program: `study report --experiment` judges it")
    if not runs:
        raise StudyError(f"'{name}' at {uri} has no finished runs")
    named = [_named_values(run) for run in runs]
    _check_columns(columns, name, named)
    rows = [
        (f"'{name}', run {run.name} ({run.run_id[:8]})", {**run.params, **_columns_of(values, columns)})
        for run, values in zip(runs, named, strict=True)
    ]
    left_out = [f"{with_noun(len(stored) - len(runs), 'run')} not finished"] if len(stored) > len(runs) else []
    for column in NEEDED:
        either = [column, *filter(None, [ERRORS.get(column)])]
        having = [row for row in rows if any(row[1].get(key) for key in either)]
        if not having:
            raise StudyError(f"'{name}': no run has {' or '.join(either)}: name it with --column")
        if lacking := len(rows) - len(having):  # those above others, for example
            left_out.append(f"{with_noun(lacking, 'finished run')} without {' or '.join(either)}")
        rows = having
    source = {"file": f"MLflow experiment {name}"} | ({"left out": "\n".join(left_out)} if left_out else {})
    return _study(name, f"the experiment '{name}'", rows, source, classes, fractions=fractions)


def _check_columns(columns: Mapping[str, str], name: str, named: Sequence[Mapping[str, str]]) -> None:
    """Check that some run has each of the names that columns are mapped to."""
    known = dict.fromkeys(key for values in named for key in values)
    for column, key in columns.items():
        if key and key not in known:
            raise StudyError(f"'{name}': no run has '{key}' for '{column}'{nearest(key, list(known))}")


def _columns_of(values: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that a run has under their own names or those they are mapped to.

    Of an error and the accuracy in its place, one that is mapped excludes the other's own name.
    """
    excluded = {other for pair in ERRORS.items() if {*pair} & columns.keys() for other in pair}
    own_names = {*NEEDED, *ERRORS.values(), *OPTIONAL} - excluded
    own = {column: value for column, value in values.items() if column in own_names}
    return own | dict.fromkeys(excluded, "") | {column: values.get(key, "") for column, key in columns.items()}


def _named_values(run: StoredRun) -> dict[str, str]:
    """Return a run's values under their names with and without their kind; of equal names, the parameter's counts."""
    metrics = {key: f"{value:.15g}" for key, value in run.metrics.items()}
    kinds = (("metrics", metrics), ("tags", run.tags), ("params", run.params))
    values = {f"{kind}.{key}": value for kind, named in kinds for key, value in named.items()}
    return {key.partition(".")[2]: value for key, value in values.items()} | values


def _study(
    name: str, source: str, rows: Sequence[Row], words: dict[str, str], classes: int | None, *, fractions: bool
) -> Study:
    """Return rows as a study."""
    if classes is None and not any("classes" in values for _, values in rows):
        raise StudyError(
            f"{source}: say with --classes (or a column) of how many classes: it decides which runs failed"
        )
    whole = 1.0 if fractions else 100.0
    runs = runs_frame([_run(values, where, classes, whole) for where, values in rows])
    _check_unique(runs)
    doubt = "" if fractions else _doubt_about_percent([values for _, values in rows], source)
    curves = pd.DataFrame(columns=[*tag.NET_COLUMNS, "step", *tag.CURVES])
    return Study(
        name,
        runs.assign(start_time=pd.Series(pd.NaT, index=runs.index)),
        curves,
        trials_frame([]),
        (),
        {},
        Provenance(words | {"note": UNKNOWN.format(name=source) + doubt}),
    )


def _doubt_about_percent(rows: Sequence[Mapping[str, str]], source: str) -> str:
    """Return a line for errors that are all 1 or less, empty where some is more; refuse accuracies below guessing."""
    for columns in (ERRORS.values(), ERRORS):
        numbers = [_number(values[column]) for values in rows for column in columns if values.get(column)]
        if numbers and max(numbers) <= 1:
            if columns is not ERRORS:
                raise StudyError(f"{source}: no accuracy is above 1 percent: of parts of 1, say so with --fractions")
            return "\nNo error is above 1, and they are taken for percent: of parts of 1, say so with --fractions."
    return ""


def _rows(path: Path) -> tuple[list[Row], str]:
    """Return the rows of a CSV file, each with its place, and the beginning of the file's digest."""
    try:
        status = path.stat()
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):  # reading it might never end
            raise StudyError(f"{path}: a pipe or a device, not a file: save the table as one")
        if status.st_size > MAX_BYTES:
            raise StudyError(f"{path}: larger than {MAX_BYTES // 2**20} MiB, which is too large for a table of runs")
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text), strict=True)
        lines = [(reader.line_num, row) for row in reader if any(row)]
    except UnicodeDecodeError:
        raise StudyError(f"{path}: isn't text in UTF-8: save it so") from None
    except (OSError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise StudyError(f"{path}: can't be read as CSV: {printable(str(why))}") from None
    if len(lines) < 2:
        raise StudyError(f"{path}: no runs in it: a line of names is needed, and a line a run")
    names = ["_".join(name.lower().split()) for name in lines[0][1]]
    missing = [column for column in NEEDED if column not in names and ERRORS.get(column) not in names]
    if missing:
        raise StudyError(
            f"{path}: no column '{missing[0]}'{nearest(missing[0], names)}; {', '.join(NEEDED)} are needed"
        )
    if repeated := next((name for name in names if names.count(name) > 1), ""):
        raise StudyError(f"{path}: two columns are called '{printable(repeated)}'")
    for line, row in lines[1:]:
        if len(row) != len(names):
            raise StudyError(f"{path}, line {line}: {len(row)} values, but there are {len(names)} columns")
    rows = [(f"{path}, line {line}", dict(zip(names, map(str.strip, row), strict=True))) for line, row in lines[1:]]
    return rows, hashlib.sha256(content).hexdigest()[:16]


def _run(row: Mapping[str, str], where: str, classes: int | None, whole: float) -> StoredRun:
    """Return a row as the store would return a run; `whole` is an error of all images."""
    values = {key: value for key, value in row.items() if value}
    named = values.get("architecture", "")
    if named.lower() not in (*PLAIN, *RESIDUAL):
        raise StudyError(f"{where}: 'architecture' must be plain or residual, not '{printable(named)}'")
    architecture = "plain" if named.lower() in PLAIN else "residual"
    numbers = {column: _whole(values, column, where) for column in WHOLE if column in values or column in NEEDED}
    numbers |= {"classes": classes} if classes is not None and "classes" not in numbers else {}
    for column, least in (("classes", 2), ("depth", 1)):
        if numbers.get(column, 0) < least:
            raise StudyError(f"{where}: '{column}' must be {least} or more")
    for column in POSITIVE:
        if column in values and not 0 < _number(values[column]) < math.inf:
            shown = printable(values[column])
            raise StudyError(f"{where}: '{column}' must be a number above 0, not '{shown}'{LEAVE_OUT.format(column)}")
    metrics = {
        error: _error(values, error, accuracy, where, whole)
        for error, accuracy in ERRORS.items()
        if error in values or accuracy in values or error in NEEDED
    }
    net = join_net(architecture, numbers["depth"])
    variant = values.pop("variant", "")
    params = {key: value for key, value in values.items() if key not in {*ERRORS, *ERRORS.values()}}
    params |= {"architecture": architecture, "net": net, "dataset": values.get("dataset", "")}
    params |= {key: str(value) for key, value in numbers.items()}
    tags = {tag.KIND: "run", tag.OUTCOME: "finished", tag.VARIANT: variant, tag.KEY: where}
    return StoredRun(where, f"{net} seed {numbers['seed']}", "FINISHED", 0, tags, params, metrics)


def _number(text: str) -> float:
    """Return the number that a text is in ASCII, NaN where it isn't one."""
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def _whole(values: Mapping[str, str], column: str, where: str) -> int:
    """Return a whole number, which may be written as `20.0`: pandas does so where a value of a column is missing."""
    text = values.get(column, "")
    number = _number(text)
    if not 0 <= number <= LARGEST or not number.is_integer():
        advice = "" if column in NEEDED else LEAVE_OUT.format(column)
        raise StudyError(f"{where}: '{column}' must be a whole number, not '{printable(text)}'{advice}")
    return int(number)


def _error(values: Mapping[str, str], column: str, accuracy: str, where: str, whole: float) -> float:
    """Return an error in percent, from its column or that of the accuracy."""
    stated = column if column in values else accuracy if accuracy in values else column
    text = values.get(stated, "")
    value = _number(text)
    if not 0 <= value <= whole:
        unit = "percent, 0 to 100" if whole == 100 else "parts of 1"
        kind = "an accuracy" if stated == accuracy else "an error"
        advice = " (of a run that diverged, what guessing gives)" if text.lower() == "nan" else ""
        raise StudyError(f"{where}: '{stated}' must be {kind} in {unit}, not '{printable(text)}'{advice}")
    return 100 / whole * (whole - value if stated == accuracy else value)


def _check_unique(runs: pd.DataFrame) -> None:
    """Check that no seed of a net is there twice."""
    repeated = runs[runs.duplicated([*ORDER], keep=False)]  # in this order, so that the first two are one
    if len(repeated):
        places = " and ".join(repeated["run_id"][:2])
        raise StudyError(
            f"{places}: {repeated['name'].iloc[0]} is there twice: number the seeds, or name in a column 'variant' "
            "what else they differ in"
        )
