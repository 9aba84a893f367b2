"""How many dimensions the features of each stage fill: their effective rank as a share of the channels."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.report.figures.labels import depth_axis, depth_places
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_LINES, ARCHITECTURE_MARKERS
from study.report.metrics import axis
from study.statistics.interval import Interval, mean_interval
from study.verdict.selection import architectures, depths

BESIDE = 0.03
"""Distance between architectures at a depth, as a part of the axis."""


class Series(NamedTuple):
    """One architecture in one stage: depths (D,), the seeds at each in percent of the channels, and their means."""

    architecture: str
    stage: int
    channels: int
    depths: tuple[int, ...]
    seeds: tuple[NDArray[np.float64], ...]
    means: tuple[Interval, ...]


class RankData(NamedTuple):
    """All series, and what the panels share."""

    series: tuple[Series, ...]
    depths: tuple[int, ...]
    lowest: float
    """Of all seeds, in percent."""

    @property
    def stages(self) -> tuple[int, ...]:
        """The panels."""
        return tuple(sorted({one.stage for one in self.series}))

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those that are drawn, plain first."""
        return tuple(dict.fromkeys(one.architecture for one in self.series))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a seed, with its net's mean and interval."""
        rows = [
            {"architecture": one.architecture, "stage": one.stage, "channels": one.channels, "depth": depth,
             "share": float(value), "mean": mean.estimate, "low": mean.low, "high": mean.high, "seeds": mean.seeds}
            for one in self.series
            for depth, cell, mean in zip(one.depths, one.seeds, one.means, strict=True)
            for value in cell
        ]  # fmt: skip
        return pd.DataFrame(rows)


def rank_data(rows: pd.DataFrame) -> RankData | None:
    """Return the shares of plain and residual nets at the end of training; None where there are none.

    Args:
        rows: of the table `ranks`, with `percent`, the effective rank in percent of the channels, all finite.
    """
    series = []
    for architecture in architectures(rows):
        mine = rows[rows["architecture"] == architecture]
        for stage, part in mine.groupby("stage"):
            known = depths(part)
            seeds = tuple(part.loc[part["depth"] == depth, "percent"].to_numpy(dtype=np.float64) for depth in known)
            means = tuple(mean_interval(cell) for cell in seeds)
            channels = int(part["channels"].max())
            series.append(Series(architecture, int(str(stage)), channels, tuple(known), seeds, means))
    if not series:
        return None
    return RankData(tuple(series), tuple(depths(rows)), float(rows["percent"].min()))


def draw_ranks(data: RankData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw the share against depth, a panel a stage: every seed hollow, the mean full with its 95% interval."""
    for ax, stage in zip(axes[0], data.stages, strict=True):
        shown = [one for one in data.series if one.stage == stage]
        _draw_stage(data, ax, shown)
        ax.set_title(f"stage {stage} ({' or '.join(str(n) for n in sorted({one.channels for one in shown}))} channels)")
    axes[0][0].set_ylabel(axis("rank_share"))
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _draw_stage(data: RankData, ax: Axes, shown: list[Series]) -> None:
    at = depth_places(data.depths)
    reach = depth_axis(ax, at)
    for one in shown:
        rank = data.architectures.index(one.architecture) - (len(data.architectures) - 1) / 2
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        x = np.array([at[depth] for depth in one.depths]) + rank * BESIDE * reach
        low, mean, high = (np.array([getattr(m, name) for m in one.means]) for name in ("low", "estimate", "high"))
        ax.plot(x, mean, color=colour, linestyle=ARCHITECTURE_LINES[one.architecture], linewidth=1.2,
                marker=marker, markersize=4, zorder=3, label=f"{one.architecture} nets")  # fmt: skip
        some = np.isfinite(low)
        ax.errorbar(x[some], mean[some], [(mean - low)[some], (high - mean)[some]], color=colour, linewidth=0,
                    elinewidth=1.0, capsize=2.4, zorder=3)  # fmt: skip
        beside = np.concatenate([np.full(len(cell), place) for place, cell in zip(x, one.seeds, strict=True)])
        some_seeds = np.concatenate([np.full(len(cell), len(cell) > 1) for cell in one.seeds])
        out = 0.03 * reach * (1 if rank > 0 else -1)
        ax.plot((beside + out)[some_seeds], np.concatenate(one.seeds)[some_seeds], marker, color=colour, markersize=3.0,
                markerfacecolor="none", markeredgewidth=0.6, alpha=0.75, zorder=4)  # fmt: skip
    ax.set_ylim(min(10 * np.floor((data.lowest - 4) / 10), 90), 102)
