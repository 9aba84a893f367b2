"""What depth costs: the time of a run and the images trained on in a second, by net."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from study.report.figures.against_depth import Look, draw_against_depth, draw_metrics, seeds_by_depth
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import single_variant
from study.report.figures.style import axes_or_new, panel_width
from study.report.metrics import axis
from study.statistics.interval import Interval
from study.verdict.selection import counted, depths

COSTS = ("seconds", "images_per_second")
DECADES = 6.0
"""Ratio of the greatest to the least value from which on an axis is logarithmic."""
UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0}
"""Of time; the first that the longest run has three of."""
LOOK = Look(linewidth=1.2, marker_size=3.2, seed_size=5, aside=0)


def speed_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Return time and speed of the finished runs that count; one that diverged took less time than it would have.

    Returns:
        Tidy, a row a run and metric: metric, architecture, depth, `value`, and its net's `median`; times in seconds.

    Raises:
        ValueError: the frame holds several variants.
    """
    runs = single_variant(runs)
    finished = _finished(runs)
    frames = [
        seeds_by_depth(finished[finished[metric] > 0], metric, _median).assign(metric=metric)
        for metric in COSTS
        if metric in finished
    ]
    columns = ["metric", "architecture", "depth", "value", "median"]
    frames = [frame.rename(columns={"mean": "median"})[columns] for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _finished(runs: pd.DataFrame) -> pd.DataFrame:
    runs = counted(runs)
    return runs[runs["outcome"] == "finished"].drop(columns="split_seed", errors="ignore")  # each run is a mark


def _median(seeds: NDArray[np.float64]) -> Interval:
    return Interval(float(np.median(seeds)) if len(seeds) else np.nan, np.nan, np.nan)


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
    return _draw_metric(runs, ax, "images_per_second")


def duration(runs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the time of a run against depth; arguments and errors as for `throughput`.

    Example:
        >>> figures.duration(load_runs("digits"))
    """
    return _draw_metric(runs, ax, "seconds")


def _draw_metric(runs: pd.DataFrame, ax: Axes | None, metric: str) -> Axes:
    seeds = speed_data(runs)
    if metric not in set(seeds["metric"]):
        raise ValueError(f"no finished run has '{metric}'")
    with axes_or_new(ax) as ax:
        draw_speed(seeds, ax, metric)
        ax.legend()
    return ax


def draw_speed(seeds: pd.DataFrame, ax: Axes, metric: str) -> None:
    """Draw one metric: runs hollow, and a line through their medians."""
    shown = seeds[seeds["metric"] == metric]
    low, high = float(shown["value"].min()), float(shown["value"].max())
    units = ((unit, scale) for unit, scale in UNITS.items() if high >= 3 * scale or unit == "s")
    unit, scale = next(units) if metric == "seconds" else ("", 1.0)
    scaled = shown.assign(value=shown["value"] / scale, median=shown["median"] / scale)
    draw_against_depth(ax, scaled, depths(seeds), centre="median", look=LOOK)
    if high > DECADES * low:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_ylim(0, 1.08 * high / scale)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.set_ylabel(axis(metric, unit))


def speed_drawing(runs: pd.DataFrame) -> Drawing | None:
    """Return time and speed of one variant, as far as they are known; None where neither is."""
    seeds = speed_data(runs)
    if seeds.empty:
        return None
    costs = list(seeds["metric"].unique())
    devices = set(_finished(runs)["device"].dropna()) - {""} if "device" in runs else set()
    medians = seeds.drop_duplicates(["metric", "architecture", "depth"])
    texts = write_texts("speed", costs=costs, medians=medians, devices=len(devices))
    draw = partial(draw_metrics, partial(draw_speed, seeds), costs)
    return Drawing("speed", texts, draw, seeds, len(costs), 2.4, panel_width(len(costs)))
