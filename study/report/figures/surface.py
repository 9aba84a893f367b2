"""The loss around nets: contours over two random directions, and the slice along the first, Li et al. 2018."""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import number_ticks
from study.report.figures.layers import name_row
from study.report.figures.points import name_points
from study.report.figures.style import ARCHITECTURE_LINES, SIZE, WIDTH, depth_colours, key_below
from study.report.metrics import axis
from study.verdict.selection import depths, net_name

STATISTICS = ("running", "batch")
"""Of batch norms: the net's own, as in the paper's code, or those of the batch at each point."""
FLOOR, TOP = 1e-3, 1e2
"""Losses of the colour scale at its widest, in nats: below the one a net is done, above the other it has blown up."""
STEPS = (1, 2, 5)
"""Contours in each power of ten."""
SHADES = "viridis_r"
BASIN_COLOUR = "#d55e00"
EDGE_COLOUR = "#5a5a5a"
KEY_COLUMNS = 6


class Surface(NamedTuple):
    """The slices of all nets, those whose contours are drawn, and what both figures share."""

    frame: pd.DataFrame
    """A row a point: net, architecture, depth, seed, statistics, its places a and b, and the loss in nats.

    The loss is NaN where it wasn't measured or isn't a number, infinite where it has overflown.
    """
    contoured: tuple[str, ...]
    """Shallowest plain, deepest plain, deepest residual net; others have a line in the slice only."""
    levels: tuple[float, ...]
    """Of the contours, the same for all nets, in nats."""
    classes: int

    @property
    def basin(self) -> float:
        """The loss ln K of a net that gives each of K classes the same probability."""
        return math.log(self.classes)

    @property
    def statistics(self) -> tuple[str, ...]:
        """Those that were measured, the rows of the figure."""
        return tuple(name for name in STATISTICS if (self.frame["statistics"] == name).any())

    @property
    def nets(self) -> pd.DataFrame:
        """Net, architecture and depth, a row a net."""
        return self.frame[["net", "architecture", "depth"]].drop_duplicates("net")

    @property
    def slices(self) -> dict[tuple[str, str], pd.DataFrame]:
        """By net and statistics: the losses, a row a place along the first direction, a column one along the second."""
        groups = self.frame.groupby(["net", "statistics"], sort=False)
        return {
            (str(net), str(kind)): part.pivot(index="a", columns="b", values="loss") for (net, kind), part in groups
        }


def through(losses: pd.DataFrame) -> "pd.Series[float]":
    """Return the losses of a slice along the first direction, through the net itself."""
    return losses.iloc[:, int(np.abs(losses.columns.to_numpy()).argmin())]


def surface_data(rows: pd.DataFrame, classes: int) -> Surface | None:
    """Return the slices of plain and residual nets at the end of training, of each net's first seed.

    Args:
        rows: of the table `surface`, at the end of training.
        classes: K.

    Returns:
        None where no slice has two points that are numbers.
    """
    rows = rows[rows["architecture"].isin(["plain", "residual"])]
    slices = []
    for (net, statistics), part in rows.groupby(["net", "statistics"], sort=False):
        part = part[part["seed"] == part["seed"].min()]
        losses = part.pivot_table(index="a", columns="b", values="loss", dropna=False, aggfunc="first").astype(float)
        if min(losses.shape) > 1 and np.isfinite(losses).to_numpy().sum() > 1:
            first = part.iloc[0]
            names = {"net": net, "architecture": first["architecture"], "depth": first["depth"], "seed": first["seed"]}
            points = losses.stack(future_stack=True).rename("loss").reset_index()
            slices.append(pd.DataFrame({**names, "statistics": statistics}, points.index).join(points))
    if not slices:
        return None
    slices.sort(key=lambda points: (points["architecture"][0], points["depth"][0]))
    frame = pd.concat(slices, ignore_index=True)
    known = frame.loc[np.isfinite(frame["loss"]), "loss"]
    low = 10.0 ** math.floor(math.log10(max(FLOOR, known.min())))
    high = min(TOP, max(known.max(), 10 * low))
    powers = range(round(math.log10(min(low, TOP / 10))), math.ceil(math.log10(high)) + 1)
    levels = [step * 10.0**power for power in powers for step in STEPS]
    drawn = [level for before, level in zip([0.0, *levels], levels, strict=False) if before < high]
    return Surface(frame, _contoured(frame), tuple(drawn), classes)


