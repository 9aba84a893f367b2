"""The loss around nets: contours over two random directions, and the slice along the first, Li et al. 2018."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from study.report.figures.layers import name_row
from study.report.figures.style import ARCHITECTURE_LINES, SIZE, WIDTH, depth_colours
from study.report.metrics import axis
from study.verdict.selection import depths, net_name

Array = NDArray[np.float64]

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


class Slice(NamedTuple):
    """The loss around one net, of one seed: places along both directions (A,), (B,), and losses (A, B) in nats."""

    net: str
    architecture: str
    depth: int
    seed: int
    statistics: str
    a: Array
    b: Array
    loss: Array
    """NaN where it wasn't measured or isn't a number, infinite where it has overflown."""

    @property
    def through(self) -> Array:
        """The losses (A,) along the first direction, through the net itself."""
        return self.loss[:, int(np.abs(self.b).argmin())]


class SurfaceData(NamedTuple):
    """All slices, the nets whose contours are drawn, and what both figures share."""

    slices: tuple[Slice, ...]
    nets: tuple[str, ...]
    """Shallowest plain, deepest plain, deepest residual; others have a line in the slice only."""
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
        return tuple(name for name in STATISTICS if any(one.statistics == name for one in self.slices))

    def of(self, net: str, statistics: str) -> Slice | None:
        """Return a net's slice; None where it wasn't measured."""
        return next((one for one in self.slices if (one.net, one.statistics) == (net, statistics)), None)

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a point of a slice."""
        return pd.concat([
            pd.DataFrame({
                "net": one.net, "architecture": one.architecture, "depth": one.depth, "seed": one.seed,
                "statistics": one.statistics, "a": np.repeat(one.a, len(one.b)), "b": np.tile(one.b, len(one.a)),
                "loss": one.loss.ravel(),
            })
            for one in self.slices
        ], ignore_index=True)  # fmt: skip


def surface_data(rows: pd.DataFrame, classes: int) -> SurfaceData | None:
    """Return the slices of plain and residual nets at the end of training, of each net's first seed.

    Args:
        rows: of the table `surface`, at the end of training.
        classes: K.

    Returns:
        None where no slice has two points that are numbers.
    """
    slices = tuple(
        one
        for (_, statistics), part in rows.groupby(["net", "statistics"], sort=False)
        if (one := _slice(part[part["seed"] == part["seed"].min()], str(statistics))) is not None
    )
    slices = tuple(sorted(slices, key=lambda one: (one.architecture, one.depth)))
    if not slices:
        return None
    found = pd.DataFrame([one._asdict() for one in slices])[["net", "architecture", "depth"]]
    known = np.concatenate([one.loss[np.isfinite(one.loss)] for one in slices])
    low = 10.0 ** math.floor(math.log10(max(FLOOR, float(known.min()))))
    high = min(TOP, max(float(known.max()), 10 * low))
    return SurfaceData(slices, _chosen(found), _levels(min(low, TOP / 10), high), classes)


def _slice(part: pd.DataFrame, statistics: str) -> Slice | None:
    first = part.iloc[0]
    if first["architecture"] not in ("plain", "residual"):
        return None
    table = part.pivot_table(index="a", columns="b", values="loss", dropna=False, aggfunc="first")
    loss = table.to_numpy(dtype=np.float64)
    if min(loss.shape) < 2 or np.isfinite(loss).sum() < 2:
        return None
    a, b = (places.to_numpy(dtype=np.float64) for places in (table.index, table.columns))
    name, depth = str(first["net"]), int(first["depth"])
    return Slice(name, str(first["architecture"]), depth, int(first["seed"]), statistics, a, b, loss)


def _chosen(found: pd.DataFrame) -> tuple[str, ...]:
    """Return the nets whose contours are drawn, at most three."""
    plain = depths(found[found["architecture"] == "plain"])
    residual = depths(found[found["architecture"] == "residual"])
    chosen = [net_name(found, "plain", depth) for depth in sorted({*plain[:1], *plain[-1:]})]
    if residual:
        deep = plain[-1] if plain and plain[-1] in residual else residual[-1]
        pair = (deep,) if plain else sorted({residual[0], deep})
        chosen += [net_name(found, "residual", depth) for depth in pair]
    return tuple(chosen)


def _levels(low: float, high: float) -> tuple[float, ...]:
    powers = range(round(math.log10(low)), math.ceil(math.log10(high)) + 1)
    levels = [step * 10.0**power for power in powers for step in STEPS]
    return tuple(level for i, level in enumerate(levels) if i == 0 or levels[i - 1] < high)


def contours_width(data: SurfaceData) -> float:
    """Return the width of the contours' figure in inches: a panel is a third of the page."""
    return min(WIDTH, 1.4 + 1.85 * len(data.nets))


