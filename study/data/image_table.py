"""Images with a table of their labels: a CSV file with a path and a class a row, and perhaps a split."""

import csv
import posixpath
import stat
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from study.data.dataset import BadFile
from study.data.files import ImageFile, TooLargeError, leaves_folder, read_file
from study.data.labelled import ROLES, Catalogue, Labelled, Role, class_name, divided, in_order, role_called
from study.errors import DataError, printable

COLUMNS = {
    "path": ("path", "image", "filename", "file_name", "file", "filepath", "image_path"),
    "label": ("label", "class", "category", "target"),
    "split": ("split",),
}
"""Headings of the columns that are read, in lower case."""
NEEDED = "a column of paths (path, image or filename) and one of labels (label or class)"


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
    folder = table.parent
    listed: dict[Role, list[tuple[ImageFile, str]]] = {role: [] for role in ROLES}
    bad: list[BadFile] = []
    lines: dict[str, int] = {}
    for row in _rows(table):
        path, role = posixpath.normpath(row.path), role_called(row.split)
        problem = _problem(row, path) or (f"is in line {lines[path]} already" if path in lines else "")
        file = None if problem else _file(folder, path)
        if file is None or role is None:
            wrong = "" if role else f"its split '{row.split}' is none of train, test and val"
            bad.append(
                BadFile(row.path or "(no path)", f"line {row.line}: {problem or wrong or 'there is no such file'}")
            )
            continue
        lines[path] = row.line
        listed[role].append((file, class_name(row.label)))
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

    def read(file: ImageFile) -> bytes:
        return read_file(folder / file.name)

    return Catalogue(table, train, test, in_order(train.labels), read, notes)


def _rows(table: Path) -> Iterator[_Row]:
    """Yield the rows below the heading; a cell that is missing is empty.

    Raises:
        DataError: it isn't a table in UTF-8 with the columns that are needed.
    """
    try:
        text = read_file(table).decode("utf-8-sig")
        reader = csv.reader(StringIO(text, newline=""), strict=True)
        places = _columns(next(reader, []), table)
        for cells in reader:
            if any(cells):
                words = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
                yield _Row(reader.line_num, words["path"], words["label"], words.get("split", "train"))
    except UnicodeDecodeError:
        raise DataError(f"{table} isn't text in UTF-8: save it so") from None
    except TooLargeError as error:
        raise DataError(f"{table}: {error}") from None
    except csv.Error as error:
        raise DataError(f"{table}: line {reader.line_num}: {printable(str(error))}") from None


def _columns(heading: list[str], table: Path) -> dict[str, int]:
    """Return the positions of the columns that are read.

    Raises:
        DataError: one that is needed is missing, or there are several for the same thing.
    """
    places = {}
    for name, words in COLUMNS.items():
        found = [place for place, cell in enumerate(heading) if cell.strip().lower() in words]
        if len(found) > 1 or (not found and name != "split"):
            has = printable(", ".join(cell.strip()[:40] for cell in heading[:20])) or "none"
            raise DataError(f"{table} needs {NEEDED}, one of each, separated by commas; it has {has}")
        if found:
            places[name] = found[0]
    return places


def _problem(row: _Row, path: str) -> str:
    """Return why a row can't be used, its file unseen, or an empty text."""
    if not row.path:
        return "has no path"
    if leaves_folder(path):
        return "lies outside the table's folder: paths are relative to it"
    return "" if row.label else "has no label"


def _file(folder: Path, path: str) -> ImageFile | None:
    """Return a file of the folder, None where there is none."""
    try:
        status = (folder / path).stat()
    except (OSError, ValueError):  # a NUL, or more letters than a name may have
        return None
    return ImageFile(path, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
