"""What a trained net loses with a block, with several, or with its order: Veit et al. 2016, Figures 3 and 5."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import number_ticks
from study.report.figures.layers import left_out
from study.report.figures.points import name_points
from study.report.figures.style import (
    ARCHITECTURE_COLOURS,
    architecture_key,
    architecture_look,
    depth_colours,
    key_below,
    panel_width,
)
from study.report.metrics import axis
from study.report.moments import evenly
from study.report.text import band_words, span
from study.verdict.selection import depths, ordered
from study.verdict.text import points

MOST_DEPTHS = 3
"""Depths that have a panel; of more, the shallowest, the deepest and one between."""
MARKED = 60
"""Blocks of a net up to which each has a mark."""
BESIDE = 1.035
"""Factor between the places of two nets without as many blocks."""
RING: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "markersize": 6.5, "linestyle": ""}
NET = ["net", "architecture", "depth"]
ORDER = [*NET, "seed", "swaps", "kendall_tau", "rise"]


def block_places(names: Sequence[str]) -> dict[str, int]:
    """Return the places of blocks `layer2.1`, from 1 at the input; those that aren't there keep theirs."""
    parsed = {name: (int(stage.removeprefix("layer")), int(i)) for name in names for stage, i in [name.split(".")]}
    length: dict[int, int] = {}
    for stage, i in parsed.values():
        length[stage] = max(length.get(stage, 0), i + 1)
    before = {stage: sum(count for other, count in length.items() if other < stage) for stage in length}
    return {name: before[stage] + i + 1 for name, (stage, i) in parsed.items()}


def lesion_data(lesions: pd.DataFrame, guessing: float) -> pd.DataFrame:
    """Return a row a net and place, its rise the mean over seeds and draws, with the lowest and the highest.

    `kind` is `each`, of which places are blocks from the input, or `random`, of which they are numbers of blocks;
    `guessing` becomes the rise from the whole net's error to that of guessing, the mean over seeds, in points.

    Args:
        lesions: of the table `lesion`, at the end of training, all rises finite.
        guessing: error of guessing, in percent.
    """
    lines = []
    for kind in ("each", "random"):
        for (net, architecture, depth), rows in lesions[lesions["kind"] == kind].groupby(NET, sort=False):
            at = rows["block"].map(block_places(sorted(set(rows["block"])))) if kind == "each" else rows["count"]
            places = rows.groupby(at.astype(float).rename("place"))
            rises = places["rise"].agg(rise="mean", lowest="min", highest="max").reset_index()
            lines.append(
                pd.DataFrame({"kind": kind, "net": net, "architecture": architecture, "depth": depth}, rises.index)
                .join(rises)
                .assign(
                    downsamples=places["downsamples"].any().to_numpy() if kind == "each" else False,
                    seeds=rows["run_id"].nunique(),
                    draws=rows["draw"].nunique(),
                    guessing=guessing - float((rows["error"] - rows["rise"]).mean()),
                )
            )
    return pd.concat(lines, ignore_index=True)


def lesion_drawings(lesions: pd.DataFrame, reorderings: pd.DataFrame, guessing: float) -> list[Drawing]:
    """Return the figures of single blocks, and of several and their order, as far as there are any.

    Args:
        lesions: as for `lesion_data`, of plain and residual nets; without any there is no figure.
        reorderings: of the table `reordering`, at the end of training, all rises finite; or empty.
        guessing: error of guessing, in percent.
    """
    known = depths(pd.concat([frame["depth"] for frame in (lesions, reorderings) if len(frame)]).to_frame())
    drawn = evenly(known, MOST_DEPTHS)
    lesions = lesions[lesions["depth"].isin(drawn)] if len(lesions) else lesions
    if lesions.empty:
        return []
    orders = ordered(reorderings)[ORDER] if len(reorderings) else pd.DataFrame(columns=ORDER)
    orders = orders[orders["depth"].isin(drawn)].reset_index(drop=True)
    frame = lesion_data(ordered(lesions), guessing)
    each, random = (frame[frame["kind"] == kind] for kind in ("each", "random"))
    shown = sorted({*frame["depth"], *orders["depth"]})
    drawings = []
    if len(each):
        seeds, note = band_words(each["seeds"]), left_out(shown, known)
        texts = write_texts("why-lesion", each=each, seeds=seeds, note=note, points=points)
        draw, panels = partial(draw_each, each), each["depth"].nunique()
        width, options = panel_width(panels, 1.4), {"sharey": True}
        drawings.append(Drawing("why-lesion", texts, draw, frame, panels, 2.6, width, options))
    if len(random) or len(orders):
        seeds = span(random["seeds"]) if len(random) else ""
        texts = write_texts("why-lesion-groups", random=random, orders=orders, seeds=seeds, points=points)
        draw = partial(draw_groups, random, orders, depth_colours(shown))
        panels = 2 if len(random) and len(orders) else 1
        data = pd.concat([random, orders.assign(kind="reordering")], ignore_index=True)
        width, options = panel_width(panels, 1.4), {"sharey": True}
        drawings.append(Drawing("why-lesion-groups", texts, draw, data, panels, 2.8, width, options))
    return drawings


