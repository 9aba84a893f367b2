"""What commands print: tables, progress, and one clear line where a file can't be written."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from study.errors import StudyError
from study.paths import check_writable
from study.terminal import say, shown


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    left: Sequence[str] = ("net",),
    console: Console | None = None,
) -> None:
    """Print a table; columns are aligned to the right, except those named in `left`."""
    table = Table(title=None if title is None else shown(title))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(shown, row))
    (console or Console()).print(table)


def warn(lines: Iterable[str]) -> None:
    """Print lines to standard error, in yellow."""
    for line in lines:
        say(line, "yellow", error=True, prose=True)


def print_verdicts(verdicts: Iterable[Mapping[str, Any]]) -> None:
    """Print each verdict's line, why it is exploratory if it is, how deep nets go without loss, and what to do next.

    A verdict is given by its fields, as verdict.json has them.
    """
    for verdict in verdicts:
        say(verdict["line"], "bold", prose=True)
        if verdict["exploratory"]:
            say(f"exploratory: {'; '.join(verdict['exploratory'])}", "yellow", prose=True)
        if verdict["how_deep"]:
            say(verdict["how_deep"], prose=True)
        if verdict["deeper"]:
            say(f"go deeper: {verdict['deeper']}")
        say(verdict["next_step"], prose=True)


@contextmanager
def loading() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that shows progress on standard error: the task, and the part of it that is done, 0 to 1."""
    from study.launch.display import Display

    with Display(Console(stderr=True)) as display:
        yield display.loading


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Check that a folder can be written to before anything is computed; later, turn a system's error into a line.

    Raises:
        StudyError: nothing can be written in `folder`.
    """
    check_writable(folder)
    try:
        yield
    except OSError as error:
        raise StudyError(f"can't write in {folder}: {error.strerror or error}") from None


def open_in_browser(address: str) -> None:
    """Open an address in a browser, if one can open a window here, and not in this terminal."""
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        typer.launch(address)
