"""What a probe measured layer by layer: lines over the layers of nets, mean and range over seeds."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from study.report.figures.style import WIDTH, depth_colours
from study.report.moments import evenly
from study.verdict.selection import architectures, depths

Array = NDArray[np.float64]
MOST_DEPTHS = 7
"""Depths that are told apart by their colours; of more, the shallowest, the deepest and some between are drawn."""
FARTHEST = 6.0
"""A net so many times as deep as the next would squeeze the lines of all others, and isn't drawn beside them."""
FEW_DECADES = 200.0
"""Ratio of an axis' ends below which powers of ten would be too few ticks."""
KEY_ENTRY = 1.2
"""Width of an entry of the key, in inches."""


class LayerLine(NamedTuple):
    """One net at one moment: places (layers,), and the mean, lowest and highest seed there."""

    architecture: str
    depth: int
    moment: float
    place: Array
    mean: Array
    low: Array
    high: Array
    seeds: int


def left_out(drawn: Sequence[int], measured: Sequence[int]) -> str:
    """Return a sentence of a caption on how many of the depths that were measured are drawn, if not all."""
    return f" Of {len(measured)} depths, {len(drawn)} are drawn." if len(drawn) < len(measured) else ""


class LayerLines(tuple[LayerLine, ...]):
    """Lines of several nets."""

    __slots__ = ()

    @property
    def panels(self) -> tuple[str, ...]:
        """The architectures."""
        return tuple(dict.fromkeys(line.architecture for line in self))

    @property
    def drawn(self) -> tuple[int, ...]:
        """The depths."""
        return tuple(sorted({line.depth for line in self}))

    def left_out(self, measured: Sequence[int]) -> str:
        """Return a sentence of a caption on how many of the depths that were measured are drawn, if not all."""
        return left_out(self.drawn, measured)


def drawn_depths(found: Sequence[int]) -> list[int]:
    """Return the depths that are drawn, of those in order: not too many, and none far beyond the others."""
    near = list(found)
    while len(near) > 2 and near[-1] > FARTHEST * near[-2]:
        near.pop()
    return [int(depth) for depth in evenly(near, MOST_DEPTHS)]


def layer_lines(rows: pd.DataFrame, column: str, place: str, *, geometric: bool = False) -> LayerLines:
    """Return lines of a column over `place`, by architecture, depth and `moment`.

    Seeds that have a value that isn't a number at some place are left out whole, as is one of 0 or less where the mean
    is geometric.
    """
    found = []
    for architecture in architectures(rows):
        mine = rows[rows["architecture"] == architecture]
        for depth in depths(mine):
            for moment, part in mine[mine["depth"] == depth].groupby("moment"):
                table = part.pivot_table(index=place, columns="run_id", values=column, dropna=False)
                values = table.to_numpy(dtype=np.float64)  # (layers, seeds)
                fine = np.isfinite(values).all(0) & ((values > 0).all(0) | (not geometric))
                values = values[:, fine]
                if values.shape[1]:
                    mean = np.exp(np.log(values).mean(1)) if geometric else values.mean(1)
                    at = table.index.to_numpy(dtype=np.float64)
                    found.append(LayerLine(architecture, depth, float(str(moment)), at, mean, values.min(1),
                                           values.max(1), values.shape[1]))  # fmt: skip
    return LayerLines(found)


def lines_frame(lines: Sequence[LayerLine], place: str, column: str) -> pd.DataFrame:
    """Return lines, tidy: a row a net, moment and place; the end of training is the moment `inf`."""
    return pd.concat([
        pd.DataFrame({
            "architecture": one.architecture, "depth": one.depth, "moment": one.moment, place: one.place,
            column: one.mean, "lowest": one.low, "highest": one.high, "seeds": one.seeds,
        })
        for one in lines
    ], ignore_index=True)  # fmt: skip


def draw_line(ax: Axes, one: LayerLine, colour: str) -> None:
    """Draw a line with its band from the lowest to the highest seed."""
    marker = "o" if len(one.place) < 2 else ""
    ax.plot(one.place, one.mean, color=colour, linewidth=1.0, marker=marker, markersize=3, zorder=3)
    if one.seeds > 1:
        ax.fill_between(one.place, one.low, one.high, color=colour, alpha=0.18, linewidth=0, zorder=2)


def span(counts: Collection[int]) -> str:
    """Write numbers, such as those of the seeds of nets, as one or as a range: ``3``, ``2 to 3``."""
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def means_words(seeds: Iterable[int], kind: str = "Means") -> str:
    """Say what lines with so many seeds are: ``Means over 3 seeds, bands from the lowest to the highest``."""
    counts = set(seeds)
    if counts == {1}:
        return "One seed a net"
    return f"{kind} over {span(counts)} seeds, bands from the lowest to the highest"


def layer_axis(ax: Axes) -> None:
    """Give an axis of layers few whole numbers as ticks."""
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def log_axis(ax: Axes, low: float, high: float) -> None:
    """Give an axis of values a logarithmic scale that holds low to high, and a decade at least."""
    middle, half = math.sqrt(low * high), max(math.sqrt(high / low) ** 1.1, math.sqrt(10))
    ax.set_yscale("log")
    ax.set_ylim(middle / half, middle * half)
    few = half**2 < FEW_DECADES
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if few else LogLocator(numticks=6))
    if few:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def extent(lines: Collection[LayerLine]) -> tuple[float, float]:
    """Return the lowest and the highest seed of some lines."""
    return min(float(line.low.min()) for line in lines), max(float(line.high.max()) for line in lines)


def name_row(ax: Axes, text: str) -> None:
    """Write what a row of panels is of beside its last."""
    ax.annotate(text, (1.04, 0.5), xycoords="axes fraction", rotation=270, va="center", fontsize="medium")


def colours_of(lines: Collection[LayerLine]) -> dict[int, str]:
    """Return a colour for each depth: deeper is darker."""
    return depth_colours(one.depth for one in lines)


def depth_key(colours: dict[int, str]) -> list[Line2D]:
    """Return the key of depths."""
    return [Line2D([], [], color=colour, linewidth=1.4, label=f"{depth} layers") for depth, colour in colours.items()]


def key_columns(handles: Sequence[Line2D], width: float = WIDTH, entry: float = KEY_ENTRY) -> int:
    """Return in how many columns a key fits below a figure of this width, in inches."""
    return max(1, min(len(handles), int(width / entry)))


def add_key(figure: Figure, handles: Sequence[Line2D], entry: float = KEY_ENTRY) -> None:
    """Put a key below a figure."""
    columns = key_columns(handles, figure.get_figwidth(), entry)
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)