def draw_each(each: pd.DataFrame, figure: Figure, axes: Any) -> None:
    """Draw the rise without each block in turn, a panel a depth; blocks that change the map have a ring."""
    for ax, (depth, nets) in zip(axes[0], each.groupby("depth"), strict=True):
        for kind, line in nets.groupby("architecture", sort=False):
            _draw_net(ax, str(kind), line)
        ax.set(title=f"{depth} layers", xlabel=axis("block"))
        last = nets["place"].max()
        margin = max(0.1, 0.03 * last)
        ax.set_xlim(1 - margin, last + margin)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    low, high = min(0.0, each["lowest"].min()), max(1.0, each[["highest", "guessing"]].to_numpy().max())
    axes[0][0].set(ylim=(low - 0.04 * (high - low), high + 0.06 * (high - low)), ylabel=axis("rise"))
    key_below(figure, _each_key(each), 4)


def _draw_net(ax: Axes, kind: str, line: pd.DataFrame) -> None:
    colour = ARCHITECTURE_COLOURS[kind]
    # A gap where a block of a plain net can't be taken out, as it changes the map.
    blocks = line.set_index("place")[["rise", "lowest", "highest"]]
    blocks = blocks.reindex(np.arange(blocks.index[0], blocks.index[-1] + 1))
    size = 2.8 if len(blocks) <= MARKED else 0
    (drawn,) = ax.plot(blocks.index, blocks["rise"], linewidth=1.0, markersize=size, **architecture_look(kind))
    name_points(drawn, line["net"].iloc[0])
    if line["seeds"].iloc[0] > 1:
        ax.fill_between(blocks.index, blocks["lowest"], blocks["highest"], color=colour, alpha=0.18, linewidth=0)
    ringed = line[line["downsamples"]]
    ax.plot(ringed["place"], ringed["rise"], color=colour, markeredgewidth=0.8, **RING)
    ax.axhline(line["guessing"].iloc[0], color=colour, linestyle=":", linewidth=0.9, zorder=1)


def _each_key(each: pd.DataFrame) -> list[Line2D]:
    grey: dict[str, Any] = {"color": "#5a5a5a"}
    handles = architecture_key(each["architecture"], markersize=3)
    if each["downsamples"].any():
        handles.append(Line2D([], [], label="changes the map", **RING, **grey))
    return [*handles, Line2D([], [], linestyle=":", linewidth=0.9, label="error of guessing", **grey)]


def _net_look(kind: str, colour: str, hollow: str = "none") -> dict[str, Any]:
    """Return the look of a net's line: its architecture's, in the colour of its depth; plain nets hollow."""
    face = hollow if kind == "plain" else colour
    return architecture_look(kind) | {"color": colour, "markersize": 3.4, "markerfacecolor": face}


def draw_groups(random: pd.DataFrame, orders: pd.DataFrame, colours: dict[int, str], figure: Figure, axes: Any) -> None:
    """Draw the rise without several blocks left, and right, where there are any, reorderings by Kendall's tau."""
    panels = iter(axes[0])
    if len(random):
        ax = next(panels)
        lines = [line for _, line in random.groupby("net", sort=False)]
        for rank, line in enumerate(lines):
            kind, colour = line["architecture"].iloc[0], colours[line["depth"].iloc[0]]
            place, rise, low, high = (line[name].to_numpy() for name in ("place", "rise", "lowest", "highest"))
            place = place * BESIDE ** (rank - (len(lines) - 1) / 2)  # ranges side by side
            line_look = _net_look(kind, colour, hollow="white")
            reach = [rise - low, high - rise]
            drawn, *_ = ax.errorbar(place, rise, reach, linewidth=1.1, elinewidth=0.8, capsize=1.8, **line_look)
            name_points(drawn, line["net"].iloc[0], line["place"])
        ax.set_xscale("log", base=2)
        number_ticks(ax.xaxis, sorted(set(random["place"])))
        ax.set_xlabel(axis("blocks_out"))
    if len(orders):
        ax = next(panels)
        for _, part in orders.groupby(["architecture", "depth"]):
            kind, colour = part["architecture"].iloc[0], colours[part["depth"].iloc[0]]
            point_look = _net_look(kind, colour) | {"linestyle": "none", "markeredgewidth": 0.8, "alpha": 0.85}
            (drawn,) = ax.plot(part["kendall_tau"], part["rise"], **point_look)
            name_points(drawn, part["net"].iloc[0])
        ax.invert_xaxis()  # farther from the trained order to the right, as more blocks out are
        ax.set_xlabel(axis("kendall_tau"))
    axes[0][0].set_ylabel(axis("rise"))
    nets = pd.concat([frame[NET] for frame in (random, orders) if len(frame)]).drop_duplicates()
    handles = [
        Line2D([], [], label=net, **_net_look(kind, colours[depth]))
        for net, kind, depth in nets.sort_values(["architecture", "depth"]).to_numpy()
    ]
    key_below(figure, handles, 3 * len(axes[0]))
