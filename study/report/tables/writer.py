"""A table: its numbers as CSV, and as it is read, on the page, as Markdown and as LaTeX."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from study.report.text import write
from study.spreadsheet import write_frame

NOTHING = "\u2013"
"""An en dash, for a number that isn't there."""
BOUNDS = ("estimate", "low", "high")
"""Columns of an estimate with its interval."""
LONG = 40
"""Rows from which a LaTeX table may break over pages."""
WIDE = 120
"""Letters in a line from which such a table takes the smallest type; a shorter one is scaled to the text's width."""
PACKAGES = r"booktabs, graphicx, longtable"
"""What a document needs for the LaTeX tables."""

LONG_TABLE = r"""\begingroup{size}\setlength{{\tabcolsep}}{{3pt}}\setlength{{\LTcapwidth}}{{\textwidth}}
\begin{{longtable}}{{{columns}}}
{title}\\
\toprule
{head}
\midrule
\endfirsthead
\toprule
{head}
\midrule
\endhead
\bottomrule
\endfoot
{rows}
\end{{longtable}}
\endgroup
"""
SHORT_TABLE = r"""\begin{{table}}[tbp]
\centering
{title}\smallskip
\resizebox{{\ifdim\width>\textwidth\textwidth\else\width\fi}}{{!}}{{%
\begin{{tabular}}{{{columns}}}
\toprule
{head}
\midrule
{rows}
\bottomrule
\end{{tabular}}}}
\end{{table}}
"""
_TEX = {
    "\\": r"\textbackslash{}",
    **{letter: rf"\{letter}" for letter in "{}_&%$#"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "\u2013": r"\textendash{}",
    "\u2026": r"\dots{}",
}
_NUMBER = re.compile(r"[+\-<>]?\s?\d[\d,.]*(e[+-]?\d+)?(?!\w)|\u2013?$")
_MARKDOWN = re.compile(r"([\\`*|<>\[\]$~&!])|(?<!\w)(_)|(_)(?!\w)")


class Column(NamedTuple):
    """A column as it is read: its heading, the column or columns of numbers it is written from, and how."""

    heading: str
    numbers: str | Sequence[str]
    write: Callable[..., str] = str


class Table(NamedTuple):
    """A table twice: the numbers as they are, and as they are read."""

    name: str
    caption: str
    numbers: pd.DataFrame
    shown: pd.DataFrame
    title: str = ""
    """What the page calls it."""

    @classmethod
    def of(
        cls,
        name: str,
        numbers: pd.DataFrame,
        columns: Iterable[Column],
        words: Mapping[str, Sequence[Any]] = {},
        **values: Any,
    ) -> "Table":
        """Write the columns of a table from its numbers; `words` are further columns that the CSV doesn't have.

        Title and caption are the two sentences of its template in `templates/tables`, which knows `values`.
        """
        title, caption = write(f"tables/{name}", **values)
        return cls(name, caption, numbers, written(numbers, columns, words), title)

    @property
    def numeric(self) -> list[bool]:
        """For each column that is read, whether it holds figures, and so is set to the right."""
        columns = [list(map(str, self.shown[column])) for column in self.shown]
        return [
            all(map(_NUMBER.match, cells)) and any(cell[:1] not in ("", NOTHING) for cell in cells) for cells in columns
        ]

    @property
    def text(self) -> str:
        """Its headings and cells."""
        return " ".join([*self.shown.columns, *(cell for row in self.rows() for cell in row)])

    def rows(self, most: int | None = None) -> list[tuple[str, ...]]:
        """Return the rows as they are read, or so many of them."""
        return list(self.shown[:most].itertuples(index=False, name=None))


def written(numbers: pd.DataFrame, columns: Iterable[Column], words: Mapping[str, Sequence[Any]] = {}) -> pd.DataFrame:
    """Return columns as they are read; `words` are further ones that they may be written from."""
    source, shown = numbers.assign(**words), {}
    for heading, names, write_cell in columns:
        keys = [names] if isinstance(names, str) else names
        cells = zip(*(source[key] for key in keys), strict=True) if len(source) else ()
        shown[heading] = [write_cell(*values) for values in cells]
    return pd.DataFrame(shown)


def wide_table(
    name: str, numbers: pd.DataFrame, across: str, columns: Callable[[Any], Iterable[Column]], **values: Any
) -> Table:
    """Return a table with a row a `net`, of numbers with several: `columns` again for each value of `across`."""
    parts = [
        written(part, [Column("Net", "net"), *columns(value)]).set_index("Net")
        for value, part in numbers.groupby(across)
    ]
    nets = pd.Index(numbers["net"].unique(), name="Net")
    shown = pd.concat(parts, axis=1).reindex(nets).fillna(NOTHING).reset_index()
    return Table.of(name, numbers, (), **values)._replace(shown=shown)


def number(form: str) -> Callable[..., str]:
    """Return how a number is written in a format such as ``.2f``, whatever stands beside it: a dash where it's NaN."""
    return lambda value, *_: NOTHING if pd.isna(value) else format(value, form)


def or_nothing(write: Callable[..., str]) -> Callable[..., str]:
    """Return how values are written where the first one is known, with a dash where it isn't."""
    return lambda value, *others: NOTHING if pd.isna(value) else write(value, *others)


@or_nothing
def count(value: float) -> str:
    """Write a whole number: ``269,722``, an en dash where it isn't known."""
    return f"{int(value):,}"


def with_interval(write: Callable[..., str]) -> Callable[..., str]:
    """Return how an estimate is written with its interval and seeds, as far as it has them: ``1.2, 0.9 to 1.5 (3)``.

    `write` writes one of the three numbers, given the other two after it.
    """

    def cell(estimate: float, low: float, high: float, seeds: int = 0) -> str:
        ends = "" if pd.isna(low) else f", {write(low, estimate, high)} to {write(high, estimate, low)}"
        return f"{write(estimate, low, high)}{ends}{f' ({seeds})' if seeds else ''}"

    return or_nothing(cell)


def variant_column(numbers: pd.DataFrame) -> list[Column]:
    """Return a first column with the variants, where there are several."""
    several = len(numbers) and numbers["variant"].nunique() > 1
    return [Column("Variant", "variant")] if several else []


def with_rows(tables: Iterable[Table | None]) -> tuple[Table, ...]:
    """Return those tables that are there and have rows."""
    return tuple(table for table in tables if table is not None and len(table.shown))


def write_table(table: Table, folder: Path) -> None:
    """Write a table as CSV with all digits, and as Markdown and LaTeX as it is read."""
    folder.mkdir(parents=True, exist_ok=True)
    write_frame(table.numbers, folder / f"{table.name}.csv")
    (folder / f"{table.name}.md").write_text(markdown(table), encoding="utf-8")
    (folder / f"{table.name}.tex").write_text(latex(table), encoding="utf-8")


def markdown(table: Table) -> str:
    """Return a table in GitHub's Markdown with its caption below; nothing in a cell is taken for markup or HTML."""
    body = ""
    if len(table.shown):
        head = [_marked(str(column)) for column in table.shown]
        rows = [[_marked(str(cell)) for cell in row] for row in table.rows()]
        widths = [max(3, *(len(line[i]) for line in [head, *rows])) for i in range(len(head))]
        right = table.numeric
        rule = [f"{'-' * (width - 1)}:" if side else "-" * width for width, side in zip(widths, right, strict=True)]
        body = "\n".join(_padded(line, widths, right) for line in [head, rule, *rows])
    return f"{body}\n\n{_marked(table.caption)}\n".lstrip("\n")


def latex(table: Table) -> str:
    """Return a booktabs table that pdfLaTeX compiles: figures right, as wide as the text at most.

    Long ones break over pages. Letters that pdfLaTeX's fonts lack are kept, and the first lines then ask for another
    engine.
    """
    shown = table.shown
    if shown.empty:
        return f"% {table.name}: no rows\n"
    columns = "".join("r" if right else "l" for right in table.numeric)
    head = _row(str(column) for column in shown)
    rows = "\n".join(_row(str(cell) for cell in row) for row in table.rows())
    label = re.sub(r"[^A-Za-z0-9.-]", "-", table.name)
    title = rf"\caption{{{_tex(table.caption)}}}\label{{tab:{label}}}"
    if len(shown) > LONG:
        wide = sum(max(len(str(column)), *shown[column].str.len()) + 2 for column in shown) > WIDE
        body = LONG_TABLE.format(
            size=r"\tiny" if wide else r"\scriptsize", columns=columns, title=title, head=head, rows=rows
        )
    else:
        body = SHORT_TABLE.format(columns=columns, title=title, head=head, rows=rows)
    needs = f"% \\usepackage{{{PACKAGES}}}\n"
    if any(ord(letter) > 0x17F for letter in body):
        needs += "% names in this table need XeLaTeX or LuaLaTeX and a font that has their letters\n"
    return needs + body


def _line(text: str) -> str:
    """Return a text on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _marked(text: str) -> str:
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", _line(text))


def _padded(cells: list[str], widths: list[int], right: list[bool]) -> str:
    aligned = zip(cells, widths, right, strict=True)
    return f"| {' | '.join(cell.rjust(width) if side else cell.ljust(width) for cell, width, side in aligned)} |"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


def _tex(text: str) -> str:
    """Escape a text; a sign before a figure is a minus, no hyphen."""
    parts = re.split(r"(?<![\w.-])-(?=\d)", _line(text))
    escaped = ("".join(_TEX.get(letter, letter) for letter in part) for part in parts)
    return "$-$".join(part.replace("--", "-{}-").replace("--", "-{}-") for part in escaped)
