"""Final error against depth: every seed a point, with the mean and its interval."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from study.report.cells import architectures, counted, depths, values
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS
from study.report.metrics import axis
from study.report.statistics import Mean, mean_interval

METRICS = ("final_train_error", "final_test_error")


class Series(NamedTuple):
    """One architecture in one metric: depths (D,), the seeds at each, and their means."""

    architecture: str
    metric: str
    depths: tuple[int, ...]
    seeds: tuple[NDArray[np.float64], ...]
    means: tuple[Mean, ...]


class DepthData(NamedTuple):
    """All series, the depths of the axis, and the limits of each metric's axis."""

    series: tuple[Series, ...]
    depths: tuple[int, ...]
    limits: dict[str, tuple[float, float]]
    clipped: bool
    """Whether some interval reaches past the limits."""


def depth_data(runs: pd.DataFrame) -> DepthData:
    """Return seeds and means of the final errors by depth, from the runs that count."""
    kept = counted(runs)
    series, limits, clipped = [], {}, False
    for metric in METRICS:
        for architecture in architectures(kept):
            mine = kept[kept["architecture"] == architecture]
            found = [depth for depth in depths(mine) if len(values(mine, depth, metric))]
            seeds = tuple(values(mine, depth, metric) for depth in found)
            if found:
                means = tuple(mean_interval(cell) for cell in seeds)
                series.append(Series(architecture, metric, tuple(found), seeds, means))
        shown = [one for one in series if one.metric == metric]
        limits[metric] = _limits(shown)
        bounds = [bound for one in shown for mean in one.means for bound in (mean.low, mean.high)]
        low, high = limits[metric]
        clipped |= any(bound < low or bound > high for bound in bounds)
    return DepthData(tuple(series), tuple(depths(kept)), limits, clipped)


def _limits(series: list[Series]) -> tuple[float, float]:
    """Return limits that hold every seed, and intervals as far as they don't squeeze the seeds."""
    points = np.concatenate([cell for one in series for cell in one.seeds]) if series else np.array([1.0])
    tall = max(float(points.max()), 0.5)
    ends = [mean.high for one in series for mean in one.means if np.isfinite(mean.high)]
    high = min(max([tall, *ends]), 1.5 * tall)
    return -0.03 * high, min(high * 1.08, 103.0)


def draw_depth(data: DepthData, ax: Axes, metric: str) -> None:
    """Draw one metric: architectures side by side at each depth, seeds hollow, the mean full with its interval."""
    wide = data.depths[-1] / data.depths[0] > 16  # 20 and 1202 layers on one axis
    places = np.log10(data.depths) if wide else np.array(data.depths, dtype=float)
    at = dict(zip(data.depths, places, strict=True))
    reach = (places[-1] - places[0]) or 1.0
    shown = [one for one in data.series if one.metric == metric]
    for rank, one in enumerate(shown):
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        shift = (rank - (len(shown) - 1) / 2) * 0.03 * reach
        x = np.array([at[depth] for depth in one.depths]) + shift
        estimates = np.array([mean.estimate for mean in one.means])
        ax.plot(x, estimates, color=colour, linewidth=1.1, zorder=3, label=f"{one.architecture} nets", marker=marker,
                markersize=3.6)  # fmt: skip
        for place, mean, cell in zip(x, one.means, one.seeds, strict=True):
            if np.isfinite(mean.low):
                ax.errorbar(place, mean.estimate, [[mean.estimate - mean.low], [mean.high - mean.estimate]],
                            color=colour, linewidth=0.9, capsize=2.2, zorder=3)  # fmt: skip
            # Seeds stand a little to the outside of their mean, so that neither hides the other.
            beside = np.full(len(cell), place + (0.028 * reach if rank else -0.028 * reach))
            ax.plot(beside, cell, marker, color=colour, markerfacecolor="none", markersize=3.0,
                    markeredgewidth=0.6, alpha=0.75, zorder=4)  # fmt: skip
    ax.set_xlim(places[0] - 0.1 * reach, places[-1] + 0.1 * reach)
    ax.set_ylim(*data.limits[metric])
    ax.xaxis.set_major_locator(FixedLocator(list(places)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(places, tick_labels(data.depths, places))
    ax.set_xlabel(axis("depth"))
    ax.set_ylabel(axis(metric))


def tick_labels(depths: tuple[int, ...], places: NDArray[np.float64], least: float = 0.055) -> list[str]:
    """Return the depths as labels, empty where one would run into the label to its right."""
    labels, right = [], np.inf
    for depth, place in zip(reversed(depths), reversed(places), strict=True):
        free = right - place >= least * (places[-1] - places[0])
        labels.append(str(depth) if free else "")
        right = place if free else right
    return labels[::-1]


def draw_both(data: DepthData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw final training error left and final test error right."""
    for ax, metric in zip(axes[0], METRICS, strict=True):
        draw_depth(data, ax, metric)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