def _contoured(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the nets whose contours are drawn, at most three."""
    plain, residual = (depths(frame[frame["architecture"] == kind]) for kind in ("plain", "residual"))
    nets = [net_name(frame, "plain", depth) for depth in sorted({*plain[:1], *plain[-1:]})]
    if residual:
        deep = plain[-1] if plain and plain[-1] in residual else residual[-1]
        pair = (deep,) if plain else sorted({residual[0], deep})
        nets += [net_name(frame, "residual", depth) for depth in pair]
    return tuple(nets)


def surface_drawings(surface: Surface) -> tuple[Drawing, Drawing]:
    """Return the contours of some nets, and the slices along the first direction of all."""
    slices, rows, columns = surface.slices, len(surface.statistics), len(surface.contoured)
    cells = [(net, kind) for kind in surface.statistics for net in surface.contoured]
    contours = {cell: slices[cell] for cell in cells if cell in slices}
    texts = write_texts("why-surface", surface=surface, contours=contours, centre=_centre)
    draw, options = partial(draw_contours, surface), {"rows": rows}
    width, height = min(WIDTH, 1.4 + 1.85 * columns), 0.8 + 1.9 * rows  # a panel is a third of the page
    drawn = Drawing("why-surface", texts, draw, surface.frame, columns, height, width, options, stacks=False)
    texts = write_texts("why-surface-slice", surface=surface, through=through, centre=_centre)
    draw, options = partial(draw_slices, surface), {"sharey": True}
    height = 2.4 + 0.17 * math.ceil(len(surface.nets) / KEY_COLUMNS)  # grows with the key
    return drawn, Drawing("why-surface-slice", texts, draw, surface.frame, rows, height, options=options)


def _centre(losses: pd.DataFrame) -> float:
    return float(through(losses).iloc[len(losses) // 2])


def draw_contours(surface: Surface, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a column a net and a row each kind of statistics, with one scale of colours and the edge of the basin."""
    slices = surface.slices
    for row, kind in enumerate(surface.statistics):
        for column, net in enumerate(surface.contoured):
            ax = axes[row][column]
            if (net, kind) not in slices:
                ax.set_visible(False)
                continue
            _draw_contour(ax, slices[net, kind], surface)
            if row == 0:
                ax.set_title(net)
            if row == len(surface.statistics) - 1:
                ax.set_xlabel(axis("along_first"))
        axes[row][0].set_ylabel(axis("along_second"))
        name_row(axes[row][-1], f"{kind} statistics")
    norm = LogNorm(surface.levels[0], surface.levels[-1])
    bar = figure.colorbar(ScalarMappable(norm, SHADES), ax=axes, aspect=28, pad=0.02, extend="both")
    number_ticks(bar.ax.yaxis, surface.levels[:: len(STEPS)])  # powers of ten
    bar.ax.axhline(surface.basin, color=BASIN_COLOUR, linewidth=1.6)
    bar.set_label(axis("train_loss"))
    bar.outline.set_visible(False)
    key = [
        Line2D([], [], color=BASIN_COLOUR, linewidth=1.6, label=f"ln {surface.classes} = {surface.basin:.2f} nats"),
        Line2D([], [], color="black", marker="+", linestyle="", label="the trained net"),
    ]
    key_below(figure, key)


def _draw_contour(ax: Axes, losses: pd.DataFrame, surface: Surface) -> None:
    """Draw one slice: what has overflown as the highest shade, what isn't a number as grey."""
    a, b, levels = losses.index.to_numpy(), losses.columns.to_numpy(), np.array(surface.levels)
    drawn = np.ma.masked_invalid(np.clip(losses.to_numpy().T, levels[0] / 2, levels[-1] * 2))  # (B, A)
    colours: Any = {"norm": LogNorm(levels[0], levels[-1]), "cmap": SHADES}
    ax.contourf(a, b, drawn, levels, extend="both", **colours)
    ax.contour(a, b, drawn, levels, colors="white", linewidths=0.25, alpha=0.6)
    if drawn.min() < surface.basin < drawn.max():
        ax.contour(a, b, drawn, [surface.basin], colors=BASIN_COLOUR, linewidths=1.1)
    ax.plot(0, 0, "+", color="black", markersize=5, markeredgewidth=0.9)
    ax.set_facecolor("#bdbdbd")
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.set_xticks([a[0], 0.0, a[-1]])
    ax.set_yticks([b[0], 0.0, b[-1]])
    ax.label_outer()


def draw_slices(surface: Surface, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw every net's loss along the first direction, a panel each kind of statistics."""
    colours = depth_colours(surface.nets["depth"])
    looks: dict[str, Any] = {
        net["net"]: {"color": colours[net["depth"]], "linestyle": ARCHITECTURE_LINES[net["architecture"]]}
        for _, net in surface.nets.iterrows()
    }
    low, high = surface.levels[0] / 1.5, surface.levels[-1] * 1.5
    for ax, statistics in zip(axes[0], surface.statistics, strict=True):
        for (net, kind), losses in surface.slices.items():
            if kind == statistics:
                line = through(losses)
                (drawn,) = ax.plot(line.index, np.minimum(line, 2 * high), linewidth=1.2, **looks[net])
                name_points(drawn, net)
        # Not in the contours' orange, which is that of a depth here.
        ax.axhline(surface.basin, color=EDGE_COLOUR, linewidth=0.9, linestyle=":", zorder=1)
        ax.set(yscale="log", ylim=(low, high))
        number_ticks(ax.yaxis, surface.levels[:: len(STEPS)])
        ax.set(title=f"{statistics} statistics", xlabel=axis("along_first"))
    axes[0][0].set_ylabel(axis("train_loss"))
    last = axes[0][-1]
    look = {"transform": last.get_yaxis_transform(), "va": "center", "color": EDGE_COLOUR, "fontsize": SIZE - 0.5}
    last.text(1.01, surface.basin, f"ln {surface.classes}", **look)
    key_below(figure, [Line2D([], [], label=net, **look) for net, look in looks.items()], KEY_COLUMNS)
