"""How alike gradients at two points are, against their distance: nets of several depths, before and after training."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from study.report.figures import layers
from study.report.figures.layers import LayerLines, layer_lines, lines_frame
from study.report.metrics import axis
from study.report.moments import evenly, label, moments_of
from study.verdict.selection import depths

MOST_MOMENTS = 3
"""Panels beside each other."""
WHITE: dict[str, Any] = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": (0, (4, 2))}


class ShatteringData(NamedTuple):
    """Autocorrelation by distance: a row an architecture, a column a moment."""

    lines: LayerLines
    moments: tuple[float, ...]
    white: float
    """The autocorrelation of the same gradients in random order."""
    all_depths: tuple[int, ...]
    """Those that were measured, of which all or some are drawn."""

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy."""
        return lines_frame(self.lines, "distance", "autocorrelation").assign(white=self.white)


def shattering_data(rows: pd.DataFrame) -> ShatteringData | None:
    """Return the autocorrelation by distance; None where there is none. Rows have a `moment`.

    A seed whose gradient is the same along its lines has none.
    """
    apart = rows[rows["lag"] > 0]
    known = depths(rows)
    # A depth that would squeeze the others on an axis of layers does no harm here.
    shown = apart[apart["depth"].isin(evenly(known, layers.MOST_DEPTHS))]
    moments = evenly(moments_of(shown), MOST_MOMENTS)
    lines = layer_lines(shown[shown["moment"].isin(moments)], "autocorrelation", "distance")
    if not lines:
        return None
    there = tuple(one for one in moments if any(line.moment == one for line in lines))
    return ShatteringData(lines, there, float(apart["white"].mean()), tuple(known))


def draw_shattering(data: ShatteringData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a row of panels an architecture, a panel a moment, with the white reference."""
    colours = layers.colours_of(data.lines)
    for row, architecture in enumerate(data.lines.panels):
        for column, moment in enumerate(data.moments):
            ax = axes[row][column]
            for line in data.lines:
                if (line.architecture, line.moment) == (architecture, moment):
                    layers.draw_line(ax, line, colours[line.depth])
            ax.axhline(data.white, zorder=1, **WHITE)
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_ylim(min(-0.1, layers.extent(data.lines)[0] - 0.05), 1.04)
            if row == 0:
                ax.set_title(label(moment))
            if row == len(data.lines.panels) - 1:
                ax.set_xlabel(axis("distance"))
        axes[row][0].set_ylabel(axis("autocorrelation"))
        layers.name_row(axes[row][-1], f"{architecture} nets")
    white = Line2D([], [], label="white noise", **WHITE)
    layers.add_key(figure, [*layers.depth_key(colours), white])
