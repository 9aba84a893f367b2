"""What the axes of several figures share: labels that don't overlap, depths, and a scale for small and large errors."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from study.report.figures.style import SIZE, legible
from study.report.metrics import axis
from study.verdict.selection import budgets

DRAWN = 0.78
"""Of the room that axes are given, the part that is left of their height beside titles, labels and a key."""

SAME = 0.015
"""Ends nearer to each other than this part of an axis can't be told apart, and are labelled in order of depth."""

NEAR = 0.05
"""Of an axis: depths nearer to each other than this would be hard to tell apart."""

SQUEEZE_FROM = 30.0
"""Ratio of the highest to the lowest error from which on small ones would be squeezed on a linear axis."""


def single_variant(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a frame's only variant, without the longer trainings of its nets (`budgets`).

    Raises:
        ValueError: there are several variants, whose mean would be of nothing.
    """
    if "variant" not in frame:
        return frame
    frame = frame[~frame["variant"].isin(budgets(frame))]
    names = sorted({str(name) for name in frame["variant"]})
    if len(names) > 1:
        raise ValueError(
            f"the frame holds {len(names)} variants ({'; '.join(names)}): choose one, such as "
            f"frame[frame['variant'] == {names[-1]!r}]"
        )
    return frame


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places for labels as near to `values` as they can be, in their order, `gap` apart, inside [low, high].

    Where there is no room for the gap, the places are equally far apart.
    """
    count = len(values)
    if count == 0:
        return []
    gap = min(gap, (high - low) / (count - 1)) if count > 1 else gap
    order, shift = np.argsort(values, kind="stable"), gap * np.arange(count)
    # Without the gaps, labels in a row that touch share a place: the mean of where each would like to be.
    wished = isotonic_regression(np.clip(values, low, high)[order] - shift).x
    places = np.empty(count)
    places[order] = np.clip(wished, low, max(high - shift[-1], low)) + shift
    return [float(place) for place in places]


def in_order(values: Sequence[float], same: float) -> list[float]:
    """Return the values, those of a run of near ones dealt out in the order given, rising or falling as they do.

    Values are near that are less than `same` apart. Labels of lines that end together are then in order of depth.
    """
    out = list(values)
    ordered = sorted(range(len(values)), key=lambda i: values[i])
    starts = [0, *(k for k in range(1, len(ordered)) if values[ordered[k]] - values[ordered[k - 1]] >= same)]
    for start, stop in zip(starts, [*starts[1:], len(ordered)], strict=True):
        members, levels = sorted(ordered[start:stop]), [values[i] for i in ordered[start:stop]]
        rise = sum((2 * rank - len(members) + 1) * values[i] for rank, i in enumerate(members))
        for i, level in zip(members, levels if rise >= 0 else reversed(levels), strict=True):
            out[i] = level
    return out


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write (y, text, colour) labels outside the right edge, moved apart, each tied to its line's end."""
    low, high = ax.get_ylim()
    figure = ax.get_figure(root=True)
    height = ax.get_position().height * DRAWN * (figure.get_size_inches()[1] if figure is not None else 2.5) * 72
    gap = (high - low) * SIZE * 1.15 / height
    places = spread(in_order([y for y, _, _ in ends], (high - low) * SAME), gap, low, high)
    for (y, text, colour), place in zip(ends, places, strict=True):
        x = ax.get_yaxis_transform()
        ax.plot([1.0, 1.035], [y, place], transform=x, color=colour, linewidth=0.6, clip_on=False)
        look: dict[str, Any] = {
            "transform": x,
            "color": legible(colour),
            "gid": colour,
            "va": "center",
            "fontsize": SIZE - 0.5,
        }
        ax.text(1.045, place, text, **look)


def tick_labels(depths: Sequence[int], places: NDArray[np.float64], least: float = 0.075) -> list[str]:
    """Return the depths as labels, empty where one would run into the label to its right."""
    labels, right = [], np.inf
    for depth, place in zip(reversed(depths), reversed(places), strict=True):
        free = right - place >= least * (places[-1] - places[0])
        labels.append(str(depth) if free else "")
        right = place if free else right
    return labels[::-1]


def squeeze(error: ArrayLike, linear: float = 1.0) -> NDArray[np.float64]:
    """Return errors on a scale that is linear up to `linear` percent and logarithmic above, without a kink.

    Unlike a logarithm it has a place for zero, which the training error of a good net often is.
    """
    values = np.asarray(error, dtype=np.float64)
    return np.where(values <= linear, values, linear * (1 + np.log(np.maximum(values, linear) / linear)))


def unsqueeze(place: ArrayLike, linear: float = 1.0) -> NDArray[np.float64]:
    """Return the errors that `squeeze` puts at `place`."""
    places = np.asarray(place, dtype=np.float64)
    return np.where(places <= linear, places, linear * np.exp(np.maximum(places, linear) / linear - 1))


def squeezing(linear: float) -> tuple[Callable[[ArrayLike], NDArray[np.float64]], ...]:
    """Return `squeeze` and `unsqueeze` as matplotlib's scale "function" takes them."""
    return lambda error: squeeze(error, linear), lambda place: unsqueeze(place, linear)


def linear_part(resolution: float) -> float:
    """Return the percent up to which a squeezed axis is linear; `resolution` is what one image is worth in percent."""
    return float(np.clip(10.0 ** np.ceil(np.log10(resolution)), 0.1, 1.0))


def error_scale(errors: NDArray[np.float64], resolution: float, least: float) -> tuple[float, float]:
    """Return the highest error, or `least`, and up to where an axis of errors is linear: 0 where all of it is."""
    top, linear = max(float(errors.max()), least), linear_part(resolution)
    return top, linear if top > SQUEEZE_FROM * max(linear, float(errors.min())) else 0.0


def number_ticks(axis: Axis, ticks: Sequence[float], form: str = "g") -> None:
    """Give an axis ticks at these numbers alone, written in a format."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:{form}}"))
    axis.set_minor_locator(NullLocator())


def squeeze_axis(ax: Axes, linear: float, low: float, high: float) -> None:
    """Give an axis of errors the scale of `squeeze`, with ticks at 0 and a few of each power of ten."""
    ax.set_yscale("function", functions=squeezing(linear))
    ax.set_ylim(low, high)
    number_ticks(ax.yaxis, squeezed_ticks(linear, high, (1, 2, 5) if high < 100 * linear else (1, 3)))


def squeezed_ticks(linear: float, high: float, steps: Sequence[int]) -> list[float]:
    """Return 0 and these `steps` of each power of ten from `linear` up to `high`."""
    powers = 10.0 ** np.arange(np.round(np.log10(linear)), 3)
    return [0.0, *(step * power for power in powers for step in steps if step * power <= high)]


def label_panels(axes: NDArray[np.object_], count: int, x: str, y: str) -> None:
    """Label the lowest of so many panels in each column, and the first in each row; `x` and `y` are metrics."""
    columns = axes.shape[1]
    for place, ax in enumerate(axes.ravel()[:count].tolist()):
        if place + columns >= count:
            ax.set_xlabel(axis(x))
            ax.tick_params(labelbottom=True)
        if place % columns == 0:
            ax.set_ylabel(axis(y))


class ErrorAxis(NamedTuple):
    """Limits and scale of an axis of errors."""

    low: float
    high: float
    linear: float
    """Percent up to which it is linear, logarithmic above; 0 where all of it is linear."""

    def put_on(self, ax: Axes) -> None:
        """Give axes this one."""
        if self.linear:
            squeeze_axis(ax, self.linear, self.low, self.high)
        ax.set_ylim(self.low, self.high)

    def cuts(self, intervals: pd.DataFrame) -> bool:
        """Tell whether some interval, from `low` to `high`, reaches past it."""
        return bool(((intervals["low"] < self.low) | (intervals["high"] > self.high)).any())


def error_axis(
    errors: NDArray[np.float64], resolution: float, least: float, room: float, highest: float = np.inf
) -> ErrorAxis:
    """Return an axis that holds errors and `least` percent; arguments as for `error_scale`.

    It reaches to `room` times the highest error where it is linear, else to a little above it, but not above `highest`.
    """
    top, linear = error_scale(errors, resolution, least)
    if not linear:
        return ErrorAxis(-0.04 * top, room * top, 0.0)
    squeezed = float(squeeze(top, linear))
    return ErrorAxis(-0.04 * squeezed, min(float(unsqueeze(1.05 * squeezed, linear)), highest), linear)


def depth_places(depths: Sequence[int]) -> dict[int, float]:
    """Return where depths stand on an axis: at their logarithms where some would else touch, as beside 1202 layers."""
    even, logs = np.array(depths, dtype=np.float64), np.log10(depths)
    nearest = [float(np.diff(at).min() / (at[-1] - at[0])) for at in (even, logs)] if len(depths) > 2 else [1.0, 1.0]
    return dict(zip(depths, map(float, logs if nearest[0] < min(NEAR, nearest[1]) else even), strict=True))


def depth_axis(ax: Axes, places: dict[int, float]) -> float:
    """Give an axis a tick for each depth at its place, and return the distance from the first to the last."""
    at = np.array(list(places.values()))
    reach = float(at[-1] - at[0]) or 1.0
    margin = 0.1 * reach if len(at) > 1 else 0.5
    ax.set_xlim(at[0] - margin, at[-1] + margin)
    ax.set_xticks(at, tick_labels(list(places), at))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(axis("depth"))
    return reach
