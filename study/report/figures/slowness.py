"""How long nets take to learn to an error, against their depth, with the laws fitted to it."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.figures.labels import depth_axis, depth_places
from study.report.figures.layers import add_key, log_axis
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS
from study.report.metrics import axis

DASHES: dict[str, Any] = {"exponential": (0, (5, 2)), "power": (0, (1, 1.5))}
"""Of the lines of the two laws."""

REACH = 5.0
"""Times the most iterations of a run that a law is followed up to."""


class Times(NamedTuple):
    """The runs of one architecture, all (runs,): depth, iterations, and whether they reached the error by then."""

    architecture: str
    depth: NDArray[np.float64]
    step: NDArray[np.float64]
    crossed: NDArray[np.bool_]
    laws: dict[str, tuple[float, float]]
    """By law: intercept and slope of the logarithm of the iterations; empty where none could be fitted."""


class SlownessData(NamedTuple):
    """The runs of all architectures and the error, in percent, that they learn to."""

    times: tuple[Times, ...]
    threshold: float

    @property
    def depths(self) -> tuple[int, ...]:
        """All depths."""
        return tuple(sorted({int(depth) for one in self.times for depth in one.depth}))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a run, with what the laws say of its depth."""
        return pd.concat([
            pd.DataFrame({
                "architecture": one.architecture, "depth": one.depth, "iterations": one.step, "crossed": one.crossed,
                **{law: law_at(law, one.laws[law], one.depth) for law in one.laws}, "threshold": self.threshold,
            })
            for one in self.times
        ], ignore_index=True)  # fmt: skip


def law_at(law: str, line: tuple[float, float], depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the iterations that a law has at depths."""
    x = depth if law == "exponential" else np.log(depth)
    return np.asarray(np.exp(line[0] + line[1] * x), dtype=np.float64)


def draw_slowness(data: SlownessData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw every run, hollow with an arrow up where it didn't reach the error, and both laws."""
    ax = axes[0][0]
    places = depth_places(data.depths)
    reach = depth_axis(ax, places)
    even = all(place == depth for depth, place in places.items())
    log_axis(ax, *_limits(data))
    for rank, one in enumerate(data.times):
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        shift = (rank - (len(data.times) - 1) / 2) * 0.025 * reach
        x = np.array([places[int(depth)] for depth in one.depth]) + shift
        ax.plot(x[one.crossed], one.step[one.crossed], marker, color=colour, markersize=3.6, zorder=3)
        _draw_censored(ax, x[~one.crossed], one.step[~one.crossed], colour, marker)
        line = np.linspace(one.depth.min(), one.depth.max(), 100)
        for law, found in one.laws.items():
            at = line if even else np.log10(line)
            ax.plot(at, law_at(law, found, line), color=colour, linewidth=1.0, linestyle=DASHES[law], zorder=2)
    ax.set_ylabel(axis("crossing"))
    add_key(figure, _key(data), 1.38)


def _limits(data: SlownessData) -> tuple[float, float]:
    """Return limits that hold the runs, with room for arrows, and the laws as far as they don't squeeze the runs."""
    seen = np.concatenate([one.step for one in data.times])
    ends = [law_at(law, line, one.depth).max() for one in data.times for law, line in one.laws.items()]
    high = float(seen.max())
    return float(seen.min()), max(1.25 * high, min(max(ends, default=high), REACH * high))


def _draw_censored(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, marker: str) -> None:
    ax.plot(x, y, marker, color=colour, markerfacecolor="white", markersize=3.6, markeredgewidth=0.8, zorder=4)
    for place, step in zip(x, y, strict=True):
        arrow = {"arrowstyle": "<-", "color": colour, "linewidth": 0.8, "shrinkA": 0.0, "shrinkB": 2.0}
        ax.annotate("", (place, step), (0, 11), textcoords="offset points", arrowprops=arrow, zorder=4)


def _key(data: SlownessData) -> list[Line2D]:
    handles = [
        Line2D([], [], color=ARCHITECTURE_COLOURS[one.architecture], marker=ARCHITECTURE_MARKERS[one.architecture],
               markersize=3.6, linestyle="none", label=f"{one.architecture} nets")
        for one in data.times
    ]  # fmt: skip
    grey: dict[str, Any] = {"color": "#555555"}
    if any((~one.crossed).any() for one in data.times):
        handles.append(
            Line2D([], [], marker=r"$\uparrow$", markersize=7, linestyle="none", label="not there yet", **grey)
        )
    laws = [law for law in DASHES if any(law in one.laws for one in data.times)]
    return [*handles, *(Line2D([], [], linestyle=DASHES[law], linewidth=1.0, label=law, **grey) for law in laws)]
