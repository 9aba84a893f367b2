"""Test error against training error, a mark a run: what overfits stands farther above the diagonal."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.report.figures import layers
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import SQUEEZE_FROM, number_ticks, squeeze_axis, squeezing
from study.report.figures.points import name_points
from study.report.figures.style import ARCHITECTURE_MARKERS, COLUMN, GUIDE, depth_colours
from study.report.metrics import axis
from study.verdict.selection import ordered

TRAIN, TEST = ERRORS = ["final_train_error", "final_test_error"]
LINEAR = 1.0
"""Percent up to which squeezed axes are linear."""
EQUAL = GUIDE | {"linestyle": "-"}


def error_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the final errors of runs that have both, a row a run, by architecture and depth."""
    return ordered(runs.dropna(subset=ERRORS))[["architecture", "depth", *ERRORS]]


def is_squeezed(frame: pd.DataFrame) -> bool:
    """Whether errors span so much that the axes are logarithmic above 1%."""
    return bool(frame[TRAIN].max() > SQUEEZE_FROM * max(float(frame[TRAIN].min()), LINEAR / 2))


def overfitting_drawing(runs: pd.DataFrame, gap: float, gap_of: str) -> Drawing:
    """Return the figure of some runs, with a line of the gap between test and training error of a net."""
    frame = error_data(runs)
    texts = write_texts("why-overfitting", frame=frame, gap_of=gap_of, squeezed=is_squeezed(frame))
    draw = partial(draw_errors, frame, gap, gap_of)
    return Drawing("why-overfitting", texts, draw, frame, height=3.9, width=1.3 * COLUMN)


def draw_errors(frame: pd.DataFrame, gap: float, gap_of: str, figure: Figure, axes: Any) -> None:
    """Draw every run, the line of equal errors, and that of the gap."""
    ax = axes[0][0]
    colours = depth_colours(frame["depth"])
    for _, net in frame.groupby(["architecture", "depth"], sort=False):
        kind, colour = net["architecture"].iloc[0], colours[net["depth"].iloc[0]]
        (drawn,) = ax.plot(net[TRAIN], net[TEST], zorder=3, alpha=0.85, markeredgewidth=0.9, **_mark(kind, colour))
        name_points(drawn, f"{kind}, {net['depth'].iloc[0]} layers, a run")
    high = (1.3 if is_squeezed(frame) else 1.05) * float(frame[ERRORS].to_numpy().max())
    _set_scale(ax, is_squeezed(frame), max(high, 0.5))
    line = np.linspace(0, 1, 400) ** 2 * high
    ax.plot(line, line, zorder=1, **EQUAL)
    ax.plot(line, line + gap, zorder=1, **GUIDE)
    ax.set(xlabel=axis(TRAIN), ylabel=axis(TEST))
    kinds = [Line2D([], [], label=f"{kind} nets", **_mark(kind, "#555555")) for kind in frame["architecture"].unique()]
    lines = [Line2D([], [], label="equal errors", **EQUAL), Line2D([], [], label=f"gap of {gap_of}", **GUIDE)]
    layers.add_key(figure, [*kinds, *layers.depth_key(colours), *lines], 1.38)


def _mark(kind: str, colour: str) -> dict[str, Any]:
    """Return the look of an architecture's marks: residual ones hollow."""
    face = colour if kind == "plain" else "white"
    look = {"marker": ARCHITECTURE_MARKERS[kind], "markersize": 4.2, "markerfacecolor": face}
    return {"color": colour, "linestyle": "none", **look}


def _set_scale(ax: Axes, squeezed: bool, high: float) -> None:
    """Give both axes the same scale from 0 on."""
    if not squeezed:
        ax.set(xlim=(-0.03 * high, high), ylim=(-0.03 * high, high))
        return
    squeeze_axis(ax, LINEAR, -0.15, high)
    ticks = [float(tick) for tick in ax.get_yticks()]
    ax.set_xscale("function", functions=squeezing(LINEAR))
    ax.set_xlim(-0.15, high)
    number_ticks(ax.xaxis, ticks)
