"""How alike gradients at two points are, against their distance: nets of several depths, before and after training."""

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from study.report.figures import layers
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.style import GUIDE, depth_colours
from study.report.metrics import axis
from study.report.moments import evenly, label, moments_of
from study.report.text import band_words
from study.verdict.selection import architectures, depths

MOST_MOMENTS = 3
"""Panels beside each other."""


def shattering_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the autocorrelation by distance, with that of `white` noise; empty where there is none.

    A seed whose gradient is the same along its lines has none. Rows have a `moment`.
    """
    apart = rows[rows["lag"] > 0]
    # A depth that would squeeze the others on an axis of layers does no harm here.
    shown = apart[apart["depth"].isin(evenly(depths(rows), layers.MOST_DEPTHS))]
    shown = shown[shown["moment"].isin(evenly(moments_of(shown), MOST_MOMENTS))]
    return layers.layer_lines(shown, "autocorrelation", "distance").assign(white=float(apart["white"].mean()))


def shattering_drawing(rows: pd.DataFrame) -> Drawing | None:
    """Return the figure of some rows, with their `moment`; None where there is no autocorrelation."""
    lines = shattering_lines(rows)
    if lines.empty:
        return None
    kinds, moments = architectures(lines), moments_of(lines)
    texts = write_texts(
        "why-shattering",
        lines=layers.each_line(lines),
        kinds=kinds,
        seeds=band_words(lines["seeds"]),
        note=layers.left_out(lines["depth"], depths(rows)),
    )
    draw = partial(draw_shattering, lines)
    data = lines.rename(columns={"place": "distance", "value": "autocorrelation"})
    height, options = 0.8 + 1.6 * len(kinds), {"rows": len(kinds), "sharex": True, "sharey": True}
    return Drawing("why-shattering", texts, draw, data, len(moments), height, options=options)


def draw_shattering(lines: pd.DataFrame, figure: Figure, axes: Any) -> None:
    """Draw a row of panels an architecture, a panel a moment, with the white reference."""
    colours, kinds = depth_colours(lines["depth"]), architectures(lines)
    for row, kind in enumerate(kinds):
        for column, moment in enumerate(moments_of(lines)):
            ax = axes[row][column]
            layers.draw_lines(ax, lines[(lines["architecture"] == kind) & (lines["moment"] == moment)], colours)
            ax.axhline(lines["white"].iloc[0], zorder=1, **GUIDE)
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_ylim(min(-0.1, layers.extent(lines)[0] - 0.05), 1.04)
            if row == 0:
                ax.set_title(label(moment))
            if row == len(kinds) - 1:
                ax.set_xlabel(axis("distance"))
        axes[row][0].set_ylabel(axis("autocorrelation"))
        layers.name_row(axes[row][-1], f"{kind} nets")
    white = Line2D([], [], label="white noise", **GUIDE)
    layers.add_key(figure, [*layers.depth_key(colours), white])
