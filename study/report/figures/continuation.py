"""Training on from a deep net that was built from a shallow one: error by iteration, a line for each noise."""

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
    label_panels,
    number_ticks,
    squeeze,
    squeezing,
    unsqueeze,
)
from study.report.figures.points import name_points
from study.report.figures.style import SMALL, key_below, ordered_colours, panel_width
from study.report.text import band_words
from study.verdict.selection import resolution, values

Array = NDArray[np.float64]
METRIC = "final_train_error"
COLUMNS = 3
MOST_PANELS = 12
"""Of more, some evenly between the first and the last are drawn."""
OWN: dict[str, Any] = {"color": "#d55e00", "linewidth": 1.3, "linestyle": (0, (1, 1.4))}
SCRATCH: dict[str, Any] = {"color": "#3a3a3a", "linewidth": 1.0, "linestyle": (0, (4, 2))}


class Course(NamedTuple):
    """One net trained on: error (seeds, points), at the error of guessing from where the loss stopped being finite."""

    noise: float
    iteration: Array
    """(points,)."""
    errors: Array
    stopped: tuple[tuple[float, float], ...]
    """Iteration and error where a seed's loss wasn't finite any more."""
    moved: float
    """Distance of the weights from where they began at the end, relative to their norm there, mean over seeds."""

    @property
    def mean(self) -> Array:
        """Over seeds, (points,)."""
        return np.asarray(self.errors.mean(axis=0))


class Panel(NamedTuple):
    """A shallow net built into a deep one and trained on at one rate."""

    shallow: int
    deep: int
    rate: float
    courses: tuple[Course, ...]
    """By noise."""
    own: Course | None
    """The shallow net itself, trained on in the same way."""
    trained: Array
    """Final errors of the deep net trained from scratch, (seeds,)."""


class ContinuationData(NamedTuple):
    """All panels, and what their axes share."""

    panels: tuple[Panel, ...]
    errors: ErrorAxis

    @property
    def noises(self) -> tuple[float, ...]:
        """All that there are, growing."""
        return tuple(sorted({course.noise for panel in self.panels for course in panel.courses}))

    @property
    def drawn(self) -> tuple[Panel, ...]:
        """The panels that the figure has room for."""
        places = np.linspace(0, len(self.panels) - 1, min(len(self.panels), MOST_PANELS)).round().astype(int)
        return tuple(self.panels[place] for place in places)

    def frame(self) -> pd.DataFrame:
        """Return the courses, tidy: a row a panel, noise and iteration; of the shallow net itself, deep is shallow.

        Errors are means over seeds, with the lowest and the highest seed.
        """
        parts = []
        for panel in self.panels:
            own = [(panel.shallow, panel.own)] if panel.own is not None else []
            for deep, course in [*((panel.deep, course) for course in panel.courses), *own]:
                columns = {
                    "shallow": panel.shallow,
                    "deep": deep,
                    "lr": panel.rate,
                    "noise": course.noise,
                    "iteration": course.iteration.astype(int),
                    "error": course.mean,
                    "lowest": course.errors.min(0),
                    "highest": course.errors.max(0),
                    "seeds": len(course.errors),
                    "not_finite": len(course.stopped),
                    "moved": course.moved,
                }
                parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)


def continuation_data(rows: pd.DataFrame, runs: pd.DataFrame) -> ContinuationData | None:
    """Return the courses by shallow net, target and rate; None where there are none.

    Args:
        rows: of the probe's table `continuation`; without a column `rate`, all are at their run's own.
        runs: of one variant, of which the plain nets trained from scratch are compared.
    """
    known = rows[rows["error"].notna()] if len(rows) else rows
    if known.empty:
        return None
    given = known["rate"] if "rate" in known else known["lr"]
    known = known.assign(rate=[float(f"{rate:.4g}") for rate in given])
    plain = runs[runs["architecture"] == "plain"]
    panels = []
    for _, part in known[known["target"] != known["depth"]].groupby(["depth", "target", "rate"]):
        shallow, deep, rate = int(part["depth"].iloc[0]), int(part["target"].iloc[0]), float(part["rate"].iloc[0])
        own = known[(known["depth"] == shallow) & (known["target"] == shallow) & (known["rate"] == rate)]
        courses, own_course = _courses(part), next(iter(_courses(own)), None)
        if courses:
            panels.append(Panel(shallow, deep, rate, courses, own_course, values(plain, deep, METRIC)))
    return ContinuationData(tuple(panels), _error_axis(panels, runs)) if panels else None


def _courses(rows: pd.DataFrame) -> tuple[Course, ...]:
    courses = []
    for noise, part in rows.groupby("noise"):
        table = part.pivot_table(index="iteration", columns="run_id", values="error", aggfunc="last")
        stopped = []
        for run, points in part.sort_values("iteration").groupby("run_id"):
            last = points.iloc[-1]
            if np.isnan(last["loss"]):
                stopped.append((float(last["iteration"]), float(last["error"])))
                table.loc[table.index > last["iteration"], run] = last["error"]
        table = table.dropna()
        if len(table):
            at = table.index.to_numpy(dtype=np.float64)
            errors = table.to_numpy(dtype=np.float64).T
            moved = float(part.sort_values("iteration").groupby("run_id")["distance"].last().mean())
            courses.append(Course(float(str(noise)), at, errors, tuple(stopped), moved))
    return tuple(courses)


