"""The probability that the deeper of two nets is worse, over pairs of seeds: a matrix net by net."""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.report.figures.frames import one_variant
from study.report.figures.style import SIZE, axes_or_new
from study.report.metrics import axis
from study.verdict.selection import architectures, counted, depths, values

Array = NDArray[np.float64]
Estimate = Callable[[Array, Array], float]

SHADES = LinearSegmentedColormap.from_list("worse", ["#0072b2", "#f7f7f7", "#d55e00"])
"""Blue where the deeper net is better, orange where it is worse: told apart by every kind of colour vision."""
CELL = 0.4
"""Side of a cell in inches, where there are few."""
SIDE = 2.45
"""Of the whole matrix, at most."""
MANY = 7
"""Cells in a row from which on their numbers are set small, without the leading zero."""


class Pair(NamedTuple):
    """Two nets of one architecture, and how likely the deeper one's error is the higher."""

    deeper: int
    shallower: int
    probability: float
    seeds_deeper: int
    seeds_shallower: int


class ProbabilityData(NamedTuple):
    """All pairs by architecture, the depths of the axes, and the metric that is compared."""

    pairs: dict[str, tuple[Pair, ...]]
    depths: tuple[int, ...]
    metric: str

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a pair."""
        rows = [
            {"metric": self.metric, "architecture": name} | pair._asdict()
            for name, pairs in self.pairs.items() for pair in pairs
        ]  # fmt: skip
        return pd.DataFrame(rows)


def probability_worse(deeper: Array, shallower: Array) -> float:
    """(n,) errors of the deeper net, (m,) of the shallower one -> U / (n m), the probability of degradation.

    The share of all pairs of seeds in which the deeper net has the higher error, ties counting half: Mann and
    Whitney's U over the number of pairs (1947, Ann. Math. Stat. 18).
    """
    step = deeper[:, None] - shallower[None, :]
    return float(((step > 0) + 0.5 * (step == 0)).mean())


def probability_data(
    runs: pd.DataFrame, metric: str = "final_train_error", estimate: Estimate = probability_worse
) -> ProbabilityData | None:
    """Return the probability for each pair of depths that has several seeds; None where there is none.

    Raises:
        ValueError: the frame holds several variants.
    """
    one_variant(runs)
    kept = counted(runs)
    pairs: dict[str, tuple[Pair, ...]] = {}
    for architecture in architectures(kept):
        mine = kept[kept["architecture"] == architecture]
        cells = {depth: seeds for depth in depths(mine) if len(seeds := values(mine, depth, metric))}
        found = tuple(
            Pair(deep, shallow, estimate(cells[deep], cells[shallow]), len(cells[deep]), len(cells[shallow]))
            for shallow, deep in combinations(cells, 2)
            if len(cells[deep]) * len(cells[shallow]) > 1  # a single pair says nothing
        )
        pairs |= {architecture: found} if found else {}
    if not pairs:
        return None
    shown = {depth for found in pairs.values() for pair in found for depth in (pair.deeper, pair.shallower)}
    return ProbabilityData(pairs, tuple(sorted(shown)), metric)


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
    if data is None or architecture not in data.pairs:
        raise ValueError(f"no two nets that are '{architecture}' have several seeds to compare")
    with axes_or_new(ax) as ax:
        draw_matrix(data, ax, architecture)
        ax.set_ylabel(axis("deeper"))
        ax.set_title(axis("probability_worse"))
    return ax


def draw_matrix(data: ProbabilityData, ax: Axes, architecture: str) -> None:
    """Draw one architecture: a row a deeper net, a column a shallower one."""
    rows = {depth: place for place, depth in enumerate(data.depths[1:])}
    columns = {depth: place for place, depth in enumerate(data.depths[:-1])}
    table = np.full((len(rows), len(columns)), np.nan)
    many = len(rows) >= MANY
    for pair in data.pairs[architecture]:
        place = rows[pair.deeper], columns[pair.shallower]
        table[place] = pair.probability
        dark = abs(pair.probability - 0.5) > 0.42
        text = f"{pair.probability:.2f}"
        text = {"1.00": "1.0"}.get(text, text.removeprefix("0")) if many else text
        ax.text(place[1], place[0], text, ha="center", va="center",
                fontsize=SIZE - (2 if many else 0.5), color="white" if dark else "#1b1b1b")  # fmt: skip
    edges = np.arange(len(rows) + 1) - 0.5
    ax.pcolormesh(edges, edges, np.ma.masked_invalid(table), cmap=SHADES, vmin=0, vmax=1, edgecolor="white",
                  linewidth=0.8)  # fmt: skip
    ax.set_xticks(list(columns.values()), [str(depth) for depth in columns], rotation=90 if many else 0)
    ax.set_yticks(list(rows.values()), [str(depth) for depth in rows])
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel(axis("shallower"))


def shape(data: ProbabilityData) -> tuple[float, float]:
    """Return the figure's width and height in inches."""
    side = max(1.5, min(SIDE, CELL * (len(data.depths) - 1)))
    return len(data.pairs) * (side + 0.25) + 1.15, side + 0.85


def draw_matrices(data: ProbabilityData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a panel an architecture, and what the shades mean."""
    for ax, architecture in zip(axes[0], data.pairs, strict=True):
        draw_matrix(data, ax, architecture)
        ax.set_title(f"{architecture} nets")
    axes[0][0].set_ylabel(axis("deeper"))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), SHADES), ax=list(axes[0]), ticks=[0, 0.25, 0.5, 0.75, 1], aspect=16, shrink=0.9
    )
    bar.set_label(axis("probability_worse"))
    bar.outline.set_visible(False)
