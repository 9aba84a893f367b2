"""Final error against depth, the one picture of a study: every seed a point, with the mean and its interval."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.report.figures.frames import one_variant
from study.report.figures.labels import depth_axis, depth_places, squeeze, squeeze_axis, unsqueeze
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS, axes_or_new
from study.report.metrics import axis
from study.statistics.interval import Interval, mean_interval
from study.verdict.selection import architectures, counted, depths, resolution, values

METRICS = ("final_train_error", "final_test_error")
COMPRESS = 30.0
"""Ratio of the highest to the lowest error from which on small ones would be squeezed on a linear axis."""

Centre = Callable[[NDArray[np.float64]], Interval]


class Series(NamedTuple):
    """One architecture in one metric: depths (D,), the seeds at each, and their means."""

    architecture: str
    metric: str
    depths: tuple[int, ...]
    seeds: tuple[NDArray[np.float64], ...]
    means: tuple[Interval, ...]


class DepthData(NamedTuple):
    """All series, the depths of the axis, and the limits of each metric's axis."""

    series: tuple[Series, ...]
    depths: tuple[int, ...]
    limits: dict[str, tuple[float, float]]
    linear: dict[str, float]
    """Of metrics whose errors span decades, the percent up to which the axis is linear; above it is logarithmic."""
    clipped: bool
    """Whether some interval reaches past the limits."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that have a series."""
        return tuple(metric for metric in METRICS if any(one.metric == metric for one in self.series))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a seed, with its net's mean, deviation, interval and number of seeds."""
        rows = [
            {"metric": one.metric, "architecture": one.architecture, "depth": depth, "error": float(value),
             "mean": mean.estimate, "sd": mean.sd, "low": mean.low, "high": mean.high, "seeds": mean.seeds}
            for one in self.series
            for depth, cell, mean in zip(one.depths, one.seeds, one.means, strict=True)
            for value in cell
        ]  # fmt: skip
        return pd.DataFrame(rows)


def depth(
    runs: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str = "final_train_error",
    interval: Centre = mean_interval,
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


def depth_data(runs: pd.DataFrame, interval: Centre = mean_interval) -> DepthData:
    """Return seeds and means of the final errors by depth, from the runs that count.

    Raises:
        ValueError: the frame holds several variants.
    """
    one_variant(runs)
    kept = counted(runs)
    series: list[Series] = []
    limits: dict[str, tuple[float, float]] = {}
    linear: dict[str, float] = {}
    clipped = False
    for metric in METRICS:
        shown = []
        for architecture in architectures(kept):
            mine = kept[kept["architecture"] == architecture]
            found = [depth for depth in depths(mine) if len(values(mine, depth, metric))]
            seeds = tuple(values(mine, depth, metric) for depth in found)
            if found:
                shown.append(Series(architecture, metric, tuple(found), seeds, tuple(map(interval, seeds))))
        series += shown
        least = 10.0 ** np.ceil(np.log10(resolution(kept, metric)))
        limits[metric], scale = _limits(shown, float(np.clip(least, 0.1, 1.0)))
        linear |= {metric: scale} if scale else {}
        low, high = limits[metric]
        clipped |= any(bound < low or bound > high for one in shown for mean in one.means
                       for bound in (mean.low, mean.high))  # fmt: skip
    return DepthData(tuple(series), tuple(depths(kept)), limits, linear, clipped)


def _limits(series: list[Series], linear: float) -> tuple[tuple[float, float], float]:
    """Return limits that hold every seed, and intervals as far as they don't squeeze the seeds.

    With them, `linear` where errors span so much that the axis is logarithmic above it, else 0.
    """
    points = np.concatenate([cell for one in series for cell in one.seeds]) if series else np.array([1.0])
    tall = max(float(points.max()), 0.5)
    ends = [mean.high for one in series for mean in one.means if np.isfinite(mean.high)]
    high = min(max([tall, *ends]), 1.5 * tall, 101.0)
    least = min((mean.estimate for one in series for mean in one.means), default=tall)
    if tall <= COMPRESS * max(least, linear):
        return (-0.03 * high, min(high * 1.08, 103.0)), 0.0
    top = float(squeeze(high, linear))
    return (-0.05 * top, min(float(unsqueeze(1.04 * top, linear)), 105.0)), linear


def draw_depth(data: DepthData, ax: Axes, metric: str) -> None:
    """Draw one metric: architectures side by side at each depth, seeds hollow, the mean full with its interval."""
    at = depth_places(data.depths)
    reach = depth_axis(ax, at)
    if metric in data.linear:
        squeeze_axis(ax, data.linear[metric], *data.limits[metric])
        ax.axhline(0, color="#bdbdbd", linewidth=0.5, zorder=1)
    ax.set_ylim(*data.limits[metric])
    shown = [one for one in data.series if one.metric == metric]
    for rank, one in enumerate(shown):
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        shift = (rank - (len(shown) - 1) / 2) * 0.03 * reach
        x = np.array([at[depth] for depth in one.depths]) + shift
        low, mean, high = (np.array([getattr(m, name) for m in one.means]) for name in ("low", "estimate", "high"))
        ax.plot(x, mean, color=colour, linewidth=1.3, zorder=3, label=f"{one.architecture} nets", marker=marker,
                markersize=4)  # fmt: skip
        some = np.isfinite(low)
        ax.errorbar(x[some], mean[some], [(mean - low)[some], (high - mean)[some]], color=colour, linewidth=0,
                    elinewidth=1.0, capsize=2.4, zorder=3)  # fmt: skip
        # Seeds stand a little to the outside of their mean, so that neither hides the other.
        beside = np.concatenate([np.full(len(cell), place) for place, cell in zip(x, one.seeds, strict=True)])
        beside += (0.028 if rank else -0.028) * reach
        ax.plot(beside, np.concatenate(one.seeds), marker, color=colour, markerfacecolor="none", markersize=3.0,
                markeredgewidth=0.6, alpha=0.75, zorder=4)  # fmt: skip
    ax.set_ylabel(axis(metric))


def draw_both(data: DepthData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw final training error left and, where there is any, final test error right."""
    for ax, metric in zip(axes[0], data.metrics, strict=True):
        draw_depth(data, ax, metric)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
