"""Gradients from layer to layer, at initialisation and as training goes on, and what they do to the layers."""

from functools import partial
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from study.report.figures import layers
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.layers import each_line, layer_lines
from study.report.figures.style import GUIDE, depth_colours, ordered_colours
from study.report.metrics import axis
from study.report.moments import END, evenly, label, moments_of
from study.report.text import band_words
from study.statistics.growth import BATCH_NORM_GROWTH
from study.verdict.selection import architectures, depths

MOST_MOMENTS = 5
"""Panels beside each other."""
WEIGHTS = ("weight_norm", "effective_lr", "turn")


def gradient_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the norms of `input_gradient` over the last layer's, by layers before it; empty where there are none.

    The first layer is left out: its input is the image. Rows have a `moment`.
    """
    later = rows[rows["layer"] > 0]
    before = later.groupby(["run_id", "moment"])["layer"].transform("max") - later["layer"]
    ends = later["input_gradient"].where(before == 0).groupby([later["run_id"], later["moment"]]).transform("max")
    shown = later.assign(before_last=before, gradient_ratio=later["input_gradient"] / ends.where(ends > 0))
    shown = shown[shown["depth"].isin(layers.drawn_depths(depths(rows)))]
    shown = shown[shown["moment"].isin(evenly(moments_of(shown), MOST_MOMENTS))]
    return layer_lines(shown, "gradient_ratio", "before_last", geometric=True)


def gradients_drawing(rows: pd.DataFrame) -> Drawing | None:
    """Return the figure of the gradients of some rows, with their `moment`; None where there are none."""
    lines = gradient_lines(rows)
    if lines.empty:
        return None
    kinds, moments = architectures(lines), moments_of(lines)
    texts = write_texts(
        "why-gradients",
        lines=each_line(lines),
        kinds=kinds,
        moments=moments,
        seeds=band_words(lines["seeds"], "Geometric means"),
        note=layers.left_out(lines["depth"], depths(rows)),
    )
    draw = partial(draw_gradients, lines)
    data = lines.rename(columns={"place": "before_last", "value": "gradient_ratio"})
    height, options = 0.9 + 1.45 * len(kinds), {"rows": len(kinds), "sharex": True, "sharey": True}
    return Drawing("why-gradients", texts, draw, data, len(moments), height, options=options)


def draw_gradients(lines: pd.DataFrame, figure: Figure, axes: Any) -> None:
    """Draw a row of panels an architecture, a panel a moment, with the growth of theory as a broken line."""
    colours, kinds, moments = depth_colours(lines["depth"]), architectures(lines), moments_of(lines)
    farthest = float(lines["place"].max())
    low, high = layers.extent(lines)
    end = BATCH_NORM_GROWTH**farthest
    high = max(high, min(end, high * max(10.0, high / low) ** 0.3))  # as far as the guide doesn't squeeze the lines
    for row, kind in enumerate(kinds):
        for column, moment in enumerate(moments):
            ax = axes[row][column]
            layers.log_axis(ax, low, high)
            layers.draw_lines(ax, lines[(lines["architecture"] == kind) & (lines["moment"] == moment)], colours)
            ax.plot([0, farthest], [1, end], zorder=1, **GUIDE)
            layers.layer_axis(ax)
            ax.set_xlim(farthest * 1.03 + 0.5, -0.03 * farthest - 0.5)
            if row == 0:  # panels are narrow where there are many
                ax.set_title("end" if moment == END and len(moments) > 3 else label(moment))
        layers.name_row(axes[row][-1], f"{kind} nets")
    for ax in axes[-1] if len(moments) < MOST_MOMENTS else [axes[-1][len(moments) // 2]]:
        ax.set_xlabel(axis("before_last"))
    figure.supylabel(axis("gradient_ratio"), fontsize=mpl.rcParams["axes.labelsize"])
    guide = Line2D([], [], label=f"theory, {BATCH_NORM_GROWTH:.3f} a layer", **GUIDE)
    layers.add_key(figure, [*layers.depth_key(colours), guide], 1.2)


def weight_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return norm, effective rate and turn of the weights by layer, by `quantity`; empty where there are none.

    Of the deepest net of each architecture. Rows have a `moment`.
    """
    deepest = [(kind, depths(rows[rows["architecture"] == kind])[-1]) for kind in architectures(rows)]
    shown = rows[pd.MultiIndex.from_frame(rows[["architecture", "depth"]]).isin(deepest)]
    shown = shown[shown["moment"].isin(evenly(moments_of(shown), MOST_MOMENTS + 1))].assign(layer=shown["layer"] + 1)
    turned = shown[shown["moment"] > 0]
    lines = [
        layer_lines(turned if name == "turn" else shown, name, "layer", geometric=name != "turn").assign(quantity=name)
        for name in WEIGHTS
    ]
    return pd.concat([line for line in lines if len(line)] or lines[:1], ignore_index=True)


def weights_drawing(rows: pd.DataFrame) -> Drawing | None:
    """Return the figure of the layers' weights of some rows, with their `moment`; None where there are none."""
    lines = weight_lines(rows)
    if lines.empty:
        return None
    nets, quantities = _nets(lines), lines["quantity"].nunique()
    texts = write_texts(
        "why-weights",
        turns=list(each_line(lines[lines["quantity"] == "turn"])),
        nets=nets,
        seeds=band_words(lines["seeds"], "Means (of norm and rate geometric)"),
    )
    draw = partial(draw_weights, lines)
    data = lines.rename(columns={"place": "layer"})
    height, options = 0.7 + 1.4 * quantities, {"rows": quantities, "sharex": "col", "sharey": "row"}
    return Drawing("why-weights", texts, draw, data, len(nets), height, options=options)


def _nets(lines: pd.DataFrame) -> list[tuple[str, int]]:
    return [(kind, depths(lines[lines["architecture"] == kind])[-1]) for kind in architectures(lines)]


def draw_weights(lines: pd.DataFrame, figure: Figure, axes: Any) -> None:
    """Draw a row of panels a quantity, a column a net, a line a moment."""
    colours = ordered_colours(moments_of(lines), 0.82, 0.05)  # later is darker
    groups = lines.groupby("quantity", sort=False)
    for row, (name, quantity) in enumerate(groups):
        for column, (kind, depth) in enumerate(_nets(lines)):
            ax = axes[row][column]
            if name != "turn":
                layers.log_axis(ax, *layers.extent(quantity))
            else:
                ax.set_ylim(0, 1.05 * max(layers.extent(quantity)[1], 0.5))
                ax.yaxis.set_major_locator(MultipleLocator(0.5))
            layers.draw_lines(ax, quantity[quantity["architecture"] == kind], colours, by="moment")
            layers.layer_axis(ax)
            if row == 0:
                ax.set_title(f"{kind} net, {depth} layers")
            if row == len(groups) - 1:
                ax.set_xlabel(axis("layer"))
        axes[row][0].set_ylabel(axis(str(name)))
    handles = [Line2D([], [], color=colour, linewidth=1.4, label=label(moment)) for moment, colour in colours.items()]
    layers.add_key(figure, handles, 1.25)
