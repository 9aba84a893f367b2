"""What a probe measured layer by layer: lines over the layers of nets, mean and range over seeds."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from study.report.figures.points import name_points
from study.report.figures.style import key_below
from study.report.moments import evenly, label

MOST_DEPTHS = 7
"""Depths that are told apart by their colours; of more, the shallowest, the deepest and some between are drawn."""
FARTHEST = 6.0
"""A net so many times as deep as the next would squeeze the lines of all others, and isn't drawn beside them."""
FEW_DECADES = 200.0
"""Ratio of an axis' ends below which powers of ten would be too few ticks."""
LINE = ["architecture", "depth", "moment"]
COLUMNS = (*LINE, "place", "value", "lowest", "highest", "seeds")
KEY_ENTRY = 1.2
"""Width of an entry of the key, in inches."""


def left_out(drawn: Iterable[int], measured: Sequence[int]) -> str:
    """Return a sentence of a caption on how many of the depths that were measured are drawn, if not all."""
    count = len(set(drawn))
    return f" Of {len(measured)} depths, {count} are drawn." if count < len(measured) else ""


def drawn_depths(measured: Sequence[int]) -> list[int]:
    """Return the depths that are drawn, of those in order: not too many, and none far beyond the others."""
    near = list(measured)
    while len(near) > 2 and near[-1] > FARTHEST * near[-2]:
        near.pop()
    return [int(depth) for depth in evenly(near, MOST_DEPTHS)]


def layer_lines(rows: pd.DataFrame, column: str, place: str, *, geometric: bool = False) -> pd.DataFrame:
    """Return a row a net, `moment` and place: `value`, the mean of a column over seeds, the lowest and the highest.

    Seeds that have a value that isn't a number at some place are left out whole, as is one of 0 or less where the mean
    is geometric. The end of training is the moment `inf`.
    """
    lines = []
    for (architecture, depth, moment), part in rows.groupby(LINE):
        table = part.pivot_table(index=place, columns="run_id", values=column, dropna=False)
        values = table.to_numpy(dtype=np.float64)  # (layers, seeds)
        fine = np.isfinite(values).all(0) & ((values > 0).all(0) | (not geometric))
        seeds = values[:, fine]
        if seeds.shape[1]:
            mean = np.exp(np.log(seeds).mean(1)) if geometric else seeds.mean(1)
            net = {"architecture": architecture, "depth": depth, "moment": moment}
            shown = {"place": table.index.to_numpy(dtype=np.float64), "value": mean}
            spread = {"lowest": seeds.min(1), "highest": seeds.max(1), "seeds": seeds.shape[1]}
            lines.append(pd.DataFrame(net | shown | spread))
    return pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=list(COLUMNS))


def each_line(lines: pd.DataFrame) -> Iterator[tuple[str, int, float, pd.DataFrame]]:
    """Yield the architecture, depth, moment and rows of each line."""
    for _, line in lines.groupby(LINE, sort=False):
        first = line.iloc[0]
        yield str(first["architecture"]), int(first["depth"]), float(first["moment"]), line


def draw_lines(ax: Axes, lines: pd.DataFrame, colours: Mapping[Any, str], by: str = "depth") -> None:
    """Draw lines, each with its band from the lowest to the highest seed, in the colour of its depth or moment."""
    for kind, depth, moment, line in each_line(lines):
        look: dict[str, Any] = {
            "color": colours[line[by].iloc[0]],
            "marker": "o" if len(line) < 2 else "",
            "markersize": 3,
        }
        (drawn,) = ax.plot(line["place"], line["value"], linewidth=1.0, zorder=3, **look)
        name_points(drawn, f"{kind}, {depth} layers, {label(moment)}")
        if line["seeds"].iloc[0] > 1:
            bounds = line["lowest"], line["highest"]
            ax.fill_between(line["place"], *bounds, color=look["color"], alpha=0.18, linewidth=0, zorder=2)


def layer_axis(ax: Axes) -> None:
    """Give an axis of layers few whole numbers as ticks."""
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def log_axis(ax: Axes, low: float, high: float) -> None:
    """Give an axis of values a logarithmic scale that holds low to high, and a decade at least."""
    middle, half = math.sqrt(low * high), max(math.sqrt(high / low) ** 1.1, math.sqrt(10))
    ax.set(yscale="log", ylim=(middle / half, middle * half))
    few = half**2 < FEW_DECADES
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if few else LogLocator(numticks=6))
    if few:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def extent(lines: pd.DataFrame) -> tuple[float, float]:
    """Return the lowest and the highest seed of some lines."""
    return float(lines["lowest"].min()), float(lines["highest"].max())


def name_row(ax: Axes, text: str) -> None:
    """Write what a row of panels is of beside its last."""
    ax.annotate(text, (1.04, 0.5), xycoords="axes fraction", rotation=270, va="center", fontsize="medium")


def depth_key(colours: dict[int, str]) -> list[Line2D]:
    """Return the key of depths."""
    return [Line2D([], [], color=colour, linewidth=1.4, label=f"{depth} layers") for depth, colour in colours.items()]


def add_key(figure: Figure, handles: Sequence[Line2D], entry: float = KEY_ENTRY) -> None:
    """Put a key below a figure, in as many columns as it is wide; an `entry` has so many inches."""
    key_below(figure, handles, max(1, int(figure.get_figwidth() / entry)))
