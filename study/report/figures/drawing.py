"""A figure with its texts: how it is drawn, saved and embedded, and what the page says of it."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from study.report.figures.style import FORMATS, WIDTH, new_figure, save
from study.report.metrics import METRICS
from study.report.text import write

Texts = tuple[str, str, str]
"""Title, caption and alternative text of a figure."""

LARGEST = 256 * 1024
"""Bytes of an SVG from which on a figure is embedded as PNG, where that is smaller: thousands of marks are."""
LONGEST_SLUG = 120
"""Characters of a variant's name in that of a file."""


_NOTHING_SHOWN = re.compile(rb"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>\s*", re.DOTALL)
_INDENTATION = re.compile(rb">\s*\n\s*<")
_PATH_BREAKS = re.compile(rb' d="[^"]*"')


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
    def of(cls, folder: Path, name: str, variant: str, texts: Texts, share: float = 1.0) -> "Picture":
        """Take in a figure that was saved in `folder` as `name`; `texts` are its title, caption and alternative."""
        files = tuple(f"figures/{name}.{kind}" for kind in (*FORMATS, "csv"))
        return cls(name, variant, *texts, data_uri(folder, name), files, share)


class Drawing(NamedTuple):
    """A figure to be drawn: its name, texts and data, and what `new_figure` needs."""

    name: str
    texts: Texts
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
        name = file_name(self.name, variant)
        size: dict[str, Any] = {"columns": self.columns, "height": self.height, "width": self.width}
        with new_figure(**size, **self.options) as (figure, axes):
            self.draw(figure, axes)
            save(figure, folder, name, self.data)
        return Picture.of(folder, name, variant, self.texts, min(1.0, self.width / WIDTH))


def write_texts(template: str, **values: Any) -> Texts:
    """Return the texts of a figure, the three sentences of its template in `templates/figures`.

    The template knows `values` and all `metrics`.
    """
    title, caption, alt = write(f"figures/{template}", metrics=METRICS, **values)
    return title, caption, alt


def file_name(name: str, variant: str) -> str:
    """Return the name of a variant's file, without an ending: ``depth-width-2``."""
    return f"{name}-{slug(variant)}" if variant else name


def slug(text: str) -> str:
    """Return a text as a part of a file name: ``batch_size=64, width=2`` -> ``batch_size-64-width-2``."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
    if len(name) > LONGEST_SLUG:  # a file system has a limit, and the start alone might be another's too
        digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
        name = f"{name[:LONGEST_SLUG]}-{digest[:8]}"
    return name


def data_uri(folder: Path, name: str, largest: int = LARGEST) -> str:
    """Return the figure that was saved in `folder` as `name` (SVG and PNG) as the `src` of an image."""
    drawing = slim((folder / f"{name}.svg").read_bytes())
    if len(drawing) > largest:
        pixels = (folder / f"{name}.png").read_bytes()
        if len(pixels) < len(drawing):
            return f"data:image/png;base64,{base64.b64encode(pixels).decode()}"
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}"


def slim(svg: bytes) -> bytes:
    """Return an SVG as it was, without what nobody sees: comments, metadata, indentation, breaks within paths."""
    shown = _INDENTATION.sub(b"><", _NOTHING_SHOWN.sub(b"", svg))
    return _PATH_BREAKS.sub(lambda path: re.sub(rb"\s*\n", b" ", path[0]).replace(b' "', b'"'), shown).strip()
