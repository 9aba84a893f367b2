"""The probability that the deeper of two nets is worse, over pairs of seeds: a matrix net by net."""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import single_variant
from study.report.figures.style import SIZE, axes_or_new
from study.report.metrics import axis
from study.report.text import span
from study.verdict.selection import architectures, counted, depths, several_splits, values

Array = NDArray[np.float64]
Estimate = Callable[[Array, Array], float]

SHADES = LinearSegmentedColormap.from_list("worse", ["#76b2d3", "#f7f7f7", "#e39b63"])
"""Blue where the deeper net is better, orange where it is worse: told apart by every kind of colour vision, and pale
enough for black letters, which a dark page turns to white ones."""
CELL = 0.4
"""Side of a cell in inches, where there are few."""
SIDE = 2.45
"""Of the whole matrix, at most."""
COLUMNS = ["metric", "architecture", "deeper", "shallower", "probability", "seeds_deeper", "seeds_shallower"]
MANY = 7
"""Cells in a row from which on their numbers are set small, without the leading zero."""


def probability_worse(deeper: Array, shallower: Array) -> float:
    """(n,) errors of the deeper net, (m,) of the shallower one -> U / (n m), the probability of degradation.

    The share of all pairs of seeds in which the deeper net has the higher error, ties counting half: Mann and
    Whitney's U over the number of pairs (1947, Ann. Math. Stat. 18).
    """
    step = deeper[:, None] - shallower[None, :]
    return float(((step > 0) + 0.5 * (step == 0)).mean())


def probability_data(
    runs: pd.DataFrame, metric: str = "final_train_error", estimate: Estimate = probability_worse
) -> pd.DataFrame:
    """Return a row for each pair of depths that has several seeds: `COLUMNS`.

    Raises:
        ValueError: the frame holds several variants.
    """
    runs = single_variant(runs)
    counted_runs = counted(runs)
    rows = []
    for architecture in architectures(counted_runs):
        nets = counted_runs[counted_runs["architecture"] == architecture]
        cells = {depth: seeds for depth in depths(nets) if len(seeds := values(nets, depth, metric))}
        for shallow, deep in combinations(cells, 2):
            deeper, shallower = cells[deep], cells[shallow]
            if len(deeper) * len(shallower) > 1:  # a single pair says nothing
                worse = estimate(deeper, shallower)
                rows.append((metric, architecture, deep, shallow, worse, len(deeper), len(shallower)))
    return pd.DataFrame(rows, columns=COLUMNS)


def probability(
    runs: pd.DataFrame,
    ax: Axes | None = None,
    *,
    architecture: str = "plain",
    metric: str = "final_train_error",
    estimate: Estimate = probability_worse,
) -> Axes:
    """Draw a matrix of the probability that the deeper of two nets ends with the higher error.

    Args:
        runs: a row a run, as `load_runs` returns them, of one variant; those that count are compared.
        ax: where to draw; by default new axes.
        architecture: plain, residual or vgg.
        metric: final_train_error or final_test_error.
        estimate: from the errors of the deeper net's seeds, (n,), and the shallower's, (m,), to a probability.

    Raises:
        ValueError: several variants, or no pair of depths of the architecture with more than a seed each.

    Example:
        >>> figures.probability(load_runs("digits"), architecture="residual")
    """
    data = probability_data(runs, metric, estimate)
    if architecture not in set(data["architecture"]):
        raise ValueError(f"no two nets that are '{architecture}' have several seeds to compare")
    with axes_or_new(ax) as ax:
        draw_matrix(data, ax, architecture)
        ax.set(ylabel=axis("deeper"), title=axis("probability_worse"))
    return ax


def draw_matrix(data: pd.DataFrame, ax: Axes, architecture: str) -> None:
    """Draw one architecture: a row a deeper net, a column a shallower one."""
    shown = _depths(data)
    rows = {depth: place for place, depth in enumerate(shown[1:])}
    columns = {depth: place for place, depth in enumerate(shown[:-1])}
    table = np.full((len(rows), len(columns)), np.nan)
    many = len(rows) >= MANY
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SIZE - (2 if many else 0.5)}
    pairs = data[data["architecture"] == architecture]
    for deeper, shallower, worse in zip(pairs["deeper"], pairs["shallower"], pairs["probability"], strict=True):
        row, column = rows[deeper], columns[shallower]
        table[row, column] = worse
        text = f"{worse:.2f}"
        text = {"1.00": "1.0"}.get(text, text.removeprefix("0")) if many else text
        ax.text(column, row, text, **look)
    edges, cells = np.arange(len(rows) + 1) - 0.5, np.ma.masked_invalid(table)
    ax.pcolormesh(edges, edges, cells, cmap=SHADES, vmin=0, vmax=1, edgecolor="white", linewidth=0.8)
    ax.set_xticks(list(columns.values()), [str(depth) for depth in columns], rotation=90 if many else 0)
    ax.set_yticks(list(rows.values()), [str(depth) for depth in rows])
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel(axis("shallower"))


def _depths(data: pd.DataFrame) -> list[int]:
    return sorted({int(depth) for depth in (*data["deeper"], *data["shallower"])})


def shape(data: pd.DataFrame) -> tuple[float, float]:
    """Return the figure's width and height in inches."""
    side = max(1.5, min(SIDE, CELL * (len(_depths(data)) - 1)))
    return data["architecture"].nunique() * (side + 0.25) + 1.15, side + 0.85


def draw_matrices(data: pd.DataFrame, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a panel an architecture, and what the shades mean."""
    for ax, architecture in zip(axes[0], data["architecture"].unique(), strict=True):
        draw_matrix(data, ax, architecture)
        ax.set_title(f"{architecture} nets")
    axes[0][0].set_ylabel(axis("deeper"))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), SHADES), ax=list(axes[0]), ticks=[0, 0.25, 0.5, 0.75, 1], aspect=16, shrink=0.9
    )
    bar.set_label(axis("probability_worse"))
    bar.outline.set_visible(False)


def probability_drawing(runs: pd.DataFrame) -> Drawing | None:
    """Return the matrices of one variant; None where no net has several seeds."""
    data = probability_data(runs)
    if data.empty:
        return None
    seeds = span({*data["seeds_deeper"], *data["seeds_shallower"]})
    unit = "split" if several_splits(counted(runs)) else "seed"
    texts = write_texts("probability", pairs=data, seeds=seeds, unit=unit)
    width, height = shape(data)
    draw, panels = partial(draw_matrices, data), data["architecture"].nunique()
    return Drawing("probability", texts, draw, data, panels, height, width, {"sharey": True})
