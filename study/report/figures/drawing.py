"""A figure with its texts: how it is drawn and saved, and what the page says of it."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from study.report.embed import data_uri
from study.report.figures.style import FORMATS, WIDTH, draw_and_save

LONGEST_SLUG = 120
"""Characters of a variant's name in that of a file."""


class Picture(NamedTuple):
    """A saved figure and what the page says of it."""

    name: str
    variant: str
    title: str
    caption: str
    alt: str
    image: str
    """A data: address, so that ids of one figure never meet those of another."""
    files: tuple[str, ...]
    """In every format, and the numbers that it shows as CSV."""
    share: float = 1.0
    """Of the page's width that it takes up."""

    @classmethod
    def of(cls, folder: Path, name: str, variant: str, texts: tuple[str, str, str], share: float = 1.0) -> "Picture":
        """Take in a figure that was saved in `folder` as `name`; `texts` are its title, caption and alternative."""
        files = tuple(f"figures/{name}.{kind}" for kind in (*FORMATS, "csv"))
        return cls(name, variant, *texts, data_uri(folder, name), files, share)


class Drawing(NamedTuple):
    """A figure to be drawn: its name, texts and data, and what `draw_and_save` needs."""

    name: str
    texts: tuple[str, str, str]
    """Title, caption and alternative text."""
    draw: Callable[..., None]
    """Fills a figure and its axes (rows, columns)."""
    data: pd.DataFrame
    """The numbers that it shows, saved beside it."""
    columns: int = 1
    height: float = 2.5
    """Inches, as the width is."""
    width: float = WIDTH
    options: Mapping[str, Any] = {}
    """Of `new_figure`: rows, shared axes, style."""

    def save(self, folder: Path, variant: str = "") -> Picture:
        """Draw it into `folder`, with the variant in the name of its files."""
        name = f"{self.name}-{slug(variant)}" if variant else self.name
        size = {"height": self.height, "width": self.width}
        draw_and_save(folder, name, self.draw, self.columns, self.data, **size, **self.options)
        return Picture.of(folder, name, variant, self.texts, min(1.0, self.width / WIDTH))


def slug(text: str) -> str:
    """Return a text as a part of a file name: ``batch_size=64, width=2`` -> ``batch_size-64-width-2``."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
    if len(name) > LONGEST_SLUG:  # a file system has a limit, and the start alone might be another's too
        digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
        name = f"{name[:LONGEST_SLUG]}-{digest[:8]}"
    return name
