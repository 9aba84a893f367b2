"""CSV files that a spreadsheet shows as they are: no text of theirs is taken for a formula."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""What a cell begins with that spreadsheets calculate, wide forms included, or skip before something that they do."""


def plain_cell(value: Any) -> Any:
    """Return a value as a cell may have it: text that a spreadsheet would calculate behind an apostrophe (OWASP).

    Numbers stay what they are, those written as text included.
    """
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Write a frame as CSV, its numbers with all digits."""
    texts = frame.select_dtypes(exclude=["number", "bool", "datetime"])
    safe = frame.assign(**texts.map(plain_cell))
    safe.rename(columns=plain_cell).to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
