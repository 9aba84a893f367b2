"""What depth costs: the time of a run and the images trained on in a second, by net."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from study.report.figures.frames import one_variant
from study.report.figures.labels import depth_axis, depth_places
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS, axes_or_new
from study.report.metrics import axis
from study.verdict.selection import architectures, counted, depths, values

METRICS = ("seconds", "images_per_second")
DECADES = 6.0
"""Ratio of the greatest to the least value from which on an axis is logarithmic."""
UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0}
"""Of time; the first that the longest run has three of."""


class Speeds(NamedTuple):
    """One architecture in one metric: depths (D,), the seeds at each, and their medians (D,)."""

    architecture: str
    metric: str
    depths: tuple[int, ...]
    seeds: tuple[NDArray[np.float64], ...]
    medians: NDArray[np.float64]


class SpeedData(NamedTuple):
    """All series, the depths of the axis, and the devices that the runs were on."""

    series: tuple[Speeds, ...]
    depths: tuple[int, ...]
    devices: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that have a series."""
        return tuple(metric for metric in METRICS if any(one.metric == metric for one in self.series))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a run and metric, with its net's median; times in seconds."""
        rows = [
            {"metric": one.metric, "architecture": one.architecture, "depth": depth, "value": float(value),
             "median": float(median)}
            for one in self.series
            for depth, cell, median in zip(one.depths, one.seeds, one.medians, strict=True)
            for value in cell
        ]  # fmt: skip
        return pd.DataFrame(rows)


def speed_data(runs: pd.DataFrame) -> SpeedData:
    """Return time and speed of the finished runs that count; one that diverged took less time than it would have.

    Raises:
        ValueError: the frame holds several variants.
    """
    one_variant(runs)
    kept = counted(runs)
    kept = kept[kept["outcome"] == "finished"]
    series = []
    for metric in (name for name in METRICS if name in kept):
        for architecture in architectures(kept):
            mine = kept[(kept["architecture"] == architecture) & (kept[metric] > 0)]
            seeds = tuple(values(mine, depth, metric) for depth in depths(mine))
            if seeds:
                medians = np.array([np.median(cell) for cell in seeds])
                series.append(Speeds(architecture, metric, tuple(depths(mine)), seeds, medians))
    devices = tuple(sorted({str(name) for name in kept["device"].dropna()} - {""})) if "device" in kept else ()
    return SpeedData(tuple(series), tuple(sorted({depth for one in series for depth in one.depths})), devices)


def throughput(runs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the images a second that training takes in, against depth.

    Args:
        runs: a row a run, as `study.track.frames.load_runs` returns them, of one variant.
        ax: where to draw; by default new axes.

    Raises:
        ValueError: several variants, or no finished run has a speed.

    Example:
        >>> figures.throughput(load_runs("digits"))
    """
    return _draw_one(runs, ax, "images_per_second")


def duration(runs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the time of a run against depth; arguments and errors as for `throughput`.

    Example:
        >>> figures.duration(load_runs("digits"))
    """
    return _draw_one(runs, ax, "seconds")


def _draw_one(runs: pd.DataFrame, ax: Axes | None, metric: str) -> Axes:
    data = speed_data(runs)
    if metric not in data.metrics:
        raise ValueError(f"no finished run has '{metric}'")
    with axes_or_new(ax) as ax:
        draw_speed(data, ax, metric)
        ax.legend()
    return ax


def draw_speed(data: SpeedData, ax: Axes, metric: str) -> None:
    """Draw one metric: runs hollow, and a line through their medians."""
    at = depth_places(data.depths)
    reach = depth_axis(ax, at)
    shown = [one for one in data.series if one.metric == metric]
    everything = np.concatenate([cell for one in shown for cell in one.seeds])
    unit, scale = _unit(float(everything.max())) if metric == "seconds" else ("", 1.0)
    for rank, one in enumerate(shown):
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        x = np.array([at[depth] for depth in one.depths]) + (rank - (len(shown) - 1) / 2) * 0.03 * reach
        ax.plot(x, one.medians / scale, color=colour, linewidth=1.2, label=f"{one.architecture} nets", zorder=3,
                marker=marker, markersize=3.2)  # fmt: skip
        places = np.concatenate([np.full(len(cell), place) for place, cell in zip(x, one.seeds, strict=True)])
        ax.plot(places, np.concatenate(one.seeds) / scale, marker, color=colour, markerfacecolor="none", markersize=5,
                markeredgewidth=0.6, alpha=0.75, zorder=4)  # fmt: skip
    if everything.max() > DECADES * everything.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if everything.max() < 300 * everything.min() else (1,)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_ylim(0, 1.08 * float(everything.max()) / scale)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.set_ylabel(axis(metric, unit))


def _unit(seconds: float) -> tuple[str, float]:
    return next((unit, scale) for unit, scale in UNITS.items() if seconds >= 3 * scale or unit == "s")


def draw_both(data: SpeedData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw the time of a run left and the images a second right, as far as they are known."""
    for ax, metric in zip(axes[0], data.metrics, strict=True):
        draw_speed(data, ax, metric)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
