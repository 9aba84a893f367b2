"""How long nets take to learn to an error, against their depth, with the laws fitted to it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import depth_axis, depth_places
from study.report.figures.layers import add_key, log_axis
from study.report.figures.points import name_points
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS, COLUMN, architecture_key
from study.report.metrics import axis
from study.statistics.depth_laws import DepthFit, Law, bound_of
from study.verdict.text import number

DASHES: dict[Law, Any] = {"exponential": (0, (5, 2)), "power": (0, (1, 1.5))}
"""Of the lines of the two laws."""
REACH = 5.0
"""Times the most iterations of a run that a law is followed up to."""
ARROWS: dict[str, tuple[str, str, int]] = {
    "early": (r"$\downarrow$", "there at once", -11),
    "late": (r"$\uparrow$", "not there yet", 11),
}
"""Of runs that are censored: sign and label in the key, and where the arrow's point is, in points."""
UNLIKE_RATES = 3.0
"""Factor between nets' learning rates above which the text mentions it."""
Fits = Mapping[str, Mapping[Law, DepthFit]]
"""By architecture, the laws that were fitted to its runs: none where too few got there."""


def law_at(law: str, fit: DepthFit, depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the iterations that a law has at depths."""
    x = depth if law == "exponential" else np.log(depth)
    return np.asarray(np.exp(fit.intercept + fit.slope * x), dtype=np.float64)


def slowness_data(times: pd.DataFrame, fits: Fits, threshold: float) -> pd.DataFrame:
    """Return a row a run, with what the laws say of its depth.

    Args:
        times: a row a run: architecture, depth, the iterations until it was at the error, and the `state`: `crossed`;
            `early`, where it was there already by then; `late`, where it wasn't there yet.
        fits: by architecture.
        threshold: the error, in percent.
    """
    parts = []
    for kind, runs in times.groupby("architecture", sort=False):
        depth = runs["depth"].to_numpy()
        laws = {law: law_at(law, fit, depth) for law, fit in fits[str(kind)].items()}
        parts.append(runs.assign(**laws, threshold=threshold))
    return pd.concat(parts, ignore_index=True)


def slowness_drawing(times: pd.DataFrame, fits: Fits, threshold: float, thresholds: str, rates: list[float]) -> Drawing:
    """Return the figure of some runs; arguments as for `slowness_data`.

    `thresholds` are those that the error was chosen from, as a list in words, and `rates` the runs' learning rates.
    """
    frame = slowness_data(times, fits, threshold)
    texts = write_texts(
        "why-slowness",
        frame=frame,
        threshold=threshold,
        thresholds=thresholds,
        rates=rates,
        fitted=any(fits.values()),
        mean=_mean,
        bound_of=bound_of,
        unlike_from=UNLIKE_RATES,
    )
    draw = partial(draw_slowness, frame, fits)
    return Drawing("why-slowness", texts, draw, frame, height=2.9, width=1.3 * COLUMN)


def _mean(iterations: "pd.Series[float]") -> str:
    return steps(float(np.exp(np.log(iterations).mean())))


def steps(iterations: float) -> str:
    """Write a number of iterations with two digits, and with three from 100 on."""
    return number(iterations, 3 if iterations >= 100 else 2)


def draw_slowness(frame: pd.DataFrame, fits: Fits, figure: Figure, axes: Any) -> None:
    """Draw every run, hollow with an arrow where it is censored, and both laws."""
    ax = axes[0][0]
    places = depth_places(sorted({int(depth) for depth in frame["depth"]}))
    reach = depth_axis(ax, places)
    even = all(place == depth for depth, place in places.items())
    # Limits have room for arrows, and hold the laws as far as they don't squeeze the runs.
    ends = frame[[law for law in DASHES if law in frame]].max()
    high = float(frame["iterations"].max())
    log_axis(
        ax, float(frame["iterations"].min()), max(1.25 * high, min(ends.max() if any(ends) else high, REACH * high))
    )
    kinds = list(frame["architecture"].unique())
    for rank, kind in enumerate(kinds):
        runs = frame[frame["architecture"] == kind]
        colour, marker = ARCHITECTURE_COLOURS[kind], ARCHITECTURE_MARKERS[kind]
        x = runs["depth"].astype(int).map(places) + (rank - (len(kinds) - 1) / 2) * 0.025 * reach
        there = runs["state"] == "crossed"
        (drawn,) = ax.plot(x[there], runs.loc[there, "iterations"], marker, color=colour, markersize=3.6, zorder=3)
        name_points(drawn, f"{kind} nets, a run", runs.loc[there, "depth"])
        _draw_censored(ax, x[~there], runs[~there], colour, marker)
        depth = np.linspace(runs["depth"].min(), runs["depth"].max(), 100)
        for law, fit in fits[kind].items():
            at = depth if even else np.log10(depth)
            ax.plot(at, law_at(law, fit, depth), color=colour, linewidth=1.0, linestyle=DASHES[law], zorder=2)
    ax.set_ylabel(axis("crossing"))
    handles = architecture_key(kinds, linestyle="none", markersize=3.6)
    grey: dict[str, Any] = {"color": "#555555"}
    handles += [
        Line2D([], [], marker=arrow, markersize=7, linestyle="none", label=label, **grey)
        for state, (arrow, label, _) in ARROWS.items()
        if (frame["state"] == state).any()
    ]
    laws = [law for law in DASHES if any(law in laws for laws in fits.values())]
    handles += [Line2D([], [], linestyle=DASHES[law], linewidth=1.0, label=law, **grey) for law in laws]
    add_key(figure, handles, 1.38)


def _draw_censored(ax: Axes, x: "pd.Series[float]", runs: pd.DataFrame, colour: str, marker: str) -> None:
    y = runs["iterations"]
    ax.plot(x, y, marker, color=colour, markerfacecolor="white", markersize=3.6, markeredgewidth=0.8, zorder=4)
    for place, step, state in zip(x, y, runs["state"], strict=True):
        arrow = {"arrowstyle": "<-", "color": colour, "linewidth": 0.8, "shrinkA": 0.0, "shrinkB": 2.0}
        end = (0, ARROWS[state][2])
        ax.annotate("", (place, step), end, textcoords="offset points", arrowprops=arrow, zorder=4)
