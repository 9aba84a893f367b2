"""What all figures share: size, type, colours, and the one way to make and to save them."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.spreadsheet import write_frame

WIDTH = 6.875
"""Text width of a page in two columns (CVPR, where the paper appeared), in inches."""
COLUMN = 3.25
"""Width of one of its columns."""
FORMATS = ("png", "svg", "pdf")
SIZE = 8.0
"""Type size in points; nothing that must be read is smaller than `SMALL`."""
SMALL = 7.0
KEY_MARK, KEY_LETTER = 0.5, 0.06
"""Inches that an entry of a key takes in a narrow figure: its mark with the gaps, and a letter of its label."""

Style = Literal["house", "paper"]
STYLES: tuple[Style, ...] = get_args(Style)
"""The report's own looks, or those of the paper's Figures 1 and 6: its axes, grid and colours."""

# What DejaVu Sans has no signs for (Chinese, Japanese, Korean, ...) is taken from the first of these that is installed.
FREE_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
)
SYSTEM_CHINESE = ("Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB")
ALPHABETS = ("Noto Sans", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai")
OTHER_SCRIPTS = (*FREE_CHINESE, *SYSTEM_CHINESE, "Arial Unicode MS", *ALPHABETS)

STYLE: Any = {
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": SIZE,
    "axes.titlesize": SIZE + 1,
    "axes.labelsize": SIZE,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "legend.fontsize": SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.grid.axis": "y",
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Text stays text (searchable, selectable), fonts are embedded whole, and the same numbers give the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "study",
    "pdf.fonttype": 42,
}
PAPER_STYLE: Any = {
    "axes.spines.top": True,
    "axes.spines.right": True,
    "grid.linestyle": (0, (4, 3)),
    "grid.color": "#9a9a9a",
    "xtick.direction": "in",
    "ytick.direction": "in",
}

GUIDE: dict[str, Any] = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": (0, (4, 2))}
"""A line of what theory or chance would have."""
ARCHITECTURE_COLOURS = {"plain": "#3a3a3a", "residual": "#0072b2", "vgg": "#009e73"}
ARCHITECTURE_MARKERS = {"plain": "o", "residual": "s", "vgg": "^"}
ARCHITECTURE_LINES: dict[str, Any] = {"plain": (0, (4, 1.5)), "residual": "-", "vgg": ":"}
"""Where colours are those of depths."""

# Lightness falls evenly from end to end, so that deeper is darker in grey print and for every kind of colour vision.
_DEPTH = LinearSegmentedColormap.from_list("depth", mpl.colormaps["inferno"](np.linspace(0.75, 0.0, 64)))
PAPER_COLOURS = {20: "#bfbf00", 32: "#00bfbf", 44: "#007f00", 56: "#ff0000", 110: "#000000"}
_MORE_COLOURS = ("#bf00bf", "#0000ff", "#ff8000", "#7f7f7f", "#804000", "#ff69b4", "#4b0082", "#8fbc5a")


def depth_colours(depths: Iterable[int], style: Style = "house") -> dict[int, str]:
    """Return a colour for each depth: deeper is darker.

    In the paper's style those of its Figure 6 (20 olive, 32 cyan, 44 green, 56 red, 110 black), which are neither
    ordered nor safe for every kind of colour vision, and further ones for other depths.
    """
    ordered = sorted(set(depths))
    if style == "paper":
        others = [depth for depth in ordered if depth not in PAPER_COLOURS]
        more = {depth: _MORE_COLOURS[rank % len(_MORE_COLOURS)] for rank, depth in enumerate(others)}
        return {depth: PAPER_COLOURS.get(depth) or more[depth] for depth in ordered}
    places = np.linspace(0, 1, max(2, len(ordered))) if len(ordered) != 2 else [0.12, 0.72]
    return {depth: to_hex(_DEPTH(float(place))) for depth, place in zip(ordered, places, strict=False)}


def ordered_colours(values: Iterable[float], first: float, last: float) -> dict[float, str]:
    """Return a colour for each value in order, from the place `first` of viridis (0 dark, 1 light) to `last`."""
    ordered = sorted(values)
    places = np.linspace(first, last, max(2, len(ordered)))
    return {value: to_hex(mpl.colormaps["viridis"](place)) for value, place in zip(ordered, places, strict=False)}


def architecture_look(kind: str) -> dict[str, Any]:
    """Return the colour, line style and marker of an architecture, as matplotlib's lines take them."""
    return {
        "color": ARCHITECTURE_COLOURS[kind],
        "linestyle": ARCHITECTURE_LINES[kind],
        "marker": ARCHITECTURE_MARKERS[kind],
    }


