"""What repairs a plain net: final errors by remedy, and by the factor of the shortcut."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import (
    ErrorAxis,
    error_axis,
    error_scale,
    number_ticks,
    squeeze,
    squeezed_ticks,
    squeezing,
    tick_labels,
    unsqueeze,
)
from study.report.figures.points import name_points
from study.report.figures.style import (
    ARCHITECTURE_COLOURS,
    ARCHITECTURE_MARKERS,
    COLUMN,
    SMALL,
    as_text,
    depth_colours,
    handles_of,
    key_below,
    pale,
)
from study.report.metrics import axis
from study.report.text import span
from study.statistics.interval import Interval, mean_percent

Array = NDArray[np.float64]
MOST_ROWS = 40
"""Of more remedies, those with the lowest and the highest errors are drawn."""
SEEDS: dict[str, Any] = {
    "markerfacecolor": "none",
    "markersize": 2.6,
    "markeredgewidth": 0.6,
    "zorder": 4,
    "clip_on": False,
}
CROSS: dict[str, Any] = {"color": "#c00000", "marker": "x", "markersize": 4.5}
REFERENCE: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (4, 2))}
LONGEST = 50
"""Characters of a row's name."""


class Row(NamedTuple):
    """A remedy: final training errors of its shallowest and its deepest net, (seeds,)."""

    label: str
    architecture: str
    base: bool
    """Whether these are the nets without a remedy, or with the shortcut alone: lines to compare with."""
    shallow: int
    deep: int
    shallow_errors: Array
    deep_errors: Array
    diverged: int

    @property
    def mean(self) -> Interval:
        """Of the deep net."""
        return mean_percent(self.deep_errors)


def remedies_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return a row a remedy, depth and seed, in the order of the rows."""
    seeds = [
        (row.label, row.architecture, depth, error, row.diverged if depth == row.deep else 0)
        for row in rows
        for depth, errors in {row.shallow: row.shallow_errors, row.deep: row.deep_errors}.items()
        for error in errors
    ]
    return pd.DataFrame(seeds, columns=["remedy", "architecture", "depth", "error", "diverged"])


def drawn_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows that there is room for."""
    half = MOST_ROWS // 2
    return rows if len(rows) <= MOST_ROWS else (*rows[:half], *rows[-half:])


def remedies_drawing(rows: Sequence[Row], resolution: float) -> Drawing:
    """Return the figure of all remedies, lowest error first; `resolution` is what one image is worth in percent."""
    rows = sorted(rows, key=lambda row: (row.mean.estimate, row.label))
    frame, drawn = remedies_frame(rows), drawn_rows(rows)
    top, linear = error_scale(frame["error"].to_numpy(), resolution, least=0.5)
    texts = write_texts(
        "why-remedies",
        rows=rows,
        drawn=drawn,
        shallow=sorted({row.shallow for row in rows if row.shallow < row.deep}),
        seeds=span({len(row.deep_errors) for row in rows}),
        linear=linear,
        clipped=any(row.mean.low < 0 or row.mean.high > 1.1 * top for row in rows),
    )
    draw = partial(draw_remedies, rows, top, linear)
    return Drawing("why-remedies", texts, draw, frame, height=1.15 + 0.26 * len(drawn))


def doses_drawing(doses: pd.DataFrame, resolution: float) -> Drawing:
    """Return the figure of the shallowest and the deepest net's `doses`; `resolution` as for `remedies_drawing`."""
    ends = doses["depth"].min(), doses["depth"].max()
    frame = doses[doses["depth"].isin(ends)].reset_index(drop=True)
    errors = error_axis(frame["error"].to_numpy(), resolution, least=0.5, room=1.08)
    several = frame.duplicated(["depth", "shortcut_scale"]).any()
    texts = write_texts("why-shortcut-scale", frame=frame, several=several, linear=errors.linear)
    draw = partial(draw_doses, frame, errors)
    return Drawing("why-shortcut-scale", texts, draw, frame, height=2.8, width=1.3 * COLUMN)


