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

from study.report.figures.drawing import Drawing
from study.report.figures.labels import (
    error_scale,
    number_ticks,
    squeeze,
    squeeze_axis,
    squeezing,
    tick_labels,
    unsqueeze,
)
from study.report.figures.layers import span
from study.report.figures.style import (
    ARCHITECTURE_COLOURS,
    ARCHITECTURE_MARKERS,
    COLUMN,
    SMALL,
    as_text,
    depth_colours,
    pale,
)
from study.report.metrics import axis
from study.statistics.interval import Interval, mean_interval
from study.verdict.text import listed

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
DIVERGED = "; crosses: a seed diverged and counts with the error of guessing"
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
        return mean_interval(self.deep_errors)


class RemedyData(NamedTuple):
    """All remedies, the one with the lowest error first, and the axis of errors."""

    rows: tuple[Row, ...]
    top: float
    linear: float
    """Percent up to which the axis is linear, logarithmic above; 0 where all of it is linear."""
    clipped: bool
    """Whether some interval reaches past the axis."""

    @property
    def drawn(self) -> tuple[Row, ...]:
        """The rows that there is room for."""
        half = MOST_ROWS // 2
        return self.rows if len(self.rows) <= MOST_ROWS else (*self.rows[:half], *self.rows[-half:])

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a remedy, depth and seed."""
        rows = [
            (row.label, row.architecture, depth, error, row.diverged if depth == row.deep else 0)
            for row in self.rows
            for depth, errors in {row.shallow: row.shallow_errors, row.deep: row.deep_errors}.items()
            for error in errors
        ]
        return pd.DataFrame(rows, columns=["remedy", "architecture", "depth", "error", "diverged"])


class DoseLine(NamedTuple):
    """Final training errors of nets of one depth by the factor of the shortcut, growing; each (seeds,)."""

    depth: int
    scales: tuple[float, ...]
    errors: tuple[Array, ...]
    diverged: tuple[int, ...]


class DoseData(NamedTuple):
    """A line a depth, and the axis of errors."""

    lines: tuple[DoseLine, ...]
    top: float
    linear: float

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a depth, factor and seed."""
        rows = [
            (line.depth, scale, error, diverged)
            for line in self.lines
            for scale, errors, diverged in zip(line.scales, line.errors, line.diverged, strict=True)
            for error in errors
        ]
        return pd.DataFrame(rows, columns=["depth", "shortcut_scale", "error", "diverged"])


def remedy_data(rows: Sequence[Row], resolution: float) -> RemedyData:
    """Return the rows by the error of their deep nets; `resolution` is what one image is worth in percent."""
    ordered = tuple(sorted(rows, key=lambda row: (row.mean.estimate, row.label)))
    errors = np.concatenate([errors for row in rows for errors in (row.shallow_errors, row.deep_errors)])
    top, linear = error_scale(errors, resolution, least=0.5)
    ends = [bound for row in rows for bound in (row.mean.low, row.mean.high)]
    return RemedyData(ordered, top, linear, any(bound < 0 or bound > 1.1 * top for bound in ends))


def dose_data(lines: Sequence[DoseLine], resolution: float) -> DoseData:
    """Return the lines with their axis; `resolution` is what one image is worth in percent."""
    errors = np.concatenate([errors for line in lines for errors in line.errors])
    return DoseData(tuple(lines), *error_scale(errors, resolution, least=0.5))


