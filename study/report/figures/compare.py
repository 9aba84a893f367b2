"""Final error of two studies against depth: the first solid, the second dashed, a colour an architecture."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing
from study.report.figures.final_errors import ERRORS, DepthData, Series, depth_data
from study.report.figures.labels import depth_axis, depth_places, squeeze_axis
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS, as_text, panel_width
from study.report.metrics import METRICS, axis

DASHES: tuple[Any, Any] = ("-", (0, (4, 1.8)))
"""Line styles of the first study and of the second."""


class CompareData(NamedTuple):
    """Seeds and means of both studies by depth."""

    names: tuple[str, str]
    studies: tuple[DepthData, DepthData]

    @property
    def depths(self) -> tuple[int, ...]:
        """All depths of the axis."""
        return tuple(sorted({depth for study in self.studies for depth in study.depths}))

    def limits(self, metric: str) -> tuple[float, float]:
        """Limits that hold both."""
        found = [study.limits[metric] for study in self.studies]
        return min(low for low, _ in found), max(high for _, high in found)

    def linear(self, metric: str) -> float:
        """Percent up to which the axis is linear, where errors of either study span decades; else 0."""
        return min((study.linear[metric] for study in self.studies if metric in study.linear), default=0.0)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that a study has a series of."""
        return tuple(metric for metric in ERRORS if any(metric in study.metrics for study in self.studies))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn: a row a study, net, metric and seed."""
        frames = [one.frame().assign(study=name) for name, one in zip(self.names, self.studies, strict=True)]
        return pd.concat(frames, ignore_index=True)


def compare_data(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str]) -> CompareData:
    """Return the runs that count of two studies, as `depth_data` has them."""
    return CompareData(names, (depth_data(a), depth_data(b)))


def draw_compare(data: CompareData, ax: Axes, metric: str) -> None:
    """Draw one metric: means with their intervals; full marks are the first study's, hollow ones the second's."""
    at = depth_places(data.depths)
    reach = depth_axis(ax, at)
    low, high = data.limits(metric)
    if data.linear(metric):
        squeeze_axis(ax, data.linear(metric), low, high)
    ax.set_ylim(low, high)
    shown = [(i, one) for i, study in enumerate(data.studies) for one in study.series if one.metric == metric]
    for rank, (study, one) in enumerate(shown):
        shift = (rank - (len(shown) - 1) / 2) * 0.018 * reach
        _draw_line(ax, one, np.array([at[depth] for depth in one.depths]) + shift, second=study == 1)
    ax.set_ylabel(axis(metric))


def _draw_line(ax: Axes, one: Series, x: NDArray[np.float64], *, second: bool) -> None:
    colour = ARCHITECTURE_COLOURS[one.architecture]
    ax.plot(x, [mean.estimate for mean in one.means], color=colour, linewidth=1.1, linestyle=DASHES[second], zorder=3,
            marker=ARCHITECTURE_MARKERS[one.architecture], markersize=3.8,
            markerfacecolor="white" if second else colour)  # fmt: skip
    for place, mean in zip(x, one.means, strict=True):
        if np.isfinite(mean.low):
            ax.errorbar(place, mean.estimate, [[mean.estimate - mean.low], [mean.high - mean.estimate]], color=colour,
                        linewidth=0.8, capsize=2.0, zorder=2)  # fmt: skip


def draw_both(data: CompareData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw final training error left and, where there is any, final test error right, with one key below."""
    for ax, metric in zip(axes[0], data.metrics, strict=True):
        draw_compare(data, ax, metric)
    kinds = dict.fromkeys(one.architecture for study in data.studies for one in study.series)
    handles = [
        Line2D([], [], color=ARCHITECTURE_COLOURS[kind], linestyle=DASHES[i], marker=ARCHITECTURE_MARKERS[kind],
               markersize=3.8, linewidth=1.1, markerfacecolor="white" if i else ARCHITECTURE_COLOURS[kind],
               label=f"{as_text(name)}: {kind} nets")
        for kind in kinds
        for i, name in enumerate(data.names)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=3)


def compare_drawing(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str]) -> Drawing | None:
    """Return the final errors of two studies' runs; None where one of them has none."""
    data = compare_data(a, b, names)
    if not all(study.series for study in data.studies):
        return None
    texts = (f"Final error against depth, {names[0]} and {names[1]}", compare_caption(data), compare_alt(data))
    return Drawing(
        "compare", texts, partial(draw_both, data), data.frame(), len(data.metrics), 2.8, panel_width(len(data.metrics))
    )


def compare_caption(data: CompareData) -> str:
    """Return the caption."""
    a, b = data.names
    return (
        f"Error after the last iteration against depth: training error on the whole training split, clean images, "
        f"evaluation mode (left), and test error (right). {a}: solid lines, full marks; {b}: dashed, hollow. "
        "Means over seeds with 95% t intervals, where there are two seeds or more."
    )


def compare_alt(data: CompareData) -> str:
    """Tell every mean."""
    parts = []
    for name, study in zip(data.names, data.studies, strict=True):
        for one in study.series:
            cells = [f"{depth} layers {mean.estimate:.2f}%" for depth, mean in zip(one.depths, one.means, strict=True)]
            parts.append(f"{name}, {METRICS[one.metric].label}, {one.architecture} nets: {', '.join(cells)}.")
    return f"Chart of final error against depth of two studies. {' '.join(parts)}"
