"""Gradients from layer to layer, at initialisation and as training goes on, and what they do to the layers."""

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from study.report.figures import layers
from study.report.figures.layers import LayerLines, layer_lines, lines_frame
from study.report.metrics import axis
from study.report.moments import END, evenly, label, moments_of
from study.verdict.selection import architectures, depths

MOST_MOMENTS = 5
"""Panels beside each other."""
THEORY: dict[str, Any] = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": (0, (4, 2))}
WEIGHTS = ("weight_norm", "effective_lr", "turn")


class GradientData(NamedTuple):
    """Gradients' norms over those of the last layer, by layers before it: a row an architecture, a column a moment."""

    lines: LayerLines
    moments: tuple[float, ...]
    all_depths: tuple[int, ...]
    """Those that were measured, of which all or some are drawn."""

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy."""
        return lines_frame(self.lines, "before_last", "gradient_ratio")


class WeightData(NamedTuple):
    """Norm, effective rate and turn of the weights by layer, of the deepest net of each architecture."""

    lines: dict[str, LayerLines]
    """By column of the probe."""
    nets: tuple[tuple[str, int], ...]
    moments: tuple[float, ...]

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy, a row a quantity, net, moment and layer."""
        parts = [lines_frame(lines, "layer", "value").assign(quantity=name) for name, lines in self.lines.items()]
        return pd.concat(parts, ignore_index=True)


def gradient_data(rows: pd.DataFrame) -> GradientData | None:
    """Return the norms of `input_gradient` relative to the last layer's; None where there are none.

    The first layer is left out: its input is the image. Rows have a `moment`.
    """
    later = rows[rows["layer"] > 0]
    last = later.groupby(["run_id", "moment"])["layer"]
    before = last.transform("max") - later["layer"]
    ends = later["input_gradient"].where(before == 0).groupby([later["run_id"], later["moment"]]).transform("max")
    shown = later.assign(before_last=before, gradient_ratio=later["input_gradient"] / ends.where(ends > 0))
    known = depths(rows)
    shown = shown[shown["depth"].isin(layers.drawn_depths(known))]
    moments = evenly(moments_of(shown), MOST_MOMENTS)
    lines = layer_lines(shown[shown["moment"].isin(moments)], "gradient_ratio", "before_last", geometric=True)
    there = tuple(one for one in moments if any(line.moment == one for line in lines))
    return GradientData(lines, there, tuple(known)) if lines else None


def draw_gradients(data: GradientData, theory: float, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a row of panels an architecture, a panel a moment; `theory` is the growth a layer of a broken line."""
    colours = layers.colours_of(data.lines)
    farthest = max(float(line.place.max()) for line in data.lines)
    for row, architecture in enumerate(data.lines.panels):
        for column, moment in enumerate(data.moments):
            ax = axes[row][column]
            layers.log_axis(ax, *_limits(data, theory**farthest))
            for line in data.lines:
                if (line.architecture, line.moment) == (architecture, moment):
                    layers.draw_line(ax, line, colours[line.depth])
            ax.plot([0, farthest], [1, theory**farthest], zorder=1, **THEORY)
            layers.layer_axis(ax)
            ax.set_xlim(farthest * 1.03 + 0.5, -0.03 * farthest - 0.5)
            if row == 0:
                ax.set_title(_title(moment, len(data.moments)))
        layers.name_row(axes[row][-1], f"{architecture} nets")
    columns = len(data.moments)
    for ax in axes[-1] if columns < MOST_MOMENTS else [axes[-1][columns // 2]]:  # narrow panels have one label
        ax.set_xlabel(axis("before_last"))
    figure.supylabel(axis("gradient_ratio"), fontsize=mpl.rcParams["axes.labelsize"])
    guide = Line2D([], [], label=f"theory, {theory:.3f} a layer", **THEORY)
    layers.add_key(figure, [*layers.depth_key(colours), guide], 1.2)


def _limits(data: GradientData, guide: float) -> tuple[float, float]:
    """Return limits that hold the lines, and the guide as far as it doesn't squeeze them."""
    low, high = layers.extent(data.lines)
    return low, max(high, min(guide, high * max(10.0, high / low) ** 0.3))


def _title(moment: float, columns: int) -> str:
    """Return a moment as the title of a panel, short where panels are narrow."""
    return "end" if moment == END and columns > 3 else label(moment)


def weight_data(rows: pd.DataFrame) -> WeightData | None:
    """Return norm, effective rate and turn of the deepest net of each architecture; None where there are none."""
    deepest = [(kind, depths(rows[rows["architecture"] == kind])[-1]) for kind in architectures(rows)]
    kept = rows[pd.MultiIndex.from_frame(rows[["architecture", "depth"]]).isin(deepest)]
    moments = evenly(moments_of(kept), MOST_MOMENTS + 1)
    kept = kept[kept["moment"].isin(moments)].assign(layer=kept["layer"] + 1)
    lines = {
        name: layer_lines(kept if name != "turn" else kept[kept["moment"] > 0], name, "layer", geometric=name != "turn")
        for name in WEIGHTS
    }
    lines = {name: found for name, found in lines.items() if found}
    nets = tuple(
        net for net in deepest if any((one.architecture, one.depth) == net for f in lines.values() for one in f)
    )
    there = tuple(one for one in moments if any(line.moment == one for found in lines.values() for line in found))
    return WeightData(lines, nets, there) if lines else None


def moment_colours(moments: tuple[float, ...]) -> dict[float, str]:
    """Return a colour for each moment: later is darker."""
    places = np.linspace(0.82, 0.05, max(2, len(moments)))
    return {one: to_hex(mpl.colormaps["viridis"](place)) for one, place in zip(moments, places, strict=False)}


def draw_weights(data: WeightData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a row of panels a quantity, a column a net, a line a moment."""
    colours = moment_colours(data.moments)
    for row, (name, lines) in enumerate(data.lines.items()):
        for column, net in enumerate(data.nets):
            ax = axes[row][column]
            if name != "turn":
                layers.log_axis(ax, *layers.extent(lines))
            else:
                ax.set_ylim(0, 1.05 * max(layers.extent(lines)[1], 0.5))
                ax.yaxis.set_major_locator(MultipleLocator(0.5))
            for line in lines:
                if (line.architecture, line.depth) == net:
                    layers.draw_line(ax, line, colours[line.moment])
            layers.layer_axis(ax)
            if row == 0:
                ax.set_title(f"{net[0]} net, {net[1]} layers")
            if row == len(data.lines) - 1:
                ax.set_xlabel(axis("layer"))
        axes[row][0].set_ylabel(axis(name))
    handles = [Line2D([], [], color=colour, linewidth=1.4, label=label(one)) for one, colour in colours.items()]
    layers.add_key(figure, handles, 1.25)