def remedies_drawing(rows: Sequence[Row], resolution: float) -> Drawing:
    """Return the figure of all remedies; `resolution` is what one image is worth in percent."""
    data = remedy_data(rows, resolution)
    counts = {len(row.deep_errors) for row in rows}
    seeds = "one seed a net" if counts == {1} else f"{span(counts)} seeds a net, small marks, with 95% t intervals"
    depths = sorted({row.shallow for row in rows if row.shallow < row.deep})
    caption = "Final training error of the deepest net of each variant (full marks)"
    if depths:
        caption += f" and of its shallowest (hollow, {listed([str(depth) for depth in depths])} layers)"
    caption += f", lowest first: all training images, clean, evaluation mode; {seeds}. Circles are plain nets, squares "
    caption += "residual ones; broken lines are those without a remedy and those with the shortcut alone"
    caption += f"; the axis is linear up to {data.linear:g}% and logarithmic above" if data.linear else ""
    caption += DIVERGED if any(row.diverged for row in rows) else ""
    caption += "; intervals are cut at the edges of the axis." if data.clipped else "."
    if len(data.drawn) < len(rows):
        caption += f" Of {len(rows)} variants, the {len(data.drawn)} at either end are drawn."
    cells = []
    for row in data.rows:
        bounds = "" if np.isnan(row.mean.low) else f" ({row.mean.low:.2f} to {row.mean.high:.2f})"
        cells.append(f"{row.label} {row.mean.estimate:.2f}%{bounds}")
    alt = f"Chart of final training error by remedy, lowest first. {'; '.join(cells)}."
    texts, height = ("What repairs a plain net", caption, alt), 1.15 + 0.26 * len(data.drawn)
    return Drawing("why-remedies", texts, partial(draw_remedies, data), data.frame(), height=height)


def doses_drawing(lines: Sequence[DoseLine], resolution: float) -> Drawing:
    """Return the figure of the shallowest and the deepest line."""
    lines = (lines[0], lines[-1]) if len(lines) > 1 else lines
    data = dose_data(lines, resolution)
    counts = {len(cell) for line in lines for cell in line.errors}
    seeds = "one seed a net" if counts == {1} else "means over seeds, hollow, with 95% t intervals"
    caption = (
        "Final training error against the factor of what the shortcut carries: 0 is the plain net, 1 the residual "
        f"net; {seeds}"
    )
    caption += f"; the axis of errors is linear up to {data.linear:g}% and logarithmic above" if data.linear else ""
    caption += DIVERGED if any(any(line.diverged) for line in lines) else ""
    caption += (
        ". He et al. 2016 (arXiv 1603.05027, Table 1) have 6.61% test error of ResNet-110 on CIFAR-10 with the whole "
        "shortcut, and 12.35% with 0.5 on shortcut and branch."
    )
    cells = [
        f"{line.depth} layers, {scale:g}: {float(cell.mean()):.2f}%"
        for line in lines
        for scale, cell in zip(line.scales, line.errors, strict=True)
    ]
    alt = f"Chart of final training error by factor of the shortcut. {'; '.join(cells)}."
    texts, draw = ("How much of a shortcut it takes", caption, alt), partial(draw_doses, data)
    return Drawing("why-shortcut-scale", texts, draw, data.frame(), height=2.8, width=1.3 * COLUMN)


