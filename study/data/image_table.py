"""Images with a table of their labels: a CSV file with a path and a class a row, and perhaps a split."""

import csv
import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from study.data.dataset import BadFile
from study.data.files import ImageFile, Listing, Read, TooLargeError, leaves_folder, read_file
from study.data.labelled import ROLES, Catalogue, Labelled, Role, class_name, divided, in_order, role_called, to_predict
from study.errors import DataError, printable
from study.spreadsheet import separator_of

COLUMNS = {
    "path": ("path", "image", "filename", "file_name", "file", "filepath", "image_path"),
    "label": ("label", "class", "category", "target"),
    "split": ("split",),
}
"""Headings of the columns that are read, in lower case."""
PATHS, LABELS = "a column of paths (path, image or filename)", "one of labels (label or class)"


class _Row(NamedTuple):
    """A row of a table."""

    line: int
    path: str
    label: str
    split: str


def read_table(table: Path) -> Catalogue:
    """List the images that a table names, below its folder; none of them is decoded.

    Bad are rows without a label, and those whose file is missing or named twice.

    Raises:
        DataError: it isn't such a table, or names no image to train on.
    """
    listed: dict[Role, list[tuple[ImageFile, str]]] = {role: [] for role in ROLES}
    bad: list[BadFile] = []
    for role, file, label in _files(table, [*COLUMNS]):
        if isinstance(file, BadFile):
            bad.append(file)
        elif role is not None:
            listed[role].append((file, class_name(label)))
    parts = {
        role: Labelled(role, [file for file, _ in rows], [label for _, label in rows])
        for role, rows in listed.items()
        if rows
    }
    if "train" not in parts:
        rest = "\n".join(f"  {file.name}: {file.reason}" for file in bad[:5])
        raise DataError(f"{table} names no image to train on that is there\n{rest}".rstrip())
    train, test, notes = divided(parts)
    train = train._replace(bad=bad, name=train.name if test else "")
    return Catalogue(table, train, test, in_order(train.labels), _reader(table), notes)


def list_table(table: Path) -> Listing:
    """List the images of a table that are to be predicted, in its order: those of its test, if it says which they are.

    Labels aren't needed. Bad are rows whose file is missing or named twice.

    Raises:
        DataError: it isn't such a table, or has no rows.
    """
    rows = [(role, file) for role, file, _ in _files(table, ["path", "split"])]
    if not rows:
        raise DataError(f"{table} has no rows: one an image is needed, below a heading")
    roles = {role for role, _ in rows}
    chosen = to_predict(roles - {None} or roles)
    used = [file for role, file in rows if role in (chosen, None)]
    files = [file for file in used if isinstance(file, ImageFile)]
    bad = [file for file in used if isinstance(file, BadFile)]
    note = f"the rows of {chosen}; {len(rows) - len(used):,} of other splits aren't used"
    return Listing(files, bad, [], _reader(table), (note,) if len(rows) > len(used) else ())


def _reader(table: Path) -> Read:
    return lambda file: read_file(table.parent / file.name)


def _files(table: Path, columns: Collection[str]) -> Iterator[tuple[Role | None, ImageFile | BadFile, str]]:
    """Yield the split of each row, None where it is unknown, its file, and its label; of `COLUMNS`, some are needed."""
    lines: dict[str, int] = {}
    folders = str(table.parent.absolute()), str(table.parent.resolve())
    for row in _rows(table, columns):
        path, role = _below(folders, row.path), role_called(row.split)
        problem = _problem(row, path, labelled="label" in columns)
        problem = problem or (f"is in line {lines[path]} already" if path in lines else "")
        file = None if problem else _file(table.parent, path)
        if file is None or role is None:
            wrong = "" if role else f"its split '{row.split}' is none of train, test and val"
            why = f"line {row.line}: {problem or wrong or 'there is no such file'}"
            yield role, BadFile(row.path or "(no path)", why), ""
            continue
        lines[path] = row.line
        yield role, file, row.label


def _rows(table: Path, columns: Collection[str]) -> Iterator[_Row]:
    """Yield the rows below the heading, of some columns; a cell that is missing is empty.

    Raises:
        DataError: it isn't a table in UTF-8 with the columns that are needed.
    """
    try:
        text = read_file(table).decode("utf-8-sig")
        reader = csv.reader(StringIO(text, newline=""), delimiter=separator_of(text), strict=True)
        places = _columns(next(reader, []), table, columns)
        for cells in reader:
            if any(cells):
                words = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
                yield _Row(reader.line_num, words["path"], words.get("label", ""), words.get("split", "train"))
    except UnicodeDecodeError:
        raise DataError(f"{table} isn't text in UTF-8: save it so") from None
    except TooLargeError as error:
        raise DataError(f"{table}: {error}") from None
    except csv.Error as error:
        raise DataError(f"{table}: line {reader.line_num}: {printable(str(error))}") from None


def _columns(heading: list[str], table: Path, columns: Collection[str]) -> dict[str, int]:
    """Return the positions of the columns that are read.

    Raises:
        DataError: one that is needed is missing, or there are several for the same thing.
    """
    places = {}
    for name in columns:
        found = [place for place, cell in enumerate(heading) if cell.strip().lower() in COLUMNS[name]]
        if len(found) > 1 or (not found and name != "split"):
            needed = f"{PATHS} and {LABELS}" if "label" in columns else PATHS
            has = printable(", ".join(cell.strip()[:40] for cell in heading[:20])) or "none"
            raise DataError(f"{table} needs {needed}, one of each; it has {has}")
        if found:
            places[name] = found[0]
    return places


def _below(folders: Iterable[str], path: str) -> str:
    """Return a path as it is below the table's folder, whose absolute names are `folders`; others as they are.

    An absolute path may name the folder by links of its own. Backslashes are those of Windows.
    """
    path = posixpath.normpath(path.replace("\\", "/"))
    if not posixpath.isabs(path) or "\0" in path:
        return path
    head, name = posixpath.split(path)
    places = (path, posixpath.join(os.path.realpath(head), name))
    inside = (os.path.relpath(place, folder) for place in places for folder in folders)
    return next((way for way in inside if not leaves_folder(way)), path)


def _problem(row: _Row, path: str, *, labelled: bool) -> str:
    """Return why a row can't be used, its file unseen, or an empty text."""
    if not row.path:
        return "has no path"
    if leaves_folder(path):
        return "lies outside the table's folder: move the images, or the table, so that they lie below it"
    return "has no label" if labelled and not row.label else ""


def _file(folder: Path, path: str) -> ImageFile | None:
    """Return a file of the folder, None where there is none."""
    try:
        status = (folder / path).stat()
    except (OSError, ValueError):  # a NUL, or more letters than a name may have
        return None
    return ImageFile(path, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
