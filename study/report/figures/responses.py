"""How strongly layers respond, in the net's order and by size: the paper's Figure 7."""

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from study.report.figures import layers
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.style import depth_colours
from study.report.metrics import axis
from study.report.moments import END
from study.report.text import band_words
from study.verdict.selection import architectures, depths

DECADES = 12.0
"""Ratio of the strongest to the weakest response from which on an axis is logarithmic."""
ORDERS = ("layer", "layer_rank")
"""Layers in the net's order, and from the largest to the smallest response."""


def response_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the deviations `std` at the end of training, by `order`, each seed sorted on its own; or no rows.

    Rows have a `moment`.
    """
    ended = rows[rows["moment"] == END]
    shown = ended[ended["depth"].isin(layers.drawn_depths(depths(ended)))]
    rank = shown.groupby("run_id")["std"].rank(ascending=False, method="first")
    shown = shown.assign(layer=shown["layer"] + 1, layer_rank=rank)
    lines = [layers.layer_lines(shown, "std", order).assign(order=order) for order in ORDERS]
    return pd.concat(lines, ignore_index=True)


def _is_wide(lines: pd.DataFrame) -> bool:
    low, high = layers.extent(lines)
    return 0 < low < high / DECADES


def responses_drawing(rows: pd.DataFrame) -> Drawing | None:
    """Return the figure of some rows, with their `moment`; None where nothing was measured at the end."""
    lines = response_lines(rows)
    if lines.empty:
        return None
    texts = write_texts(
        "why-responses",
        sorted_lines=layers.each_line(lines[lines["order"] == "layer_rank"]),
        seeds=band_words(lines["seeds"]),
        logarithmic=_is_wide(lines),
        note=layers.left_out(lines["depth"], depths(rows[rows["moment"] == END])),
    )
    frame, options = lines.rename(columns={"value": "std"}), {"rows": 2, "sharex": "col", "sharey": True}
    columns, draw = len(architectures(lines)), partial(draw_responses, lines)
    return Drawing("why-responses", texts, draw, frame, columns, 4.0, options=options)


def draw_responses(lines: pd.DataFrame, figure: Figure, axes: Any) -> None:
    """Draw the layers in their order above and sorted below, a column an architecture."""
    colours = depth_colours(lines["depth"])
    low, high = layers.extent(lines)
    for row, order in enumerate(ORDERS):
        for column, kind in enumerate(architectures(lines)):
            ax = axes[row][column]
            layers.draw_lines(ax, lines[(lines["order"] == order) & (lines["architecture"] == kind)], colours)
            layers.layer_axis(ax)
            if _is_wide(lines):
                layers.log_axis(ax, low, high)
            else:
                ax.set_ylim(0, 1.06 * high)
            ax.set_xlabel(axis(order))
            ax.tick_params(labelbottom=True)
            if row == 0:
                ax.set_title(f"{kind} nets")
        axes[row][0].set_ylabel(axis("std"))
    layers.add_key(figure, layers.depth_key(colours))