def contours_height(data: SurfaceData) -> float:
    """Return the height of the contours' figure in inches."""
    return 0.8 + 1.9 * len(data.statistics)


def slices_height(data: SurfaceData) -> float:
    """Return the height of the slices' figure in inches, which grows with its key."""
    return 2.4 + 0.17 * math.ceil(len(slice_key(data)) / KEY_COLUMNS)


def _powers(levels: tuple[float, ...]) -> list[float]:
    return list(levels[:: len(STEPS)])


def draw_contours(data: SurfaceData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a column a net and a row each kind of statistics, with one scale of colours and the edge of the basin."""
    for row, statistics in enumerate(data.statistics):
        for column, net in enumerate(data.nets):
            ax = axes[row][column]
            one = data.of(net, statistics)
            if one is None:
                ax.set_visible(False)
                continue
            _contour(ax, one, data)
            if row == 0:
                ax.set_title(net)
            if row == len(data.statistics) - 1:
                ax.set_xlabel(axis("along_first"))
        axes[row][0].set_ylabel(axis("along_second"))
        name_row(axes[row][-1], f"{statistics} statistics")
    norm = LogNorm(data.levels[0], data.levels[-1])
    bar = figure.colorbar(ScalarMappable(norm, SHADES), ax=axes, aspect=28, pad=0.02, extend="both")
    bar.ax.yaxis.set_major_locator(FixedLocator(_powers(data.levels)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.axhline(data.basin, color=BASIN_COLOUR, linewidth=1.6)
    bar.set_label(axis("train_loss"))
    bar.outline.set_visible(False)
    key = [Line2D([], [], color=BASIN_COLOUR, linewidth=1.6, label=f"ln {data.classes} = {data.basin:.2f} nats"),
           Line2D([], [], color="black", marker="+", linestyle="", label="the trained net")]  # fmt: skip
    figure.legend(handles=key, loc="outside lower center", ncols=2)


def _contour(ax: Axes, one: Slice, data: SurfaceData) -> None:
    """Draw one slice: what has overflown as the highest shade, what isn't a number as grey."""
    levels = np.array(data.levels)
    held = np.ma.masked_invalid(np.clip(one.loss.T, levels[0] / 2, levels[-1] * 2))  # (B, A)
    colours: Any = {"norm": LogNorm(levels[0], levels[-1]), "cmap": SHADES}
    ax.contourf(one.a, one.b, held, levels, extend="both", **colours)
    ax.contour(one.a, one.b, held, levels, colors="white", linewidths=0.25, alpha=0.6)
    if held.min() < data.basin < held.max():
        ax.contour(one.a, one.b, held, [data.basin], colors=BASIN_COLOUR, linewidths=1.1)
    ax.plot(0, 0, "+", color="black", markersize=5, markeredgewidth=0.9)
    ax.set_facecolor("#bdbdbd")
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.set_xticks([one.a[0], 0.0, one.a[-1]])
    ax.set_yticks([one.b[0], 0.0, one.b[-1]])
    ax.label_outer()


def draw_slices(data: SurfaceData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw every net's loss along the first direction, a panel each kind of statistics."""
    colours = depth_colours(one.depth for one in data.slices)
    low, high = data.levels[0] / 1.5, data.levels[-1] * 1.5
    for ax, statistics in zip(axes[0], data.statistics, strict=True):
        for one in (one for one in data.slices if one.statistics == statistics):
            style = ARCHITECTURE_LINES[one.architecture]
            ax.plot(one.a, np.minimum(one.through, 2 * high), color=colours[one.depth], linestyle=style, linewidth=1.2)
        # Not in the contours' orange, which is that of a depth here.
        ax.axhline(data.basin, color=EDGE_COLOUR, linewidth=0.9, linestyle=":", zorder=1)
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        ax.yaxis.set_major_locator(FixedLocator(_powers(data.levels)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_title(f"{statistics} statistics")
        ax.set_xlabel(axis("along_first"))
    first = axes[0][0]
    first.set_ylabel(axis("train_loss"))
    axes[0][-1].text(1.01, data.basin, f"ln {data.classes}", transform=axes[0][-1].get_yaxis_transform(), va="center",
                     color=EDGE_COLOUR, fontsize=SIZE - 0.5)  # fmt: skip
    figure.legend(handles=slice_key(data), loc="outside lower center", ncols=min(KEY_COLUMNS, len(slice_key(data))))


def slice_key(data: SurfaceData) -> list[Line2D]:
    """Return the key of the slices: a line a net."""
    colours = depth_colours(one.depth for one in data.slices)
    nets = {one.net: one for one in data.slices}
    return [
        Line2D([], [], color=colours[one.depth], linestyle=ARCHITECTURE_LINES[one.architecture], label=net)
        for net, one in nets.items()
    ]
