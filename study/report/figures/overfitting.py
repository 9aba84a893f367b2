"""Test error against training error, a mark a run: what overfits stands farther above the diagonal."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from study.report.figures import layers
from study.report.figures.final_errors import COMPRESS
from study.report.figures.labels import squeeze, squeeze_axis, unsqueeze
from study.report.figures.style import ARCHITECTURE_MARKERS, depth_colours
from study.report.metrics import axis
from study.verdict.selection import architectures, depths

LINEAR = 1.0
"""Percent up to which squeezed axes are linear."""
EQUAL: dict[str, Any] = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": "-"}
GAP: dict[str, Any] = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": (0, (4, 2))}


class ErrorsData(NamedTuple):
    """Final errors of the runs of each net, and the gap between them that others are held against."""

    nets: tuple[tuple[str, int, NDArray[np.float64], NDArray[np.float64]], ...]
    """Architecture, depth, training errors (seeds,) and test errors (seeds,)."""
    gap: float
    gap_of: str
    """The net whose mean gap it is."""

    @property
    def compressed(self) -> bool:
        """Whether errors span so much that the axes are logarithmic above 1%."""
        train = np.concatenate([net[2] for net in self.nets])
        return bool(train.max() > COMPRESS * max(float(train.min()), LINEAR / 2))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a run."""
        return pd.concat([
            pd.DataFrame({"architecture": kind, "depth": depth, "final_train_error": train, "final_test_error": test})
            for kind, depth, train, test in self.nets
        ], ignore_index=True)  # fmt: skip


def errors_data(runs: pd.DataFrame, gap: float, gap_of: str) -> ErrorsData:
    """Return the final errors of runs that have both."""
    known = runs.dropna(subset=["final_train_error", "final_test_error"])
    nets = []
    for kind in architectures(known):
        for depth in depths(known[known["architecture"] == kind]):
            mine = known[(known["architecture"] == kind) & (known["depth"] == depth)]
            train, test = (mine[key].to_numpy(dtype=np.float64) for key in ("final_train_error", "final_test_error"))
            nets.append((kind, depth, train, test))
    return ErrorsData(tuple(nets), gap, gap_of)


def draw_errors(data: ErrorsData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw every run, the line of equal errors, and that of the gap."""
    ax = axes[0][0]
    colours = depth_colours(net[1] for net in data.nets)
    for kind, depth, train, test in data.nets:
        ax.plot(train, test, ARCHITECTURE_MARKERS[kind], color=colours[depth], markersize=4.2, zorder=3, alpha=0.85,
                markerfacecolor=colours[depth] if kind == "plain" else "white", markeredgewidth=0.9)  # fmt: skip
    room = 1.3 if data.compressed else 1.05
    high = room * max(float(max(train.max(), test.max())) for _, _, train, test in data.nets)
    _scale(ax, data.compressed, max(high, 0.5))
    line = np.linspace(0, 1, 400) ** 2 * high
    ax.plot(line, line, zorder=1, **EQUAL)
    ax.plot(line, line + data.gap, zorder=1, **GAP)
    ax.set_xlabel(axis("final_train_error"))
    ax.set_ylabel(axis("final_test_error"))
    layers.add_key(figure, _key(data, colours), 1.38)


def _scale(ax: Axes, compressed: bool, high: float) -> None:
    """Give both axes the same scale from 0 on."""
    if not compressed:
        ax.set_xlim(-0.03 * high, high)
        ax.set_ylim(-0.03 * high, high)
        return
    squeeze_axis(ax, LINEAR, -0.15, high)
    ticks = [float(tick) for tick in ax.get_yticks()]
    ax.set_xscale("function", functions=(lambda x: squeeze(x, LINEAR), lambda x: unsqueeze(x, LINEAR)))
    ax.set_xlim(-0.15, high)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _key(data: ErrorsData, colours: dict[int, str]) -> list[Line2D]:
    dark: dict[str, Any] = {"color": "#555555", "linestyle": "none", "markersize": 4.2}
    kinds = [
        Line2D([], [], marker=ARCHITECTURE_MARKERS[kind], label=f"{kind} nets",
               markerfacecolor="#555555" if kind == "plain" else "white", **dark)
        for kind in dict.fromkeys(net[0] for net in data.nets)
    ]  # fmt: skip
    equal = Line2D([], [], label="equal errors", **EQUAL)
    return [*kinds, *layers.depth_key(colours), equal, Line2D([], [], label=f"gap of {data.gap_of}", **GAP)]
