"""How strongly layers respond, in the net's order and by size: the paper's Figure 7."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.report.figures import layers
from study.report.figures.layers import LayerLine, LayerLines, layer_lines, lines_frame
from study.report.metrics import axis
from study.report.moments import END
from study.verdict.selection import depths

DECADES = 12.0
"""Ratio of the strongest to the weakest response from which on an axis is logarithmic."""


class ResponseData(NamedTuple):
    """Deviations of the layers' outputs at the end of training, in order and sorted from large to small."""

    ordered: LayerLines
    ranked: tuple[LayerLine, ...]
    all_depths: tuple[int, ...]
    """Those that were measured, of which all or some are drawn."""

    @property
    def wide(self) -> bool:
        """Whether responses span so much that their axis is logarithmic."""
        low, high = layers.extent(self.ordered)
        return 0 < low < high / DECADES

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a net and layer, in the net's order and sorted."""
        return pd.concat([
            lines_frame(self.ordered, "place", "std").assign(order="layer"),
            lines_frame(self.ranked, "place", "std").assign(order="layer_rank"),
        ], ignore_index=True)  # fmt: skip


def response_data(rows: pd.DataFrame) -> ResponseData | None:
    """Return the deviations `std` at the end of training, each seed sorted on its own; None where there are none.

    Rows have a `moment`.
    """
    ended = rows[rows["moment"] == END]
    known = depths(ended)
    shown = ended[ended["depth"].isin(layers.drawn_depths(known))]
    rank = shown.groupby("run_id")["std"].rank(ascending=False, method="first")
    shown = shown.assign(layer=shown["layer"] + 1, layer_rank=rank)
    ordered = layer_lines(shown, "std", "layer")
    return ResponseData(ordered, layer_lines(shown, "std", "layer_rank"), tuple(known)) if ordered else None


def draw_responses(data: ResponseData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw the layers in their order above and sorted below, a column an architecture."""
    colours = layers.colours_of(data.ordered)
    low, high = layers.extent(data.ordered)
    for row, (place, lines) in enumerate((("layer", data.ordered), ("layer_rank", data.ranked))):
        for column, architecture in enumerate(data.ordered.panels):
            ax = axes[row][column]
            for line in lines:
                if line.architecture == architecture:
                    layers.draw_line(ax, line, colours[line.depth])
            layers.layer_axis(ax)
            if data.wide:
                layers.log_axis(ax, low, high)
            else:
                ax.set_ylim(0, 1.06 * high)
            ax.set_xlabel(axis(place))
            ax.tick_params(labelbottom=True)
            if row == 0:
                ax.set_title(f"{architecture} nets")
        axes[row][0].set_ylabel(axis("std"))
    layers.add_key(figure, layers.depth_key(colours))
