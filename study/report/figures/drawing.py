"""A figure with its texts: how it is drawn, saved and embedded, and what the page says of it."""

import base64
import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from study.report.figures.points import box_of, panels_of, take_names
from study.report.figures.series import mark_series, places_of
from study.report.figures.style import COLUMN, FORMATS, WIDTH, new_figure, save
from study.report.metrics import METRICS
from study.report.text import write

Texts = tuple[str, str, str]
"""Title, caption and alternative text of a figure."""

LARGEST = 256 * 1024
"""Bytes of an SVG from which on a figure is embedded as PNG, where that is smaller: thousands of marks are."""
STACKED_FROM, STACKED_MOST = 1.5 * COLUMN, 8
"""Width and number of panels from which on, and up to which, there is a second drawing for a narrow page."""
TITLE = 0.4
"""Inches that the title and labels of a panel add to its height in a grid."""
LONGEST_SLUG = 120
"""Characters of a variant's name in that of a file."""

_NOTHING_SHOWN = re.compile(
    rb"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>\s*|"
    rb'<g id="patch_\d+">\s*<path d="[^"]*" style="fill: #ffffff"/>\s*</g>',  # the white behind all, and behind axes
    re.DOTALL,
)
_NEEDLESS = re.compile(rb'(?<=<g) id="(?!series)[^"]*"| transform="rotate\(-0 [^"]*"')
_INDENTATION = re.compile(rb">\s*\n\s*<")
_STYLE = re.compile(rb' style="[^"]*"')
_PLACES = re.compile(rb'(?<= )(?:d|x|y)="[^"]*"')
_LONGER = re.compile(rb'\s*([A-Za-z"])\s*|(\.\d\d)\d+')
_ENCODED = {mark: f"%{ord(mark):02X}" for mark in "%#&'\n"}
"""What can't stand in an address between single quotes as it is."""


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
    narrow: str = ""
    """The same for a narrow page, its panels one below the other; empty where there is one alone."""
    panels: Sequence[Mapping[str, Any]] = ()
    """As `points.panels_of` gives them, with a `narrow` box where there is such a drawing."""
    keys: Sequence[Mapping[str, Any]] = ()
    """As `series.places_of` gives them, likewise."""
    photographs: bool = False
    """Whether it shows images of a data set, whose colours are true on a dark page too."""

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
    photographs: bool = False
    stacks: bool = True
    """Whether its panels can stand one below the other, as those that share a colour bar can't."""

    def save(self, folder: Path, variant: str = "") -> Picture:
        """Draw it into `folder`, with the variant in the name of its files."""
        name = file_name(self.name, variant)
        size: dict[str, Any] = {"columns": self.columns, "height": self.height, "width": self.width}
        with new_figure(**size, **self.options) as (figure, axes):
            self.draw(figure, axes)
            names, entries = take_names(figure), mark_series(figure)
            save(figure, folder, name, self.data)
            panels, keys = panels_of(figure, names), places_of(figure, entries)
        picture = Picture.of(folder, name, variant, self.texts, min(1.0, self.width / WIDTH))
        if self.stacks and 1 < self.columns and self.columns * self.rows <= STACKED_MOST and self.width > STACKED_FROM:
            narrow, *boxes = self._stack()
            panels, keys = (
                [place | {"narrow": box} for place, box in zip(places, narrow_boxes, strict=True)]
                for places, narrow_boxes in zip((panels, keys), boxes, strict=True)
            )
            picture = picture._replace(narrow=narrow)
        return picture._replace(panels=panels, keys=keys, photographs=self.photographs)

    @property
    def rows(self) -> int:
        """Rows of panels."""
        return int(self.options.get("rows", 1))

    def _stack(self) -> tuple[str, list[list[float]], list[list[float]]]:
        """Draw the panels one below the other; return the image, and boxes as `panels` and `keys` have them."""
        count = self.rows * self.columns
        options = {**self.options, "rows": count}
        height = count * (self.height / self.rows + (TITLE if self.rows > 1 else 0))
        with (
            new_figure(height=height, width=COLUMN, **options) as (figure, axes),
            tempfile.TemporaryDirectory() as folder,
        ):
            grid = axes.reshape(self.rows, self.columns)
            self.draw(figure, grid)
            _label_each(grid)
            names, entries = take_names(figure), mark_series(figure)
            save(figure, Path(folder), self.name, kinds=("svg",))
            boxes = [box_of(ax) for ax in figure.axes if any(line in names for line in ax.lines)]
            keys = [place["box"] for place in places_of(figure, entries)]
            return svg_uri(slim((Path(folder) / f"{self.name}.svg").read_bytes())), boxes, keys


def _label_each(grid: Any) -> None:
    """Give each panel of a grid the title and labels that only those at its edges have."""
    titles, x_labels = (
        [ax.get_title() for ax in grid[0]],
        [ax.get_xlabel() or grid[-1][-1].get_xlabel() for ax in grid[-1]],
    )
    for row in grid:
        beside = [text for text in row[-1].texts if text.get_rotation() == 270]
        names = [text.get_text() for text in beside]
        for text in beside:
            text.remove()
        for ax, title, x_label in zip(row, titles, x_labels, strict=True):
            ax.set_title(", ".join(filter(None, (*names, ax.get_title() or title))))
            ax.set(xlabel=ax.get_xlabel() or x_label, ylabel=ax.get_ylabel() or row[0].get_ylabel())
            ax.tick_params(labelbottom=True, labelleft=True)


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
    return svg_uri(drawing)


def svg_uri(svg: bytes) -> str:
    """Return an SVG as the address of an image that may stand between single quotes: a third shorter than base64."""
    return "data:image/svg+xml," + "".join(_ENCODED.get(letter, letter) for letter in svg.decode())


def slim(svg: bytes) -> bytes:
    """Return an SVG without its white ground, and without what nobody sees: comments, ids, parts of 0.01 points."""
    shown = _INDENTATION.sub(b"><", _NEEDLESS.sub(b"", _NOTHING_SHOWN.sub(b"", svg))).strip()
    shown = _STYLE.sub(lambda style: re.sub(rb"(?<=[:;,]) ", b"", style[0]), shown)
    return _PLACES.sub(lambda places: _LONGER.sub(rb"\1\2", places[0]), shown)
