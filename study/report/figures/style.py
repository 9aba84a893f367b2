"""What all figures share: size, type, colours, labels that don't overlap, and the one way to save."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

WIDTH = 5.5
"""Text width of a single-column page, in inches."""
FORMATS = ("png", "svg", "pdf")
SIZE = 8.0
"""Type size in points."""

STYLE: Any = {
    "font.family": "sans-serif",
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
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.grid.axis": "y",
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Text stays text (searchable, selectable), and the same numbers give the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "study",
    "pdf.fonttype": 42,
}

ARCHITECTURE_COLOURS = {"plain": "#3a3a3a", "residual": "#0072b2", "vgg": "#009e73"}
ARCHITECTURE_MARKERS = {"plain": "o", "residual": "s", "vgg": "^"}

# Lightness falls from end to end, so that deeper is darker in grey print and for every kind of colour vision.
_DEPTH = LinearSegmentedColormap.from_list("depth", ["#e08a00", "#d1495b", "#8e2f9e", "#2b2a78", "#000014"])


def depth_colours(depths: Iterable[int]) -> dict[int, str]:
    """Return a colour for each depth: deeper is darker."""
    ordered = sorted(set(depths))
    places = np.linspace(0, 1, max(2, len(ordered))) if len(ordered) != 2 else [0.1, 0.72]
    return {depth: to_hex(_DEPTH(float(place))) for depth, place in zip(ordered, places, strict=False)}


@contextmanager
def new_figure(
    columns: int = 1, rows: int = 1, height: float = 2.5, width: float | None = None, **options: Any
) -> Iterator[tuple[Figure, Any]]:
    """Yield a figure and its axes (rows, columns), with the style in force until the block ends."""
    with mpl.rc_context(STYLE):
        width = width or (WIDTH if columns > 1 else WIDTH * 0.68)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)
        figure.clear()


def as_text(name: str, longest: int = 24) -> str:
    """Return a name from outside as a label shows it: no mathematics in it, on one line, cut in the middle if long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name).strip()
    if len(shown) > longest:
        shown = f"{shown[: longest // 2]}…{shown[len(shown) - (longest - 1) // 2 :]}"
    return shown.replace("$", r"\$")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure in every format, without dates."""
    folder.mkdir(parents=True, exist_ok=True)
    undated: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a class named in Chinese, say
        for kind in FORMATS:
            figure.savefig(folder / f"{name}.{kind}", dpi=200, metadata=undated[kind])


def draw_and_save(
    folder: Path, name: str, draw: Callable[[Figure, Any], None], columns: int = 1, **options: Any
) -> None:
    """Make a figure, let `draw` fill it, save and close it."""
    with new_figure(columns, **options) as (figure, axes):
        draw(figure, axes)
        save(figure, folder, name)


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places for labels as near to `values` as they can be, in their order, `gap` apart, inside [low, high].

    Where there is no room for the gap, the places are equally far apart.
    """
    count = len(values)
    if count == 0:
        return []
    gap = min(gap, (high - low) / (count - 1)) if count > 1 else gap
    order = sorted(range(count), key=lambda i: values[i])
    # Blocks of touching labels: each sits at the mean of where its members would like the block to start.
    blocks: list[list[float]] = []  # [sum of wished starts, members]
    for rank, i in enumerate(order):
        blocks.append([min(max(values[i], low), high) - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + members]
    starts = [total / members for total, members in blocks for _ in range(int(members))]
    top = high - (count - 1) * gap
    places = [0.0] * count
    for rank, i in enumerate(order):
        places[i] = min(max(starts[rank], low), max(top, low)) + rank * gap
    return places


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write (y, text, colour) labels outside the right edge, moved apart, each tied to its line's end."""
    low, high = ax.get_ylim()
    box = ax.get_figure()
    height = box.get_size_inches()[1] * 72 * 0.62 if box is not None else 100.0  # type: ignore[union-attr]
    gap = (high - low) * SIZE * 1.15 / height
    for (y, text, colour), place in zip(ends, spread([end[0] for end in ends], gap, low, high), strict=True):
        x = ax.get_yaxis_transform()
        ax.plot([1.0, 1.035], [y, place], transform=x, color=colour, linewidth=0.6, clip_on=False)
        ax.text(1.045, place, text, transform=x, color=colour, va="center", ha="left", fontsize=SIZE - 0.5)