def _error_axis(panels: Sequence[Panel], runs: pd.DataFrame) -> ErrorAxis:
    lines = [course.errors.ravel() for panel in panels for course in (*panel.courses, panel.own) if course is not None]
    errors = np.concatenate([*lines, *(panel.trained for panel in panels)])
    return error_axis(errors, resolution(runs, METRIC), least=1.0, room=1.06, highest=105.0)


def continuation_drawing(data: ContinuationData, alt: str) -> Drawing:
    """Return the figure of all panels; `alt` tells what became of each net."""
    courses = [course for panel in data.panels for course in panel.courses]
    counts = {len(course.errors) for course in courses}
    seeds = "One seed a line" if counts == {1} else band_words(counts)
    stopped = any(course.stopped for course in courses)
    texts = write_texts("why-continuation", data=data, seeds=seeds, stopped=stopped, alt=alt)
    rows, columns = shape(data)
    draw = partial(draw_continuation, data)
    height, width, options = 1.05 + 1.75 * rows, panel_width(columns, 1.4), {"rows": rows, "sharey": True}
    return Drawing("why-continuation", texts, draw, data.frame(), columns, height, width, options)


def shape(data: ContinuationData) -> tuple[int, int]:
    """Return the rows and columns of panels."""
    columns = 2 if len(data.drawn) == 4 else min(COLUMNS, len(data.drawn))
    return -(-len(data.drawn) // columns), columns


def draw_continuation(data: ContinuationData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a panel a shallow net, target and rate, with one key below."""
    colours = ordered_colours(data.noises, 0.05, 0.88)
    flat = axes.ravel().tolist()
    for panel, ax in zip(data.drawn, flat, strict=False):
        _draw_panel(data, panel, ax, colours)
        ax.set_title(f"plain-{panel.shallow} as plain-{panel.deep}, rate {panel.rate:.3g}", fontsize="medium")
    for ax in flat[len(data.drawn) :]:
        ax.set_axis_off()
    label_panels(axes, len(data.drawn), "trained_on", "train_error")
    columns = max(2, int(figure.get_figwidth() / 1.65))
    key_below(figure, _key(data, colours), columns, handlelength=2.6, columnspacing=1.4)


def _look(noise: float, colour: str) -> dict[str, Any]:
    return {"color": colour, "linewidth": 1.0 if noise else 1.7, "marker": "o", "markersize": 2.2}


def _draw_panel(data: ContinuationData, panel: Panel, ax: Axes, colours: dict[float, str]) -> None:
    _axes(data, panel, ax)
    if len(panel.trained):
        ax.axhline(float(panel.trained.mean()), zorder=2, **SCRATCH)
    for course in panel.courses:  # the construction itself is bold, and lies beneath lines that would else be hidden
        colour = colours[course.noise]
        (drawn,) = ax.plot(course.iteration, course.mean, zorder=4, clip_on=False, **_look(course.noise, colour))
        name_points(drawn, f"plain-{panel.shallow} as plain-{panel.deep}, noise {course.noise:g}")
        if len(course.errors) > 1:
            low, high = course.errors.min(0), course.errors.max(0)
            ax.fill_between(course.iteration, low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
        for at, error in course.stopped:
            ax.plot(at, error, "x", color=colour, markersize=5, zorder=5, clip_on=False)
    if panel.own is not None:
        (drawn,) = ax.plot(panel.own.iteration, panel.own.mean, zorder=5, **OWN)
        name_points(drawn, f"plain-{panel.shallow} itself")


def _axes(data: ContinuationData, panel: Panel, ax: Axes) -> None:
    """Give a panel an axis of iterations on which 0 and the first few can be seen, and the figure's axis of errors."""
    data.errors.put_on(ax)
    last = max(float(course.iteration[-1]) for course in panel.courses)
    ax.set_xscale("function", functions=squeezing(1.0))
    ax.set_xlim(-0.15, float(unsqueeze(1.03 * squeeze(last, 1.0), 1.0)))
    ticks = [0.0, *(10.0 ** np.arange(0, np.floor(np.log10(max(last, 1.0))) + 1))]
    number_ticks(ax.xaxis, ticks if len(ticks) < 6 else [0.0, *ticks[1::2]], ",.0f")
    ax.tick_params(axis="x", labelsize=SMALL)


def _key(data: ContinuationData, colours: dict[float, str]) -> list[Line2D]:
    handles = [
        Line2D([], [], label=f"as built, noise {noise:g}" if noise else "as built", **_look(noise, colour))
        for noise, colour in colours.items()
    ]
    if any(panel.own is not None for panel in data.drawn):
        handles.append(Line2D([], [], label="shallow net itself", **OWN))
    if any(len(panel.trained) for panel in data.drawn):
        handles.append(Line2D([], [], label="deep net from scratch", **SCRATCH))
    if any(course.stopped for panel in data.drawn for course in panel.courses):
        handles.append(Line2D([], [], color="#3a3a3a", marker="x", linewidth=0, label="loss not finite"))
    return handles
