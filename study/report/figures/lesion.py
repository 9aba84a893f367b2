"""What a trained net loses with a block, with several, or with its order: Veit et al. 2016, Figures 3 and 5."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_LINES, ARCHITECTURE_MARKERS, depth_colours
from study.report.metrics import axis
from study.report.moments import evenly
from study.verdict.selection import architectures, depths

Array = NDArray[np.float64]

MOST_DEPTHS = 3
"""Depths that have a panel; of more, the shallowest, the deepest and one between."""


MARKED = 60
"""Blocks of a net up to which each has a mark."""
BESIDE = 1.035
"""Factor between the places of two nets without as many blocks."""


class Line(NamedTuple):
    """One net: places (n,), and the mean, lowest and highest rise of error there, in points."""

    net: str
    architecture: str
    depth: int
    place: Array
    mean: Array
    low: Array
    high: Array
    seeds: int
    draws: int
    """Draws of blocks a seed; 1 where each is taken out in turn."""
    marked: tuple[bool, ...] = ()
    """Whether the block at a place changes the shape of the map."""
    room: float = math.nan
    """Points from the whole net's error to that of guessing, the mean over seeds."""


class LesionData(NamedTuple):
    """Single blocks, several at random, and reorderings, of the depths that are drawn."""

    each: tuple[Line, ...]
    random: tuple[Line, ...]
    shuffled: pd.DataFrame
    """A row a reordering: net, architecture, depth, kendall_tau, rise."""
    all_depths: tuple[int, ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Those that are drawn."""
        return tuple(sorted({line.depth for line in (*self.each, *self.random)} | {*self.shuffled["depth"]}))

    @property
    def panels(self) -> tuple[int, ...]:
        """Depths of nets whose blocks were taken out in turn."""
        return tuple(sorted({line.depth for line in self.each}))

    def frame(self) -> pd.DataFrame:
        """Return the lines, tidy: a row a net and place; `kind` is each or random, the place a block or a count."""
        rows = [
            {"kind": kind, "net": one.net, "architecture": one.architecture, "depth": one.depth,
             "place": one.place[i], "rise": one.mean[i], "lowest": one.low[i], "highest": one.high[i],
             "downsamples": one.marked[i] if one.marked else False, "seeds": one.seeds, "draws": one.draws,
             "guessing": one.room}
            for kind, lines in (("each", self.each), ("random", self.random)) for one in lines
            for i in range(len(one.place))
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def groups_frame(self) -> pd.DataFrame:
        """Return what stands beside single blocks, tidy: counts of blocks at random, and every reordering."""
        lines = self.frame()
        counts = lines[lines["kind"] == "random"] if len(lines) else lines
        return pd.concat([counts, self.shuffled.assign(kind="reordering")], ignore_index=True)


def block_places(names: Sequence[str]) -> dict[str, int]:
    """Return the places of blocks `layer2.1`, from 1 at the input; those that aren't there keep theirs."""
    parsed = {name: (int(stage.removeprefix("layer")), int(i)) for name in names for stage, i in [name.split(".")]}
    length: dict[int, int] = {}
    for stage, i in parsed.values():
        length[stage] = max(length.get(stage, 0), i + 1)
    before = {stage: sum(count for other, count in length.items() if other < stage) for stage in length}
    return {name: before[stage] + i + 1 for name, (stage, i) in parsed.items()}


def lesion_data(lesions: pd.DataFrame, reorderings: pd.DataFrame, guessing: float) -> LesionData | None:
    """Return the rises of plain and residual nets at the end of training; None where there are none.

    Args:
        lesions: of the table `lesion`; rows whose rise isn't a number are left out.
        reorderings: of the table `reordering`, or empty.
        guessing: error of guessing, in percent.
    """
    lesions, reorderings = (_numbers(frame) for frame in (lesions, reorderings))
    known = depths(pd.concat([lesions["depth"], reorderings["depth"]]).to_frame())
    drawn = [int(depth) for depth in evenly(known, MOST_DEPTHS)]
    lesions, reorderings = (frame[frame["depth"].isin(drawn)] for frame in (lesions, reorderings))
    if lesions.empty:
        return None
    each, random = [], []
    for architecture in architectures(lesions):
        for depth in depths(lesions[lesions["architecture"] == architecture]):
            mine = lesions[(lesions["architecture"] == architecture) & (lesions["depth"] == depth)]
            one = mine[mine["kind"] == "each"]
            if len(one):
                place = one["block"].map(block_places(sorted(set(one["block"]))))
                each.append(_line(one.assign(place=place), guessing))
            several = mine[mine["kind"] == "random"]
            if len(several):
                random.append(_line(several.assign(place=several["count"]), guessing)._replace(marked=()))
    kept = ["net", "architecture", "depth", "seed", "swaps", "kendall_tau", "rise"]
    shuffled = reorderings[kept] if len(reorderings) else pd.DataFrame(columns=kept)
    return LesionData(tuple(each), tuple(random), shuffled.reset_index(drop=True), tuple(known))


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    if frame.empty or "rise" not in frame:
        return pd.DataFrame(columns=["architecture", "depth", "rise"])
    fine = frame["architecture"].isin(["plain", "residual"]) & np.isfinite(frame["rise"])
    kept: pd.DataFrame = frame[fine]
    return kept


def _line(rows: pd.DataFrame, guessing: float) -> Line:
    first, groups = rows.iloc[0], rows.groupby("place")
    mean, low, high = (_array(groups["rise"].agg(how)) for how in ("mean", "min", "max"))
    return Line(
        str(first["net"]), str(first["architecture"]), int(first["depth"]), _array(sorted(set(rows["place"]))),
        mean, low, high, rows["run_id"].nunique(), rows["draw"].nunique(),
        tuple(bool(one) for one in groups["downsamples"].any()),
        guessing - float((rows["error"] - rows["rise"]).mean()),
    )  # fmt: skip


def _array(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)


def draw_each(data: LesionData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw the rise without each block in turn, a panel a depth; blocks that change the map have a ring."""
    for ax, depth in zip(axes[0], data.panels, strict=True):
        for one in (line for line in data.each if line.depth == depth):
            colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
            # A gap where a block of a plain net can't be taken out, as it changes the map.
            place = _array(np.arange(one.place[0], one.place[-1] + 1))
            mean, low, high = (_with_gaps(one.place, values, place) for values in (one.mean, one.low, one.high))
            style = ARCHITECTURE_LINES[one.architecture]
            size = 2.8 if len(place) <= MARKED else 0
            ax.plot(place, mean, color=colour, linestyle=style, linewidth=1.0, marker=marker, markersize=size)
            if one.seeds > 1:
                ax.fill_between(place, low, high, color=colour, alpha=0.18, linewidth=0)
            ring = np.array(one.marked, dtype=bool)
            ax.plot(one.place[ring], one.mean[ring], "o", color=colour, markerfacecolor="none", markersize=6.5,
                    markeredgewidth=0.8)  # fmt: skip
            ax.axhline(one.room, color=colour, linestyle=":", linewidth=0.9, zorder=1)
        ax.set_title(f"{depth} layers")
        ax.set_xlabel(axis("block"))
        last = max(line.place[-1] for line in data.each if line.depth == depth)
        margin = max(0.1, 0.03 * last)
        ax.set_xlim(1 - margin, last + margin)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0][0].set_ylim(*_extent(data.each))
    axes[0][0].set_ylabel(axis("rise"))
    figure.legend(handles=_each_key(data), loc="outside lower center", ncols=4)


def _with_gaps(place: Array, values: Array, wanted: Array) -> Array:
    found = dict(zip(place, values, strict=True))
    return np.array([found.get(one, np.nan) for one in wanted], dtype=np.float64)


def _extent(lines: Sequence[Line]) -> tuple[float, float]:
    """Return limits that hold all rises and those of guessing."""
    low = min(0.0, *(float(line.low.min()) for line in lines))
    high = max(1.0, *(max(float(line.high.max()), line.room) for line in lines))
    return low - 0.04 * (high - low), high + 0.06 * (high - low)


def _each_key(data: LesionData) -> list[Line2D]:
    kinds = [kind for kind in ARCHITECTURE_COLOURS if any(line.architecture == kind for line in data.each)]
    handles = [
        Line2D([], [], color=ARCHITECTURE_COLOURS[kind], marker=ARCHITECTURE_MARKERS[kind], markersize=3,
               linestyle=ARCHITECTURE_LINES[kind], label=f"{kind} nets")
        for kind in kinds
    ]  # fmt: skip
    if any(any(line.marked) for line in data.each):
        handles.append(Line2D([], [], color="#5a5a5a", marker="o", markerfacecolor="none", markersize=6.5, linestyle="",
                              label="changes the map"))  # fmt: skip
    return [*handles, Line2D([], [], color="#5a5a5a", linestyle=":", linewidth=0.9, label="error of guessing")]


def draw_groups(data: LesionData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw the rise without several blocks left, and right, where there are any, reorderings by Kendall's tau."""
    colours = depth_colours(data.depths)
    panels = iter(axes[0])
    if data.random:
        ax = next(panels)
        for rank, one in enumerate(data.random):
            colour, plain = colours[one.depth], one.architecture == "plain"
            place = one.place * BESIDE ** (rank - (len(data.random) - 1) / 2)  # ranges side by side
            ax.errorbar(place, one.mean, [one.mean - one.low, one.high - one.mean], color=colour, linewidth=1.1,
                        linestyle=ARCHITECTURE_LINES[one.architecture], marker=ARCHITECTURE_MARKERS[one.architecture],
                        markersize=3.4, markerfacecolor="white" if plain else colour, elinewidth=0.8,
                        capsize=1.8)  # fmt: skip
        count_axis(ax, [float(place) for line in data.random for place in line.place])
        ax.set_xlabel(axis("blocks_out"))
    if len(data.shuffled):
        ax = next(panels)
        for (kind, depth), part in data.shuffled.groupby(["architecture", "depth"]):
            colour = colours[int(str(depth))]
            ax.plot(part["kendall_tau"], part["rise"], ARCHITECTURE_MARKERS[str(kind)], color=colour, markersize=3.4,
                    markerfacecolor="none" if kind == "plain" else colour, markeredgewidth=0.8, alpha=0.85)  # fmt: skip
        ax.invert_xaxis()  # farther from the trained order to the right, as more blocks out are
        ax.set_xlabel(axis("kendall_tau"))
    axes[0][0].set_ylabel(axis("rise"))
    nets = {(line.architecture, line.depth): line.net for line in data.random}
    for (kind, depth, net), _ in data.shuffled.groupby(["architecture", "depth", "net"]):
        nets[str(kind), int(str(depth))] = str(net)
    handles = [
        Line2D([], [], color=colours[depth], linestyle=ARCHITECTURE_LINES[kind], label=net, markersize=3.4,
               marker=ARCHITECTURE_MARKERS[kind], markerfacecolor="none" if kind == "plain" else colours[depth])
        for (kind, depth), net in sorted(nets.items())
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3 * len(axes[0])))


def count_axis(ax: Axes, counts: Sequence[float]) -> None:
    """Give an axis of numbers of blocks a logarithmic scale, with a tick at each number there is."""
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(sorted(set(counts))))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
