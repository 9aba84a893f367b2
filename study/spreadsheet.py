"""CSV files of spreadsheets: written so that no text is taken for a formula, and read with the separator they have."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""First characters of cells that spreadsheets calculate, wide forms included, or that they skip before a formula."""
SEPARATORS = ",;\t"


def separator_of(text: str) -> str:
    """Return what separates the cells of a table, by its first line: a comma, a semicolon or a tab."""
    return max(SEPARATORS, key=text.partition("\n")[0].count)


def plain_cell(value: Any) -> Any:
    """Make a value safe for a cell: put an apostrophe before text that a spreadsheet would calculate (OWASP).

    Numbers aren't changed, also if they are text.
    """
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Write a frame as CSV with all digits of its numbers."""
    texts = frame.select_dtypes(exclude=["number", "bool", "datetime"])
    safe = frame.assign(**texts.map(plain_cell))
    safe.rename(columns=plain_cell).to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
