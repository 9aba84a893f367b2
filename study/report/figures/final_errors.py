"""Final error against depth, the one picture of a study: every seed a point, with the mean and its interval.

Two studies stand in one picture with their means alone: the first solid, the second dashed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.figures.against_depth import draw_against_depth, draw_metrics, seeds_by_depth
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import (
    SQUEEZE_FROM,
    ErrorAxis,
    depth_axis,
    depth_places,
    linear_part,
    single_variant,
    squeeze,
    unsqueeze,
)
from study.report.figures.points import name_points
from study.report.figures.style import (
    ARCHITECTURE_COLOURS,
    ARCHITECTURE_MARKERS,
    as_text,
    axes_or_new,
    key_below,
    panel_width,
)
from study.report.metrics import FINAL_ERRORS, axis
from study.report.text import seeds_words
from study.statistics.interval import Interval, mean_percent
from study.verdict.selection import counted, depths, resolution, several_splits, units

DASHES: tuple[Any, Any] = ("-", (0, (4, 1.8)))
"""Line styles of the first of two studies and of the second."""
NET = ["metric", "architecture", "depth"]


class DepthData(NamedTuple):
    """Final errors of the runs that count, and each metric's axis."""

    seeds: pd.DataFrame
    """Tidy, a row a seed and metric: `NET`, `error` in percent, its net's mean, sd, low, high, and number of seeds."""
    depths: tuple[int, ...]
    """Of the axis."""
    axes: dict[str, ErrorAxis]

    @property
    def clipped(self) -> bool:
        """Whether some interval reaches past its axis."""
        return any(self.axes[str(metric)].cuts(nets) for metric, nets in self.means.groupby("metric"))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that some run has."""
        return tuple(metric for metric in FINAL_ERRORS if (self.seeds["metric"] == metric).any())

    @property
    def several(self) -> bool:
        """Whether some net has several seeds."""
        return bool((self.seeds["seeds"] > 1).any())

    @property
    def means(self) -> pd.DataFrame:
        """A row a net and metric."""
        return self.seeds.drop_duplicates(NET)


def depth(
    runs: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str = "final_train_error",
    interval: Callable[[NDArray[np.float64]], Interval] = mean_percent,
) -> Axes:
    """Draw final error against depth: every seed hollow, the mean of a net full, with its 95% interval.

    Args:
        runs: a row a run, as `study.track.frames.load_runs` returns them, of one variant; those that count are drawn.
        ax: where to draw; by default new axes.
        metric: final_train_error or final_test_error.
        interval: from the errors of a net's seeds, (seeds,), to its mean and interval.

    Raises:
        ValueError: several variants, or no run has the metric.

    Example:
        >>> figures.depth(load_runs("digits"))
    """
    data = depth_data(runs, interval)
    if metric not in data.metrics:
        raise ValueError(f"no run that counts has '{metric}': there are {', '.join(data.metrics) or 'none'}")
    with axes_or_new(ax) as ax:
        draw_depth(data, ax, metric)
        ax.legend()
    return ax


def depth_data(runs: pd.DataFrame, interval: Callable[[NDArray[np.float64]], Interval] = mean_percent) -> DepthData:
    """Return seeds and means of the final errors by depth, from the runs that count.

    Raises:
        ValueError: the frame holds several variants.
    """
    runs = single_variant(runs)
    counted_runs = counted(runs)
    frames, axes = [], {}
    for metric in FINAL_ERRORS:
        frame = seeds_by_depth(counted_runs, metric, interval).rename(columns={"value": "error"})
        frame.insert(0, "metric", metric)
        axes[metric] = seeds_axis(frame, linear_part(resolution(counted_runs, metric)))
        frames.append(frame)
    seeds = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    return DepthData(seeds, tuple(depths(counted_runs)), axes)


def seeds_axis(seeds: pd.DataFrame, linear: float) -> ErrorAxis:
    """Return an axis that holds every seed, and intervals as far as they don't squeeze the seeds.

    It is logarithmic above `linear` where errors span much.
    """
    tall = max(float(seeds["error"].max()), 0.5) if len(seeds) else 1.0
    ends = seeds["high"][np.isfinite(seeds["high"])]
    high = min(max([tall, *ends]), 1.5 * tall, 101.0)
    least = float(seeds["mean"].min()) if len(seeds) else tall
    if tall <= SQUEEZE_FROM * max(least, linear):
        return ErrorAxis(-0.03 * high, min(high * 1.08, 103.0), 0.0)
    top = float(squeeze(high, linear))
    return ErrorAxis(-0.05 * top, min(float(unsqueeze(1.04 * top, linear)), 105.0), linear)


def draw_depth(data: DepthData, ax: Axes, metric: str) -> None:
    """Draw one metric: architectures side by side at each depth, seeds hollow, the mean full with its interval."""
    data.axes[metric].put_on(ax)
    if data.axes[metric].linear:
        ax.axhline(0, color="#bdbdbd", linewidth=0.5, zorder=1)
    draw_against_depth(ax, data.seeds[data.seeds["metric"] == metric], data.depths, value="error")
    ax.set_ylabel(axis(metric))


def depth_drawing(runs: pd.DataFrame) -> Drawing | None:
    """Return the final errors of one variant; None where none is known."""
    data = depth_data(runs)
    if data.seeds.empty:
        return None
    unit = "split" if several_splits(counted(runs)) else "seed"
    texts = write_texts("depth", data=data, seeds=seeds_words(data.seeds["seeds"], unit=unit), unit=unit)
    draw, columns = partial(draw_metrics, partial(draw_depth, data), data.metrics), len(data.metrics)
    return Drawing("depth", texts, draw, data.seeds, columns, 2.8, panel_width(columns))


def compare_drawing(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str]) -> Drawing | None:
    """Return the final errors of two studies' runs in one figure; None where one of them has none."""
    studies = depth_data(a), depth_data(b)
    if any(study.seeds.empty for study in studies):
        return None
    frame = pd.concat(
        [study.seeds.assign(study=name) for name, study in zip(names, studies, strict=True)], ignore_index=True
    )
    metrics = [metric for metric in FINAL_ERRORS if any(metric in study.metrics for study in studies)]
    texts = write_texts("compare", studies=dict(zip(names, studies, strict=True)), units=units(pd.concat([a, b])))
    draw = partial(_draw_two_studies, studies, names, metrics)
    return Drawing("compare", texts, draw, frame, len(metrics), 2.8, panel_width(len(metrics)))