def architecture_key(kinds: Iterable[str], **look: Any) -> list[Line2D]:
    """Return the entries of a key for architectures, with some of `architecture_look` otherwise."""
    there = set(kinds)
    return [
        Line2D([], [], label=f"{kind} nets", **architecture_look(kind) | look)
        for kind in ARCHITECTURE_COLOURS
        if kind in there
    ]


def pale(colour: str, part: float = 0.6) -> str:
    """Return a colour mixed with white."""
    red, green, blue = (part + (1 - part) * channel for channel in to_rgb(colour))
    return to_hex((red, green, blue))


def legible(colour: str, least: float = 3.0) -> str:
    """Return a colour as text may have it: darkened until its contrast to white is `least` (WCAG 2.2, 1.4.11)."""
    red, green, blue = to_rgb(colour)
    while 1.05 / (_luminance(np.array([red, green, blue])) + 0.05) < least:
        red, green, blue = 0.95 * red, 0.95 * green, 0.95 * blue
    return to_hex((red, green, blue))


def _luminance(channels: Any) -> float:
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@cache
def families() -> tuple[str, ...]:
    """Return the type families in the order in which a sign is looked for: DejaVu Sans comes with matplotlib."""
    installed = set(font_manager.fontManager.get_font_names())
    return ("DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed), "sans-serif")


@contextmanager
def drawing(style: Style = "house") -> Iterator[None]:
    """Put the style in force until the block ends. Matplotlib's own notices of missing signs are held back."""
    settings = STYLE | {"font.family": list(families())} | (PAPER_STYLE if style == "paper" else {})
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a class named in a script without a font
        yield


@contextmanager
def new_figure(
    columns: int = 1,
    rows: int = 1,
    height: float = 2.5,
    width: float | None = None,
    style: Style = "house",
    **options: Any,
) -> Iterator[tuple[Figure, Any]]:
    """Yield a figure and its axes (rows, columns), with the style in force until the block ends."""
    with drawing(style):
        figure = Figure(figsize=(width or (WIDTH if columns > 1 else COLUMN), height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)
        figure.clear()


@contextmanager
def axes_or_new(ax: Axes | None, height: float = 2.5, style: Style = "house") -> Iterator[Axes]:
    """Yield `ax`, or the axes of a new pyplot figure one column wide, with the style in force until the block ends."""
    with drawing(style):
        if ax is None:
            import matplotlib.pyplot as plt  # chooses a window or a notebook, which saving files must not

            ax = plt.subplots(figsize=(COLUMN, height), layout="constrained")[1]
        shows = mpl.is_interactive()
        yield ax
    mpl.interactive(shows)  # pyplot's first figure, in a notebook, switched it on; the end of the style switched it off


def key_below(figure: Figure, handles: Sequence[Any], columns: int = 99, **look: Any) -> None:
    """Put a key below all panels, in so many columns at most."""
    if figure.get_figwidth() <= COLUMN:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = min(columns, max(1, int(figure.get_figwidth() / (KEY_MARK + KEY_LETTER * longest))))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=min(columns, len(handles)), **look)


def handles_of(ax: Axes) -> list[Any]:
    """Return the entries of a panel's key."""
    return list(ax.get_legend_handles_labels()[0])


def panel_width(columns: int, single: float = 1.2) -> float:
    """Return the width of a figure with so many panels in inches: one alone takes `single` columns of the page."""
    return WIDTH if columns > 1 else single * COLUMN


def as_text(name: str, longest: int = 24) -> str:
    """Return a name from outside as a label shows it: no mathematics in it, on one line, cut in the middle if long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name).strip()
    if len(shown) > longest:
        shown = f"{shown[: longest // 2]}…{shown[len(shown) - (longest - 1) // 2 :]}"
    return shown.replace("$", r"\$")


def save(
    figure: Figure, folder: Path, name: str, data: pd.DataFrame | None = None, kinds: Sequence[str] | None = None
) -> None:
    """Write a figure in every format, without dates, and beside it the numbers that it shows, in full precision."""
    folder.mkdir(parents=True, exist_ok=True)
    undated: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    engine = figure.get_layout_engine()
    if engine is not None:  # laid out once, not again for every format
        engine.execute(figure)
        figure.set_layout_engine(None)
    for kind in FORMATS if kinds is None else kinds:
        figure.savefig(folder / f"{name}.{kind}", metadata=undated[kind])
    if data is not None:
        write_frame(data, folder / f"{name}.csv")