def draw_remedies(rows: Sequence[Row], top: float, linear: float, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a row a remedy: its shallow net's mean hollow, the deep net's full with its interval and seeds."""
    ax: Any = axes[0][0]
    drawn = drawn_rows(rows)
    colours = depth_colours(depth for row in rows for depth in (row.shallow, row.deep))
    for row in rows:
        if row.base:
            ax.axvline(row.mean.estimate, color=ARCHITECTURE_COLOURS[row.architecture], zorder=1, **REFERENCE)
    for place, row in enumerate(drawn):
        _draw_row(ax, place, row, colours)
    ax.set_yticks(range(len(drawn)), [as_text(row.label, LONGEST) for row in drawn])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(drawn) - 0.4, -0.6)
    ax.grid(axis="x")
    _error_axis(ax, top, linear)
    ax.set_xlabel(axis("final_train_error"))
    key_below(figure, _key(rows, colours), 4, handlelength=2.2)


def _draw_row(ax: Axes, place: int, row: Row, colours: dict[int, str]) -> None:
    mean, marker, colour = row.mean, ARCHITECTURE_MARKERS[row.architecture], colours[row.deep]
    if row.shallow < row.deep:
        low = float(row.shallow_errors.mean())
        ax.plot([low, mean.estimate], [place, place], color=pale(colour, 0.55), linewidth=0.8, zorder=2)
        hollow: dict[str, Any] = {"color": colours[row.shallow], "markerfacecolor": "white", "markersize": 4.5}
        ax.plot(low, place, marker, zorder=3, clip_on=False, **hollow)
    if np.isfinite(mean.low):
        reach = _reach(mean)
        ax.errorbar(mean.estimate, place, xerr=reach, color=colour, linewidth=1.1, capsize=2.4, zorder=4)
    (drawn,) = ax.plot(mean.estimate, place, marker, color=colour, markersize=5, zorder=5, clip_on=False)
    name_points(drawn, f"{row.label}, mean")
    seeds = np.sort(row.deep_errors)
    if len(seeds) > 1:
        ax.plot(seeds, np.full(len(seeds), place + 0.26), marker, color=colour, **SEEDS)
    if row.diverged:
        ax.plot(seeds[-1], place - 0.26, linestyle="none", zorder=6, clip_on=False, **CROSS)


def _reach(mean: Interval) -> list[list[float]]:
    """Return how far an interval reaches below and above its mean, as error bars take it."""
    return [[mean.estimate - mean.low], [mean.high - mean.estimate]]


def _error_axis(ax: Axes, top: float, linear: float) -> None:
    """Give the axis of errors, which lies here, the scale of `squeeze_axis`."""
    high = 1.06 * top
    if not linear:
        ax.set_xlim(-0.03 * high, high)
        return
    squeezed = float(squeeze(top, linear))
    ax.set_xscale("function", functions=squeezing(linear))
    ax.set_xlim(-0.03 * squeezed, float(unsqueeze(1.04 * squeezed, linear)))
    number_ticks(ax.xaxis, squeezed_ticks(linear, high, (1, 3)))


def _key(rows: Sequence[Row], colours: dict[int, str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=ARCHITECTURE_COLOURS[row.architecture], label=row.label, **REFERENCE)
        for row in rows
        if row.base
    ]
    # A depth is hollow in the key where it is that of shallow nets alone.
    hollow = {row.shallow for row in rows} - {row.deep for row in rows}
    for depth, colour in colours.items():
        mark: dict[str, Any] = {"color": colour, "marker": "o", "linewidth": 0, "markersize": 5}
        mark["markerfacecolor"] = "white" if depth in hollow else colour
        handles.append(Line2D([], [], label=f"{depth} layers", **mark))
    if any(row.diverged for row in drawn_rows(rows)):
        handles.append(Line2D([], [], linewidth=0, label="diverged", **CROSS))
    return handles


def draw_doses(frame: pd.DataFrame, errors: ErrorAxis, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw error against the factor of the shortcut: a line a depth, with intervals and seeds."""
    ax: Any = axes[0][0]
    colours = depth_colours(frame["depth"])
    errors.put_on(ax)
    for rank, (depth, colour) in enumerate(colours.items()):
        shift = 0.008 * (rank - (len(colours) - 1) / 2)
        _draw_doses_of(ax, frame[frame["depth"] == depth], shift, {"color": colour, "label": f"{depth} layers"})
    scales = sorted(set(frame["shortcut_scale"]))
    labels = tick_labels([round(1000 * scale) for scale in scales], np.array(scales), 0.06)
    ax.set_xticks(scales, [f"{scale:g}" if label else "" for scale, label in zip(scales, labels, strict=True)])
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.set(xlim=(-0.06, 1.06), xlabel=axis("shortcut_scale"), ylabel=axis("final_train_error"))
    handles = handles_of(ax)
    if frame["diverged"].any():
        handles.append(Line2D([], [], linewidth=0, label="diverged", **CROSS))
    key_below(figure, handles, 4)


def _draw_doses_of(ax: Axes, seeds: pd.DataFrame, shift: float, look: dict[str, Any]) -> None:
    """Draw the nets of one depth."""
    cells = {cell["shortcut_scale"].iloc[0] + shift: cell for _, cell in seeds.groupby("shortcut_scale")}
    means = {place: mean_percent(cell["error"].to_numpy()) for place, cell in cells.items()}
    line: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1.2, "zorder": 3, "clip_on": False}
    (drawn,) = ax.plot(list(means), [mean.estimate for mean in means.values()], **look, **line)
    name_points(drawn, f"{look['label']}, mean", [cell["shortcut_scale"].iloc[0] for cell in cells.values()])
    for place, cell in cells.items():
        mean, colour = means[place], look["color"]
        if np.isfinite(mean.low):
            ax.errorbar(place, mean.estimate, _reach(mean), color=colour, linewidth=1.0, capsize=2.4, zorder=2)
        if len(cell) > 1:
            ax.plot(np.full(len(cell), place + 0.018), cell["error"], "o", color=colour, **SEEDS)
        if cell["diverged"].any():
            ax.plot(place, cell["error"].max(), "x", color="#c00000", markersize=5, zorder=5, clip_on=False)