def _draw_two_studies(
    studies: tuple[DepthData, DepthData],
    names: tuple[str, str],
    metrics: list[str],
    figure: Figure,
    axes: NDArray[np.object_],
) -> None:
    """Draw final training error left and, where there is any, final test error right, with one key below."""
    for ax, metric in zip(axes[0], metrics, strict=True):
        draw_compare(studies, names, ax, metric)
    kinds = dict.fromkeys(kind for study in studies for kind in study.seeds["architecture"])
    handles = [
        Line2D([], [], label=f"{as_text(name)}: {kind} nets", linewidth=1.1, **_study_look(kind, second=second))
        for kind in kinds
        for second, name in enumerate(names)
    ]
    key_below(figure, handles, 2, handlelength=3)


def draw_compare(studies: tuple[DepthData, DepthData], names: tuple[str, str], ax: Axes, metric: str) -> None:
    """Draw one metric: means with their intervals; full marks are the first study's, hollow ones the second's."""
    at = depth_places(sorted({depth for study in studies for depth in study.depths}))
    reach = depth_axis(ax, at)
    lows, highs, linear = zip(*(study.axes[metric] for study in studies), strict=True)
    ErrorAxis(min(lows), max(highs), min(filter(None, linear), default=0.0)).put_on(ax)
    lines = [
        (second, kind, nets)
        for second, study in enumerate(studies)
        for kind, nets in study.means[study.means["metric"] == metric].groupby("architecture", sort=False)
    ]
    for rank, (second, kind, nets) in enumerate(lines):
        look = _study_look(str(kind), second=second)
        x = nets["depth"].map(at).to_numpy() + (rank - (len(lines) - 1) / 2) * 0.018 * reach
        (drawn,) = ax.plot(x, nets["mean"], linewidth=1.1, zorder=3, **look)
        name_points(drawn, f"{names[second]}: {kind} nets, mean", nets["depth"])
        for place, mean, lower, upper in zip(x, nets["mean"], nets["low"], nets["high"], strict=True):
            if np.isfinite(lower):
                ends = [[mean - lower], [upper - mean]]
                ax.errorbar(place, mean, ends, color=look["color"], linewidth=0.8, capsize=2.0, zorder=2)
    ax.set_ylabel(axis(metric))


def _study_look(kind: str, *, second: int) -> dict[str, Any]:
    colour = ARCHITECTURE_COLOURS[kind]
    return {
        "color": colour,
        "linestyle": DASHES[second],
        "marker": ARCHITECTURE_MARKERS[kind],
        "markersize": 3.8,
        "markerfacecolor": "white" if second else colour,
    }