def draw_remedies(data: RemedyData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a row a remedy: its shallow net's mean hollow, the deep net's full with its interval and seeds."""
    ax: Any = axes[0][0]
    colours = depth_colours(depth for row in data.rows for depth in (row.shallow, row.deep))
    for row in data.rows:
        if row.base:
            ax.axvline(row.mean.estimate, color=ARCHITECTURE_COLOURS[row.architecture], zorder=1, **REFERENCE)
    for place, row in enumerate(data.drawn):
        _draw_row(ax, place, row, colours)
    ax.set_yticks(range(len(data.drawn)), [as_text(row.label, LONGEST) for row in data.drawn])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(data.drawn) - 0.4, -0.6)
    ax.grid(axis="x")
    _error_axis(ax, data)
    ax.set_xlabel(axis("final_train_error"))
    handles = _key(data, colours)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), handlelength=2.2)


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
    ax.plot(mean.estimate, place, marker, color=colour, markersize=5, zorder=5, clip_on=False)
    seeds = np.sort(row.deep_errors)
    if len(seeds) > 1:
        ax.plot(seeds, np.full(len(seeds), place + 0.26), marker, color=colour, **SEEDS)
    if row.diverged:
        ax.plot(seeds[-1], place - 0.26, linestyle="none", zorder=6, clip_on=False, **CROSS)


def _reach(mean: Interval) -> list[list[float]]:
    """Return how far an interval reaches below and above its mean, as error bars take it."""
    return [[mean.estimate - mean.low], [mean.high - mean.estimate]]


def _error_axis(ax: Axes, data: RemedyData) -> None:
    """Give the axis of errors, which lies here, the scale of `squeeze_axis`."""
    high = 1.06 * data.top
    if not data.linear:
        ax.set_xlim(-0.03 * high, high)
        return
    linear = data.linear
    top = float(squeeze(data.top, linear))
    ax.set_xscale("function", functions=squeezing(linear))
    ax.set_xlim(-0.03 * top, float(unsqueeze(1.04 * top, linear)))
    powers = 10.0 ** np.arange(np.round(np.log10(linear)), 3)
    ticks = [0.0, *(step * power for power in powers for step in (1, 3) if step * power <= high)]
    number_ticks(ax.xaxis, ticks)


def _key(data: RemedyData, colours: dict[int, str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=ARCHITECTURE_COLOURS[row.architecture], label=row.label, **REFERENCE)
        for row in data.rows
        if row.base
    ]
    deep, shallow = (
        {getattr(row, name) for row in data.rows if row.shallow < row.deep} for name in ("deep", "shallow")
    )
    deep |= {row.deep for row in data.rows if row.shallow == row.deep}
    for depth, colour in colours.items():
        mark: dict[str, Any] = {"color": colour, "marker": "o", "linewidth": 0, "markersize": 5}
        mark["markerfacecolor"] = "white" if depth in shallow - deep else colour
        handles.append(Line2D([], [], label=f"{depth} layers", **mark))
    if any(row.diverged for row in data.drawn):
        handles.append(Line2D([], [], linewidth=0, label="diverged", **CROSS))
    return handles


def draw_doses(data: DoseData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw error against the factor of the shortcut: a line a depth, with intervals and seeds."""
    ax: Any = axes[0][0]
    colours = depth_colours(line.depth for line in data.lines)
    if data.linear:
        top = float(squeeze(data.top, data.linear))
        squeeze_axis(ax, data.linear, -0.04 * top, float(unsqueeze(1.05 * top, data.linear)))
    else:
        ax.set_ylim(-0.04 * data.top, 1.08 * data.top)
    for rank, line in enumerate(data.lines):
        colour, shift = colours[line.depth], 0.008 * (rank - (len(data.lines) - 1) / 2)
        x, means = np.array(line.scales) + shift, [mean_interval(cell) for cell in line.errors]
        look = {"color": colour, "marker": "o", "markersize": 4, "linewidth": 1.2, "label": f"{line.depth} layers"}
        ax.plot(x, [mean.estimate for mean in means], zorder=3, clip_on=False, **look)
        for place, cell, mean, diverged in zip(x, line.errors, means, line.diverged, strict=True):
            _draw_dose(ax, place, cell, mean, diverged, colour)
    scales = sorted({scale for line in data.lines for scale in line.scales})
    labels = tick_labels([round(1000 * scale) for scale in scales], np.array(scales), 0.06)
    ax.set_xticks(scales, [f"{scale:g}" if label else "" for scale, label in zip(scales, labels, strict=True)])
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.set_xlim(-0.06, 1.06)
    ax.set_xlabel(axis("shortcut_scale"))
    ax.set_ylabel(axis("final_train_error"))
    handles = ax.get_legend_handles_labels()[0]
    if any(any(line.diverged) for line in data.lines):
        handles.append(Line2D([], [], linewidth=0, label="diverged", **CROSS))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))


def _draw_dose(ax: Axes, place: float, cell: Array, mean: Interval, diverged: int, colour: str) -> None:
    if np.isfinite(mean.low):
        ax.errorbar(place, mean.estimate, _reach(mean), color=colour, linewidth=1.0, capsize=2.4, zorder=2)
    if len(cell) > 1:
        ax.plot(np.full(len(cell), place + 0.018), cell, "o", color=colour, **SEEDS)
    if diverged:
        ax.plot(place, cell.max(), "x", color="#c00000", markersize=5, zorder=5, clip_on=False)
