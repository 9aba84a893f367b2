"""The points of a figure with whose they are, as the page's script tells them under the pointer."""

import json
import re
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

MOST = 60
"""Points of a line that are told; of more, some evenly between."""
OUTSIDE = 0.02
"""Part of a panel by which a point may lie outside, as marks on its edge do."""
DIGITS = 4


def name_points(
    line: Line2D, name: str, x: ArrayLike | None = None, y: ArrayLike | None = None, colour: str | None = None
) -> None:
    """Say whose a line's points are, (points,), and their values where the figure has them at other places.

    A line of another shade than what it belongs to (`series`) is given that `colour`.
    """
    values = (None if values is None else np.asarray(values).tolist() for values in (x, y))
    line.set_gid(json.dumps([name, *values, colour]))


def take_names(figure: Figure) -> dict[Line2D, str]:
    """Return what the lines of a figure were given by `name_points`, and leave them the colour: files don't have it."""
    names = {line: gid for ax in figure.axes for line in ax.lines if (gid := line.get_gid())}
    for line, name in names.items():
        line.set_gid(json.loads(name)[-1])
    return names


def panels_of(figure: Figure, names: dict[Line2D, str]) -> list[dict[str, Any]]:
    """Return the panels that have named points, after the figure was drawn.

    `box` is a panel's left, top, width and height in parts of the figure's, `x` and `y` are the labels of its axes, and
    `lines` lists of a name and four numbers a point: its place in parts of the panel, and its values.
    """
    panels, y_label = [], figure.get_supylabel()
    x_label = next(filter(None, (ax.get_xlabel() for ax in figure.axes)), "")
    for ax in figure.axes:
        y_label = ax.get_ylabel() or y_label  # a panel may share that of the one to its left
        lines = [_line(ax, line, *json.loads(names[line])[:-1]) for line in ax.lines if line in names]
        if lines:
            label = re.sub(r" \(1e\d+\)$", "", ax.get_xlabel() or x_label)
            panels.append({"box": box_of(ax), "x": label, "y": y_label, "lines": lines})
    return panels


def box_of(ax: Axes) -> list[float]:
    """Return the left, top, width and height of a panel in parts of its figure's."""
    box = ax.get_position()
    return [round(float(part), DIGITS) for part in (box.x0, 1 - box.y1, box.width, box.height)]


def _line(ax: Axes, line: Line2D, name: str, x: Any, y: Any) -> list[Any]:
    drawn = np.column_stack([line.get_xdata(orig=False), line.get_ydata(orig=False)])
    places = ax.transAxes.inverted().transform(line.get_transform().transform(drawn))
    values = np.column_stack([given if given is not None else drawn[:, i] for i, given in enumerate((x, y))])
    points = np.hstack([places, values.astype(float)])
    points = points[np.isfinite(points).all(1) & (abs(places - 0.5) < 0.5 + OUTSIDE).all(1)]
    told = np.vstack([points[: -1 : ceil(len(points) / MOST) or 1], points[-1:]])
    numbers = [[*map(float, point[:2].round(DIGITS)), *map(_value, point[2:])] for point in told]
    return [name, *(number for point in numbers for number in point)]


def _value(value: float) -> float:
    return int(value) if value == int(value) else float(f"{value:.4g}")
